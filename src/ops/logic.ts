/** Comparisons, logic on bool, bits, and selection. Arithmetic is in `elementwise.ts`. */
import { type DType, dtypes } from "../numerics/dtype.js";
import { bytesFromData, dataFromBytes } from "../numerics/convert.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import type { LaneBuilder, Lane } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { alignOldBroadcast, evaluateBroadcast, inferBroadcast } from "./broadcast.js";
import {
  declineStrings,
  dtypeAttribute,
  type LaneFunction,
  mapLike,
  operator,
  selectLike,
  type Versions,
} from "./helpers.js";
import { Decline, type EvaluateContext, type LowerContext, type OperatorRecord } from "./record.js";

function truth(name: string, since: number, body: LaneFunction): OperatorRecord {
  return operator(name, since, (c) => compare(c, c.input(1), body));
}

/** As `truth`, for the operators that had the attributes broadcast and axis before opset 7. */
function oldTruth(
  name: string,
  body: LaneFunction,
  rest: Partial<OperatorRecord> = {},
): OperatorRecord[] {
  const before: Versions = { since: 1, until: 6 };
  return [
    operator(name, before, (c) => compare(c, alignOldBroadcast(c, c.input(0), c.input(1)), body)),
    { ...truth(name, 7, body), ...rest },
  ];
}

function compare(c: LowerContext, y: Value, body: LaneFunction): Value {
  declineStrings(c);
  return c.b.map("bool", [c.input(0), y], body);
}

function equal(l: LaneBuilder, x: Lane, y: Lane): Lane {
  return x.type === "i32" ? l.eqI(x, y) : l.eq(x, y);
}

function less(l: LaneBuilder, x: Lane, y: Lane): Lane {
  return x.type === "i32" ? l.ltI(x, y) : l.lt(x, y);
}

function lessOrEqual(l: LaneBuilder, x: Lane, y: Lane): Lane {
  return x.type === "i32" ? l.leI(x, y) : l.le(x, y);
}

function bitwise(name: string, row: "and" | "or" | "xor"): OperatorRecord {
  return operator(name, 18, (c) => mapLike(c, (l, x, y) => l[row](x!, y!), c.input(1)));
}

/** Bits that are shifted out are gone, however far: nothing is left of a number after as many places as it has bits. */
function lowerBitShift(c: LowerContext): Value {
  const left = c.string("direction") === "LEFT";
  const { bits } = dtypes[c.input(0).dtype];
  return mapLike(
    c,
    (l, x, n) => {
      if (!left && bits === 64) return shiftRightFar(l, x!, n!);
      const shifted = left ? l.shl(x!, n!) : l.shrU(x!, n!);
      return l.selectI(l.ltI(n!, l.constI(bits)), shifted, l.constI(0));
    },
    c.input(1),
  );
}

/** In steps that mean the same in 32 bits, where the number fits those. */
function shiftRightFar(l: LaneBuilder, x: Lane, places: Lane): Lane {
  const most = l.constI(31);
  return [0, 31, 62].reduce((rest, done) => {
    const left = l.subI(l.maxI(places, l.constI(done)), l.constI(done));
    return l.shrU(rest, l.minI(left, most));
  }, x);
}

function lowerIsInf(c: LowerContext): Value {
  const positive = c.int("detect_positive", 1) !== 0;
  const negative = c.int("detect_negative", 1) !== 0;
  return c.b.map("bool", [c.input(0)], (l, x) => {
    if (positive && negative) return l.eq(l.abs(x!), l.constF(Infinity));
    if (positive) return l.eq(x!, l.constF(Infinity));
    if (negative) return l.eq(x!, l.constF(-Infinity));
    return l.xor(l.eq(x!, x!), l.eq(x!, x!));
  });
}

function lowerBitCast(c: LowerContext): Value {
  const x = c.input(0);
  const to = dtypeAttribute(c, "to");
  const [from, into] = [dtypes[x.dtype], dtypes[to]];
  if (from.bits !== into.bits) {
    c.invalid("L0202", `BitCast from ${x.dtype} to ${to} changes the size of an element`);
  }
  if (x.dtype === to) return x;
  if (isBits(x.dtype) && isBits(to)) return c.b.cast(x, to);
  const [read, write] = [bitsOfFloat[x.dtype], floatOfBits[to]];
  if (isBits(to) && read !== undefined) return c.b.map(to, [x], (l, a) => read(l, a!));
  if (isBits(x.dtype) && write !== undefined) return c.b.map(to, [x], (l, a) => write(l, a!));
  throw new Decline(`the vector engine does not reinterpret ${x.dtype} as ${to}`);
}

type Reinterpretation = (l: LaneBuilder, x: Lane) => Lane;

