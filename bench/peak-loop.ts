/** A loop of multiply-adds on registers alone: what one thread can do at this moment. */
import { ModuleBuilder } from "../src/sim/jit/wasm/module.js";

export interface PeakLoop {
  readonly operations: number;
  run(): void;
}

const chains = 6;
const rounds = 20_000;

export function createPeakLoop(optimised: <T>(compile: () => T) => T): PeakLoop {
  const module = new ModuleBuilder();
  module.add({ params: ["i32"], results: ["f32"], exported: "peak" }, (f) => {
    const left = f.param("i32", 0);
    const factor = f.keep("v128", f.floats(0.999));
    const locals = (start: number) =>
      Array.from({ length: chains }, (_, i) => f.keep("v128", f.floats(start + i)));
    const sums = locals(1);
    const factors = locals(0.5);
    f.loop((again) => {
      sums.forEach((sum, i) => {
        const product = f.keep("v128", f.op("f32x4.mul", f.get(factor), f.get(factors[i]!)));
        f.set(sum, f.op("f32x4.add", f.get(sum), f.get(product)));
      });
      f.set(factor, f.op("v128.xor", f.get(factor), f.words(0)));
      f.set(left, f.op("i32.sub", f.get(left), f.i32(1)));
      f.branchIf(again, f.get(left));
    });
    let total = f.keep("v128", f.get(sums[0]!));
    for (const sum of sums.slice(1)) {
      total = f.keep("v128", f.op("f32x4.add", f.get(total), f.get(sum)));
    }
    f.laneOp("f32x4.extract_lane", 0, f.get(total));
  });
  const compiled = optimised(() => new WebAssembly.Module(module.encode()));
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(compiled, { m: { m: memory } });
  const peak = exports["peak"] as (rounds: number) => number;
  return { operations: rounds * chains * 8, run: () => void peak(rounds) };
}
