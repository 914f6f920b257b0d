/**
 * Lane programs: short straight-line SSA over fp32 and int32 registers, one register file per lane of the
 * vector engine. The same text is a graph's elementwise function, a kernel's `vec` body and the machine's
 * lane code, so this file is the only definition of what an elementwise operation means.
 *
 * Every row has its meaning on JavaScript numbers (`evaluate`), exact to the bit: f32 registers hold numbers
 * that are representable in fp32 (apply Math.fround), i32 registers hold int32 numbers. A mask is an i32 that
 * is 0 (false) or -1 (true). Rows of kind "function" are defined by the fixed fp32 sequences in `functions.ts`.
 */

export type RegisterType = "f32" | "i32";

/** Signatures: arguments -> result. `imm` names the immediate that the row carries, if any. */
export const laneOps = {
  // Sources
  input: {
    args: [],
    result: "any",
    imm: "index",
    about: "operand number `imm` of the vec at this position",
  },
  constF: { args: [], result: "f32", imm: "value", about: "fp32 constant" },
  constI: { args: [], result: "i32", imm: "value", about: "int32 constant" },
  index: {
    args: [],
    result: "i32",
    imm: "axis",
    about: "index along the iteration axis `imm`, counted over the whole kernel",
  },
  scalar: {
    args: [],
    result: "i32",
    imm: "index",
    about: "runtime scalar number `imm` of the launch",
  },
  carry: {
    args: [],
    result: "any",
    imm: "index",
    about: "carried register `imm`: its value before this position of the scan axis",
  },
  lookup: {
    args: ["i32"],
    result: "any",
    imm: "index",
    about: "element of operand `imm` at this position's offset plus the argument, in elements",
  },
  // fp32: each result rounded to nearest even
  add: { args: ["f32", "f32"], result: "f32", about: "a + b" },
  sub: { args: ["f32", "f32"], result: "f32", about: "a - b" },
  mul: { args: ["f32", "f32"], result: "f32", about: "a * b" },
  div: { args: ["f32", "f32"], result: "f32", about: "a / b" },
  neg: { args: ["f32"], result: "f32", about: "-a (sign bit flipped)" },
  abs: { args: ["f32"], result: "f32", about: "|a| (sign bit cleared)" },
  sqrt: { args: ["f32"], result: "f32", about: "square root, correctly rounded" },
  min: {
    args: ["f32", "f32"],
    result: "f32",
    about: "IEEE 754-2019 minimum: NaN if either is NaN, -0 < +0",
  },
  max: { args: ["f32", "f32"], result: "f32", about: "IEEE 754-2019 maximum" },
  floor: { args: ["f32"], result: "f32", about: "round toward minus infinity" },
  ceil: { args: ["f32"], result: "f32", about: "round toward plus infinity" },
  trunc: { args: ["f32"], result: "f32", about: "round toward zero" },
  rint: { args: ["f32"], result: "f32", about: "round to nearest integer, ties to even" },
  // int32: wraps modulo 2^32
  addI: { args: ["i32", "i32"], result: "i32", about: "a + b" },
  subI: { args: ["i32", "i32"], result: "i32", about: "a - b" },
  mulI: { args: ["i32", "i32"], result: "i32", about: "a * b, low 32 bits" },
  divI: {
    args: ["i32", "i32"],
    result: "i32",
    about: "a / b toward zero; b = 0 gives 0, -2^31 / -1 gives -2^31",
  },
  remI: { args: ["i32", "i32"], result: "i32", about: "a - divI(a, b) * b; b = 0 gives a" },
  minI: { args: ["i32", "i32"], result: "i32", about: "signed minimum" },
  maxI: { args: ["i32", "i32"], result: "i32", about: "signed maximum" },
  and: { args: ["i32", "i32"], result: "i32", about: "bitwise and" },
  or: { args: ["i32", "i32"], result: "i32", about: "bitwise or" },
  xor: { args: ["i32", "i32"], result: "i32", about: "bitwise exclusive or" },
  shl: { args: ["i32", "i32"], result: "i32", about: "a << (b & 31)" },
  shrS: { args: ["i32", "i32"], result: "i32", about: "a >> (b & 31), arithmetic" },
  shrU: { args: ["i32", "i32"], result: "i32", about: "a >>> (b & 31), logical" },
  // Compare: a mask
  eq: { args: ["f32", "f32"], result: "i32", about: "a == b (false if NaN)" },
  lt: { args: ["f32", "f32"], result: "i32", about: "a < b (false if NaN)" },
  le: { args: ["f32", "f32"], result: "i32", about: "a <= b (false if NaN)" },
  eqI: { args: ["i32", "i32"], result: "i32", about: "a == b" },
  ltI: { args: ["i32", "i32"], result: "i32", about: "a < b, signed" },
  leI: { args: ["i32", "i32"], result: "i32", about: "a <= b, signed" },
  // Select by mask
  select: { args: ["i32", "f32", "f32"], result: "f32", about: "mask ? b : c, bit by bit" },
  selectI: { args: ["i32", "i32", "i32"], result: "i32", about: "mask ? b : c, bit by bit" },
  // Convert
  toF: { args: ["i32"], result: "f32", about: "int32 to fp32, rounded to nearest even" },
  toI: {
    args: ["f32"],
    result: "i32",
    about: "fp32 to int32 toward zero, saturating, NaN gives 0",
  },
  bitsF: { args: ["i32"], result: "f32", about: "reinterpret bits as fp32" },
  bitsI: { args: ["f32"], result: "i32", about: "reinterpret fp32 as bits" },
  roundF16: {
    args: ["f32"],
    result: "f32",
    about: "round to fp16 (nearest even, overflow to infinity), kept in fp32",
  },
  roundBF16: { args: ["f32"], result: "f32", about: "round to bf16 (nearest even), kept in fp32" },
  roundE4M3: { args: ["f32"], result: "f32", about: "round to f8e4m3fn, saturating, kept in fp32" },
  roundE5M2: { args: ["f32"], result: "f32", about: "round to f8e5m2, saturating, kept in fp32" },
  // Transcendental: fixed sequences of the rows above, in functions.ts
  exp: { args: ["f32"], result: "f32", about: "e^a", function: true },
  log: { args: ["f32"], result: "f32", about: "natural logarithm", function: true },
  sin: { args: ["f32"], result: "f32", about: "sine", function: true },
  cos: { args: ["f32"], result: "f32", about: "cosine", function: true },
  tan: { args: ["f32"], result: "f32", about: "tangent", function: true },
  asin: { args: ["f32"], result: "f32", about: "arc sine", function: true },
  acos: { args: ["f32"], result: "f32", about: "arc cosine", function: true },
  atan: { args: ["f32"], result: "f32", about: "arc tangent", function: true },
  sinh: { args: ["f32"], result: "f32", about: "hyperbolic sine", function: true },
  cosh: { args: ["f32"], result: "f32", about: "hyperbolic cosine", function: true },
  tanh: { args: ["f32"], result: "f32", about: "hyperbolic tangent", function: true },
  asinh: { args: ["f32"], result: "f32", about: "inverse hyperbolic sine", function: true },
  acosh: { args: ["f32"], result: "f32", about: "inverse hyperbolic cosine", function: true },
  atanh: { args: ["f32"], result: "f32", about: "inverse hyperbolic tangent", function: true },
  sigmoid: { args: ["f32"], result: "f32", about: "1 / (1 + e^-a)", function: true },
  erf: { args: ["f32"], result: "f32", about: "error function", function: true },
  pow: { args: ["f32", "f32"], result: "f32", about: "a^b", function: true },
} as const satisfies Record<string, LaneOpRow>;