/** The bits of a float's storage, from what a register holds of it. */
const bitsOfFloat: { readonly [T in DType]?: Reinterpretation } = {
  f32: (l, x) => l.bitsI(x),
  bf16: (l, x) => l.shrU(l.bitsI(x), l.constI(16)),
  f16: (l, x) => {
    const sign = l.and(l.shrU(l.bitsI(x), l.constI(16)), l.constI(0x8000));
    const a = l.abs(x);
    // From exponents biased by 127 to such by 15; a subnormal number counts its least places.
    const normal = l.subI(l.shrU(l.bitsI(a), l.constI(13)), l.constI(112 << 10));
    const finite = l.selectI(
      l.lt(a, l.constF(2 ** -14)),
      l.toI(l.mul(a, l.constF(2 ** 24))),
      normal,
    );
    const bounded = l.selectI(l.eq(a, l.constF(Infinity)), l.constI(0x7c00), finite);
    return l.or(sign, l.selectI(l.eq(x, x), bounded, l.constI(0x7e00)));
  },
};

const floatOfBits: { readonly [T in DType]?: Reinterpretation } = {
  f32: (l, x) => l.bitsF(x),
  bf16: (l, x) => l.bitsF(l.shl(x, l.constI(16))),
  f16: (l, x) => {
    const code = l.and(x, l.constI(0x7fff));
    const finite = l.mul(l.bitsF(l.shl(code, l.constI(13))), l.constF(2 ** 112));
    const special = l.bitsF(l.or(l.shl(code, l.constI(13)), l.constI(0x7f800000)));
    const magnitude = l.select(l.ltI(code, l.constI(0x7c00)), finite, special);
    const sign = l.shl(l.and(x, l.constI(0x8000)), l.constI(16));
    return l.bitsF(l.or(l.bitsI(magnitude), sign));
  },
};

/** Types whose registers hold their bits; a bool has two values. */
function isBits(dtype: DType): boolean {
  const { kind } = dtypes[dtype];
  return kind === "int" || kind === "uint" || kind === "bool";
}

function evaluateEqual(c: EvaluateContext): readonly Tensor[] {
  return [evaluateBroadcast("bool", [c.tensorInput(0), c.tensorInput(1)], (x, y) => x === y)];
}

function evaluateWhere(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(1);
  const inputs = [c.tensorInput(0), x, c.tensorInput(2)];
  return [evaluateBroadcast(x.dtype, inputs, (mask, a, b) => (mask ? a! : b!))];
}

function evaluateBitCast(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const to = dtypeAttribute(c, "to");
  const bytes = bytesFromData(x.dtype, x.data);
  return [{ dtype: to, shape: x.shape, data: dataFromBytes(to, bytes, elementCount(x.shape)) }];
}

export const logicOperators: readonly OperatorRecord[] = [
  ...oldTruth("Equal", (l, x, y) => equal(l, x!, y!), {
    evaluate: evaluateEqual,
    infer: inferBroadcast(() => "bool"),
  }),
  ...oldTruth("Greater", (l, x, y) => less(l, y!, x!)),
  ...oldTruth("Less", (l, x, y) => less(l, x!, y!)),
  truth("GreaterOrEqual", 12, (l, x, y) => lessOrEqual(l, y!, x!)),
  truth("LessOrEqual", 12, (l, x, y) => lessOrEqual(l, x!, y!)),
  ...oldTruth("And", (l, x, y) => l.and(x!, y!)),
  ...oldTruth("Or", (l, x, y) => l.or(x!, y!)),
  ...oldTruth("Xor", (l, x, y) => l.xor(x!, y!)),
  operator("Not", 1, (c) => c.b.map("bool", [c.input(0)], (l, x) => l.xor(x!, l.constI(-1)))),
  operator("BitShift", 11, lowerBitShift),
  bitwise("BitwiseAnd", "and"),
  bitwise("BitwiseOr", "or"),
  bitwise("BitwiseXor", "xor"),
  operator("BitwiseNot", 18, (c) => mapLike(c, (l, x) => l.xor(x!, l.constI(-1)))),
  operator("IsInf", 10, lowerIsInf),
  operator("IsNaN", 9, (c) =>
    c.b.map("bool", [c.input(0)], (l, x) => l.xor(l.eq(x!, x!), l.constI(-1))),
  ),
  {
    ...operator("Where", 9, (c) => {
      declineStrings(c);
      const [mask, x, y] = [c.input(0), c.input(1), c.input(2)];
      return c.b.map(x.dtype, [mask, x, y], (l, m, a, b) => selectLike(l, m!, a!, b!));
    }),
    evaluate: evaluateWhere,
    infer: inferBroadcast((c) => c.input(1).dtype),
  },
  {
    ...operator("BitCast", 26, lowerBitCast),
    evaluate: evaluateBitCast,
    infer: (c) => [{ dtype: dtypeAttribute(c, "to"), shape: c.input(0).shape }],
  },
];
