/**
 * Speed of the JIT on single kernels, written as programs of one tile. Every figure stands beside that of a loop of
 * register-only multiply-adds measured in turn in the same process, because the machine's speed varies: the
 * percentage is what to compare between runs. Run: npx tsx bench/jit-kernels.ts [name part]
 */
import v8 from "node:v8";
import type { Program } from "../src/isa/program.js";
import { createDeviceMemory, deviceBytes, type PreparedProgram } from "../src/sim/engine.js";
import { createJitEngine } from "../src/sim/jit/jit.js";
import { byteLength } from "../src/numerics/dtype.js";
import { kernelBenches } from "./kernel-programs.js";
import { createPeakLoop } from "./peak-loop.js";

function optimised<T>(compile: () => T): T {
  v8.setFlagsFromString("--no-liftoff");
  v8.setFlagsFromString("--no-wasm-lazy-compilation");
  try {
    return compile();
  } finally {
    v8.setFlagsFromString("--liftoff");
    v8.setFlagsFromString("--wasm-lazy-compilation");
  }
}

function launcher(program: Program, prepared: PreparedProgram): () => void {
  let end = 0;
  const bindings = program.bindings.map(({ dtype, elements }) => {
    const offsetBytes = end;
    end = Math.ceil((end + byteLength(dtype, elements)) / 64) * 64;
    return { offsetBytes };
  });
  const memory = createDeviceMemory(end);
  program.bindings.forEach(({ dtype, elements }, i) => {
    const at = bindings[i]!.offsetBytes;
    const bytes = deviceBytes(memory).subarray(at, at + byteLength(dtype, elements));
    if (dtype !== "f32") return bytes.forEach((_, j) => (bytes[j] = (j * 37) & 63));
    const floats = new Float32Array(bytes.buffer, bytes.byteOffset, elements);
    floats.forEach((_, j) => (floats[j] = Math.sin(j) + 1.5));
  });
  return () => void prepared.run({ memory, bindings, scalars: new Int32Array(0) });
}

/** Processor time, so that waiting for a processor that others use does not count. */
function secondsOf(run: () => void): number {
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  return Math.max(user + system, 1) / 1e6;
}

/** The best round is what the machine can do; other rounds say how much others took of it. */
const best = (values: readonly number[]): number => Math.min(...values);

const wanted = process.argv[2] ?? "";
const peak = createPeakLoop(optimised);
console.log(
  "kernel                            prepare ms  first ms      ms     G/s   % of peak mul+add",
);
for (const { name, program, operations } of kernelBenches) {
  if (!name.includes(wanted)) continue;
  const engine = createJitEngine({ optimised });
  const start = performance.now();
  const prepared = engine.prepare(program);
  const prepareMs = performance.now() - start;
  const run = launcher(program, prepared);
  const firstMs = secondsOf(run) * 1e3;
  const times: number[] = [];
  const peakTimes: number[] = [];
  const rounds = Math.max(8, Math.min(200, Math.ceil(400 / (secondsOf(run) * 1e3))));
  for (let round = 0; round < rounds; round++) {
    peakTimes.push(secondsOf(peak.run));
    times.push(secondsOf(run));
  }
  const seconds = best(times);
  const share = (operations / seconds) * (best(peakTimes) / peak.operations);
  console.log(
    [
      name.padEnd(34),
      prepareMs.toFixed(1).padStart(9),
      firstMs.toFixed(2).padStart(10),
      (seconds * 1e3).toFixed(3).padStart(9),
      (operations / seconds / 1e9).toFixed(1).padStart(7),
      (100 * share).toFixed(0).padStart(9),
    ].join(" "),
  );
}
