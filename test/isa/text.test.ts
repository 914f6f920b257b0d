import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { disassemble } from "../../src/isa/disassemble.js";
import { randomEncodableProgram } from "../support/random-encoding.js";

const gemm = `program gemm
grid 2 x 2
scalars 1
binding A f32 4096 read
binding B f32 4096 read
binding C f32 4096 write
queue qA l1 f32 1024 depth 2 at 0 from load.0 -> tensor
queue qB l1 f32 1024 depth 2 at 8192 from load.1 -> tensor
queue acc accumulator f32 1024 depth 1 at 0 from tensor -> vector
queue qO l1 f32 1024 depth 2 at 16384 from vector -> store.0
role matmul
role relu

loop m rows 0..64 step 32
  loop n columns 0..64 step 32
    loop k 0..$0 in 1..64 step 32
      ld.0 qA.pub <- A[64*m + k] (ext(m) <= 32: 64 -> 32) (ext(k) <= 32: 1 -> 1) as matmul
      ld.1 qB.pub <- B[64*k + n] (ext(k) <= 32: 64 -> 32) (ext(n) <= 32: 1 -> 1) fill -0.5
          to multicast m as matmul
      mma acc.pub@l(k) += qA.pop * qB.pop (m ext(m) <= 32: 32, 0, 32) (n ext(n) <= 32: 0, 1, 1)
          (k ext(k) <= 32: 1, 32, 0) clear@f(k) fold@l(k) as matmul
    end
    vec (parallel ext(m) <= 32 from m) (parallel ext(n) <= 32)
        in acc.pop (32, 1) lanes {
          r0:f32 = input 0
          r1 = constF 0
          r2 = max r0 r1
          -> r2 }
        out qO.pub (32, 1) stage k + 1 as relu  # Relu_7
    st.0 qO.pop -> C[64*m + n] (ext(m) <= 32: 64 -> 32 clip m by 1 in 60) (ext(n) <= 32: 1 -> 1)
        as relu  # Relu_7
  end
end
halt
`;

describe("assembly text", () => {
  it("reads as a person would write it and prints back", () => {
    const printed = disassemble(assemble(gemm), { origins: [] });
    expect(assemble(printed)).toStrictEqual(assemble(gemm));
    expect(printed).toBe(gemm.replaceAll("  # Relu_7", ""));
  });

  it("shows the nodes behind a role", () => {
    const printed = disassemble(assemble(gemm), { origins: ["MatMul_6", "Relu_7"] });
    expect(printed).toContain("as matmul  # MatMul_6");
    expect(assemble(printed)).toStrictEqual(assemble(gemm));
  });

  it("keeps a start that begins with the number of a loop apart from the loop's own", () => {
    const text = (loop: string) =>
      `program ""\ngrid 1 x 1\nscalars 0\n\nloop ""${loop}\nend\nhalt\n`;
    const program = assemble(text("%0 %0..1 in 0..1 step 1"));
    expect(program.body[0]).toMatchObject({ head: { id: 0, start: { terms: [{ id: 0 }] } } });
    expect(assemble(disassemble(program))).toStrictEqual(program);
  });

  it("parses back to the same program, whatever it is", () => {
    fc.assert(
      fc.property(randomEncodableProgram, (program) => {
        expect(assemble(disassemble(program))).toStrictEqual(program);
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    ["ld.0 qA.pub <- X[0] as matmul", "line 16, column 21: there is no binding named X"],
    ["ld.0 qA.pub A[0] as matmul", "line 16, column 18: expected <-, found A"],
    ["nop", "line 16, column 6: expected an instruction, found nop"],
    ["loop q 0..$0 step 2", "line 16, column 16: a total that is not constant needs its limits"],
    ["st.0 qO.push -> C[0] as relu", "line 16, column 14: expected pop, found push"],
    ["ld.0 qA <- A[1 + m] as relu", "line 16, column 23: the constant of an expression stands at"],
    ["ld.0 qA <- A[~] as relu", 'line 16, column 19: unexpected character "~"'],
    ["ld.0 qA <- A[0.5] as relu", "line 16, column 19: 0.5 is not a whole number"],
  ])("says where %s is wrong", (line, message) => {
    const lines = gemm.split("\n");
    lines.splice(15, 0, `     ${line}`);
    expect(() => assemble(lines.join("\n"))).toThrow(`L0503: ${message}`);
  });

  it("rejects text that ends too early", () => {
    expect(() => assemble(gemm.slice(0, -6))).toThrow("expected an instruction, found the end");
  });
});