interface LaneOpRow {
  readonly args: readonly RegisterType[];
  readonly result: RegisterType | "any";
  readonly imm?: "index" | "value" | "axis";
  readonly function?: true;
  readonly about: string;
}

export type LaneOpName = keyof typeof laneOps;

export interface LaneInstruction {
  readonly op: LaneOpName;
  /** Register numbers: register i is the result of instruction i. */
  readonly args: readonly number[];
  readonly imm?: number;
  readonly type: RegisterType;
}

/** `results` are registers; what happens to them (stored, reduced) is said by whoever holds the program. */
export interface LaneProgram {
  readonly instructions: readonly LaneInstruction[];
  readonly results: readonly number[];
}

/**
 * The arithmetic that functions.ts is written against. One instance computes on numbers, one emits lane
 * instructions, one emits WebAssembly: so a function has one text and all engines the same bits.
 */
export type LaneAlgebra<V> = {
  readonly [Op in ArithmeticOp]: (...args: V[]) => V;
} & {
  constF(value: number): V;
  constI(value: number): V;
};

export type ArithmeticOp = Exclude<
  LaneOpName,
  "input" | "constF" | "constI" | "index" | "scalar" | "carry" | "lookup" | FunctionName
>;

export type FunctionName = {
  [Op in LaneOpName]: (typeof laneOps)[Op] extends { readonly function: true } ? Op : never;
}[LaneOpName];
