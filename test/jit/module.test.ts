import { describe, expect, it } from "vitest";
import { ModuleBuilder } from "../../src/sim/jit/wasm/module.js";
import type { FunctionBuilder } from "../../src/sim/jit/wasm/function.js";
import type { ValueType } from "../../src/sim/jit/wasm/opcodes.js";

function compiled(
  params: readonly ValueType[],
  results: readonly ValueType[],
  write: (f: FunctionBuilder) => void,
  memory = new WebAssembly.Memory({ initial: 1 }),
): (...args: number[]) => number {
  const module = new ModuleBuilder();
  module.add({ params, results, exported: "f" }, write);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
    m: { m: memory },
  });
  return exports["f"] as (...args: number[]) => number;
}

describe("module builder", () => {
  it("writes nested calls as postfix code", () => {
    const f = compiled(["i32", "i32"], ["i32"], (f) => {
      const [a, b] = [f.param("i32", 0), f.param("i32", 1)];
      f.op("i32.sub", f.op("i32.mul", f.get(a), f.i32(1000)), f.get(b));
    });
    expect(f(7, 5)).toBe(6995);
  });

  it.each([0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2 ** 31 - 1, -(2 ** 31)])(
    "encodes the constant %i",
    (value) => {
      expect(compiled([], ["i32"], (f) => void f.i32(value))()).toBe(value);
    },
  );

  it("counts up from where the index stands, and not at all beyond the end", () => {
    const f = compiled(["i32", "i32"], ["i32"], (f) => {
      const [index, end] = [f.param("i32", 0), f.param("i32", 1)];
      const sum = f.keep("i32", f.i32(0));
      f.countUp(
        index,
        () => f.get(end),
        2,
        () => f.increase(sum, () => f.get(index)),
      );
      f.get(sum);
    });
    expect([f(0, 5), f(3, 3), f(4, 3), f(-3, 2)]).toEqual([6, 0, 0, -3]);
  });

  it("branches out of nested blocks by label", () => {
    const f = compiled(["i32"], ["i32"], (f) => {
      const x = f.param("i32", 0);
      const result = f.keep("i32", f.i32(1));
      f.block((outer) => {
        f.loop((again) => {
          f.if(f.op("i32.eqz", f.get(x)), () => f.branch(outer));
          f.set(result, f.op("i32.mul", f.get(result), f.get(x)));
          f.set(x, f.op("i32.sub", f.get(x), f.i32(1)));
          f.branch(again);
        });
      });
      f.get(result);
    });
    expect(f(6)).toBe(720);
  });

  it("calls functions of its own that were added while another was being written", () => {
    const module = new ModuleBuilder();
    module.add({ params: ["i32"], results: ["i32"], exported: "f" }, (f) => {
      const twice = module.add({ params: ["i32"], results: ["i32"] }, (g) => {
        const x = g.param("i32", 0);
        g.op("i32.add", g.get(x), g.get(x));
      });
      f.callFor(twice, "i32", [f.get(f.param("i32", 0))]);
    });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      m: { m: new WebAssembly.Memory({ initial: 1 }) },
    });
    expect((exports["f"] as (x: number) => number)(21)).toBe(42);
  });

  it("moves vectors between memory and lanes", () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const words = new Int32Array(memory.buffer);
    words.set([1, 2, 3, 4]);
    const f = compiled(
      [],
      [],
      (f) => {
        const v = f.keep("v128", f.load("v128.load", f.i32(0)));
        const turned = f.shuffleWords(f.get(v), f.get(v), [1, 2, 3, 4]);
        f.set(v, f.op("i32x4.add", turned, f.wordsOf([10, 20, 30, 40])));
        f.store("v128.store", f.i32(0), f.get(v), 16);
      },
      memory,
    );
    f();
    expect([...words.subarray(4, 8)]).toEqual([12, 23, 34, 41]);
  });

  it("refuses arguments that were emitted in another order than they are taken", () => {
    const swapped = (f: FunctionBuilder): void => {
      const second = f.i32(2);
      f.op("i32.sub", f.i32(1), second);
    };
    expect(() => compiled([], ["i32"], swapped)).toThrow("out of order");
  });
});
