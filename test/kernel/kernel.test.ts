import { describe, expect, it } from "vitest";
import { emitProgram } from "../../src/compiler/6-emit/emit.js";
import { memoryCells } from "../../src/ir/semantics/cells.js";
import type { Kernel } from "../../src/ir/kernel/kernel.js";
import { evaluateKernel } from "../../src/ir/kernel/evaluate.js";
import { verifyKernel } from "../../src/ir/kernel/verify.js";
import { parseKernel, printKernel } from "../../src/isa/kernel-text.js";
import { verifyProgram } from "../../src/isa/verify.js";
import { byteLength } from "../../src/numerics/dtype.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { launch } from "../support/programs.js";

/** A matrix product in two segments, a row maximum over chunks, and the product divided by it. */
const text = `kernel normalized
grid 2 x 1
scalars 1
binding a f32 60 read
binding b f32 30 read
binding c f32 18 write
value ta l1 f32 12 depth 2
value tb l1 f32 12 depth 2
value acc accumulator f32 9 depth 1
value m l1 f32 3 depth 1
value y l1 f32 9 depth 2
role contract
role normalize

loop rows rows 0..6 step 3
  loop s 0..$0 in 1..10 step 8
    loop k s..s + ext(s) in 1..10 step 4
      ld.0 ta <- a[10*rows + k] (ext(rows) <= 3: 10 -> 4) (ext(k) <= 4: 1 -> 1) as contract
      ld.1 tb <- b[3*k] (ext(k) <= 4: 3 -> 3) (3: 1 -> 1) as contract
      mma acc += ta * tb (m ext(rows) <= 3: 4, 0, 3) (n 3: 0, 1, 1) (k ext(k) <= 4: 1, 3, 0)
          clear@f(s)&f(k) fold@l(k) as contract
      vec (parallel ext(rows) <= 3) (reduce ext(k) <= 4)
          in ta (4, 1) lanes {
            r0:f32 = input 0
            -> r0 }
          out m (1, 0) reduce max init@f(s)&f(k) as normalize
    end
  end
  vec (parallel ext(rows) <= 3) (parallel 3)
      in acc (3, 1)
      in m (1, 0) lanes {
        r0:f32 = input 0
        r1:f32 = input 1
        r2 = div r0 r1
        -> r2 }
      out y (3, 1) as normalize
  st.0 y -> c[3*rows] (ext(rows) <= 3: 3 -> 3) (3: 1 -> 1) as normalize
end
end
`;

describe("kernels", () => {
  it("print what they were parsed from", () => {
    expect(printKernel(parseKernel(text))).toBe(text);
  });

  it("pass the verifier when sound", () => {
    expect(verifyKernel(parseKernel(text))).toEqual([]);
  });

  it("compute what their loop nest says", () => {
    const a = Array.from({ length: 60 }, (_, i) => ((i * 7) % 13) + 1);
    const b = Array.from({ length: 30 }, (_, i) => ((i * 5) % 11) - 5);
    const k = 9;
    const expected = Array.from({ length: 18 }, (_, i) => {
      const row = a.slice(10 * Math.floor(i / 3), 10 * Math.floor(i / 3) + k);
      const sum = row.reduce((total, x, j) => total + x * b[3 * j + (i % 3)]!, 0);
      return Math.fround(sum / Math.max(...row));
    });
    expect(evaluate(parseKernel(text), [a, b], [k])[2]).toEqual(expected);
  });

  const broken: readonly (readonly [string, string, string])[] = [
    ["fold@l(k)", "fold@l(q)", "L0503"],
    ["clear@f(s)&f(k)", "clear@f(s)", "not the innermost loops"],
    ["st.0 y -> c[", "st.0 y -> a[", "binding a is only for read"],
    [
      "as normalize\nend\nend",
      "as normalize\nend\nst.0 y -> c[0] (1: 1 -> 1) as normalize\nend",
      "read outside its scope",
    ],
    ["in acc (3, 1)", "in acc (3)", "1 strides for 2 axes"],
    ["value ta l1 f32", "value ta l1 i8", "f32 meets i8"],
    ["value acc accumulator", "value acc l1", "which lies in l1"],
    ["out m (1, 0) reduce max init@f(s)&f(k)", "out y (1, 0)", "written in different scopes"],
    ["ld.1 tb <-", "ld.1 ta <-", "is written by load.0 and load.1"],
    ["step 4", "step 0", "has step 0"],
    ["loop k s..", "loop k rows s..", "stands in a temporal loop"],
  ];
  for (const [from, to, complaint] of broken) {
    it(`are refused with ${JSON.stringify(to)}`, () => {
      expect(text).toContain(from);
      const changed = text.replace(from, to);
      const problems = complaint.startsWith("L")
        ? [messageOf(() => parseKernel(changed))]
        : verifyKernel(parseKernel(changed));
      expect(problems.join("\n")).toContain(complaint);
    });
  }

  it("stop at a value that was never written", () => {
    const kernel = parseKernel(text.replace("(3: 1 -> 1) as contract", "(2: 1 -> 1) as contract"));
    expect(messageOf(() => evaluate(kernel, [], [9]))).toContain(
      "L0504: read of element 2 of tb, which was never written",
    );
  });
});

