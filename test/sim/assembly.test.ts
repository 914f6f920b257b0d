/** Programs written by hand run on both engines, and nothing of the compiler or of ONNX is loaded for it. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { verifyProgram } from "../../src/isa/verify.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { launch } from "../support/programs.js";

const root = join(import.meta.dirname, "../..");
const programOf = (name: string) =>
  assemble(readFileSync(join(root, "test/cases/asm", name), "utf8"));

for (const engine of [createReferenceEngine(), createJitEngine()]) {
  describe(`assembly on ${engine.name}`, () => {
    it("multiplies matrices over members, with multicast, double buffering and ragged tiles", () => {
      const [m, n, k] = [13, 11, 70];
      const a = Array.from({ length: m * k }, (_, i) => ((i * 7) % 13) - 6);
      const b = Array.from({ length: k * n }, (_, i) => ((i * 5) % 11) - 5);
      const bias = Array.from({ length: n }, (_, i) => i / 4);
      const { memory, faults } = launch(engine, programOf("gemm.s"), [a, b, bias]);
      const expected = Array.from({ length: m * n }, (_, i) => {
        const [row, column] = [Math.floor(i / n), i % n];
        let sum = bias[column]!;
        for (let j = 0; j < k; j++) sum += a[row * k + j]! * b[j * n + column]!;
        return sum;
      });
      expect(memory[3]).toEqual(expected);
      expect(faults).toEqual([]);
    });

    for (const length of [1, 16, 37, 40]) {
      it(`computes a softmax of ${length} elements in chunks, as long as a scalar says`, () => {
        const x = Array.from({ length: 240 }, (_, i) => Math.fround(((i * 37) % 29) / 3 - 4));
        const { memory } = launch(engine, programOf("softmax.s"), [x], [length]);
        for (let row = 0; row < 6; row++) {
          const part = x.slice(40 * row, 40 * row + length);
          const most = Math.max(...part);
          const sum = part.reduce((total, v) => total + Math.exp(v - most), 0);
          part.forEach((v, i) => {
            expect(memory[1]![40 * row + i]).toBeCloseTo(Math.exp(v - most) / sum, 6);
          });
          const rest = memory[1]!.slice(40 * row + length, 40 * row + 40);
          expect(rest).toEqual(rest.map(() => 0));
        }
      });
    }
  });
}

describe("assembly", () => {
  for (const name of ["gemm.s", "softmax.s"]) {
    it(`${name} passes the verifier`, () => {
      expect(verifyProgram(programOf(name))).toEqual([]);
    });
  }

  it("needs neither ONNX nor graphs nor the compiler", () => {
    const loaded = modulesFrom([
      "src/isa/assemble.ts",
      "src/isa/verify.ts",
      "src/sim/jit/jit.ts",
      "src/sim/reference/reference.ts",
    ]);
    expect(loaded.length).toBeGreaterThan(30);
    const alien = /^src\/(onnx|ops|compiler|runtime|analysis|cli)\/|^src\/ir\/(graph|evaluate)/;
    expect(loaded.filter((file) => alien.test(file))).toEqual([]);
  });
});

/** Files that are imported from the given ones, directly or not; types count. */
function modulesFrom(entries: readonly string[]): string[] {
  const known = new Set<string>();
  const visit = (file: string): void => {
    if (known.has(file)) return;
    known.add(file);
    const text = readFileSync(join(root, file), "utf8");
    for (const [, target] of text.matchAll(/from "(\.[^"]+)\.js"/g)) {
      visit(relative(root, join(root, dirname(file), `${target}.ts`)));
    }
  };
  entries.forEach(visit);
  return [...known];
}