/** Running sums that are handed on turned around. */
const carried = `kernel turned
grid 1 x 1
scalars 1
binding x f32 12 read
binding y f32 12 write
value s l1 f32 3 depth 2 carried 0
value tx l1 f32 3 depth 2
value ty l1 f32 3 depth 2
role r

vec (parallel 3) lanes {
      r0 = constF 1
      -> r0 }
    out s (1) as r
loop t 0..$0 in 1..4 step 1
  ld.0 tx <- x[3*t] (3: 1 -> 1) as r
  vec (parallel 3)
      in s (1)
      in tx (1) lanes {
        r0:f32 = input 0
        r1:f32 = input 1
        r2 = add r0 r1
        -> r2, r2 }
      out s[2] (-1)
      out ty (1) as r
  st.0 ty -> y[3*t] (3: 1 -> 1) as r
end
end
`;

describe("kernels with a value that a loop carries", () => {
  it("print what they were parsed from, and are sound", () => {
    expect(printKernel(parseKernel(carried))).toBe(carried);
    expect(verifyKernel(parseKernel(carried))).toEqual([]);
  });

  it("read what the trip before wrote, as their programs do", () => {
    const kernel = parseKernel(carried);
    const x = [1, 2, 3, 10, 20, 30, 100, 200, 300, 0, 0, 0];
    const y = [2, 3, 4, 14, 23, 32, 132, 223, 314, 0, 0, 0];
    expect(evaluate(kernel, [x], [3])[1]).toEqual(y);
    const program = emitProgram(kernel);
    expect(verifyProgram(program)).toEqual([]);
    for (const engine of [createReferenceEngine(), createJitEngine()]) {
      expect(launch(engine, program, [x, []], [3]).memory[1]).toEqual(y);
    }
  });

  it.each([
    ["depth 2 carried 0", "depth 1 carried 0", "is carried in 1 slot"],
    ["carried 0", "carried 7", "is not written once before loop 7 and once in its trips"],
    ["out s[2] (-1)\n      out ty", "out ty", "is not written once before loop 0"],
    ["end\nend", "end\nst.0 s -> y[0] (3: 1 -> 1) as r\nend", "is read outside its scope"],
    ["out s (1) as r\nloop", "out ty (1) as r\nloop", "is not written once before loop 0"],
  ])("are refused where %j becomes %j", (from, to, complaint) => {
    expect(carried).toContain(from);
    const problems = verifyKernel(parseKernel(carried.replace(from, to)));
    expect(problems.join("\n")).toContain(complaint);
  });
});

function evaluate(kernel: Kernel, contents: readonly number[][], scalars: number[]): number[][] {
  const bindings = kernel.bindings.map(({ name, dtype, elements }, i) => {
    const cells = memoryCells(name, dtype, elements, new Uint8Array(byteLength(dtype, elements)));
    contents[i]?.forEach((value, element) => cells.set(element, value));
    return cells;
  });
  evaluateKernel(kernel, { bindings, scalars });
  return bindings.map((cells) =>
    Array.from({ length: cells.elements }, (_, element) => cells.get(element)),
  );
}

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return String(error);
  }
  return "nothing was thrown";
}
