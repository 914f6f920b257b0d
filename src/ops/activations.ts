/** Activation functions: elementwise in the first input. Softmax and its kin are in `softmax.ts`. */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import {
  asFloat,
  atLeast,
  atMost,
  constLike,
  lessThan,
  mapLike,
  operator,
  selectLike,
  unary,
} from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

/**
 * log(1 + t) / (2 s) for t in [0, 1] as a polynomial in s squared, where s = t / (t + 2):
 * the series of the inverse hyperbolic tangent, economized on [0, 1/9].
 */
const log1pCoefficients = [0.28157778, 0.27965158, 0.40024595, 0.66666322, 2.00000001];

/** log(1 + e^x), exact to the last bits also where e^x vanishes beside 1. */
export function softplus(l: LaneBuilder, x: Lane): Lane {
  const t = l.exp(l.neg(l.abs(x)));
  return l.add(atLeast(l, x, l.constF(0)), log1p(l, t));
}

function log1p(l: LaneBuilder, t: Lane): Lane {
  const s = l.div(t, l.add(t, l.constF(2)));
  const square = l.mul(s, s);
  const [last, ...rest] = log1pCoefficients;
  const series = rest.reduce(
    (sum, coefficient) => l.add(l.mul(sum, square), l.constF(coefficient)),
    l.constF(last!),
  );
  return l.mul(s, series);
}

/** x * tanh(softplus(x)), which is x * n / (n + 2) with n = e^x (e^x + 2); from 20 on it is x. */
function mish(l: LaneBuilder, x: Lane): Lane {
  const e = l.exp(atMost(l, x, l.constF(20)));
  const n = l.mul(e, l.add(e, l.constF(2)));
  return l.mul(x, l.div(n, l.add(n, l.constF(2))));
}

/** x times the normal distribution function. */
export function gelu(l: LaneBuilder, x: Lane): Lane {
  const half = l.mul(x, l.constF(0.5));
  return l.mul(half, l.add(l.erf(l.mul(x, l.constF(Math.SQRT1_2))), l.constF(1)));
}

/** 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), by 0.5 (1 + tanh(u)) = sigmoid(2 u). */
export function geluTanh(l: LaneBuilder, x: Lane): Lane {
  const scale = 2 * Math.sqrt(2 / Math.PI);
  const inner = l.add(l.mul(l.mul(x, x), l.constF(0.044715 * scale)), l.constF(scale));
  return l.mul(x, l.sigmoid(l.mul(x, inner)));
}

/** x * sigmoid(alpha x). */
export function swish(l: LaneBuilder, x: Lane, alpha: number): Lane {
  return l.mul(x, l.sigmoid(alpha === 1 ? x : l.mul(x, l.constF(alpha))));
}

/** Between 0 and 1: alpha x + beta, cut. */
export function hardSigmoid(l: LaneBuilder, x: Lane, alpha: number, beta: number): Lane {
  const line = l.add(l.mul(x, l.constF(alpha)), l.constF(beta));
  return atMost(l, atLeast(l, line, l.constF(0)), l.constF(1));
}

/** alpha (e^x - 1) below zero. */
export function elu(l: LaneBuilder, x: Lane, alpha: number): Lane {
  const zero = l.constF(0);
  return l.select(l.lt(x, zero), l.mul(l.sub(l.exp(x), l.constF(1)), l.constF(alpha)), x);
}

export function leakyRelu(l: LaneBuilder, x: Lane, alpha: number): Lane {
  return l.select(l.lt(x, l.constF(0)), l.mul(x, l.constF(alpha)), x);
}

function selu(l: LaneBuilder, x: Lane, alpha: number, gamma: number): Lane {
  const below = l.mul(l.sub(l.exp(x), l.constF(1)), l.constF(alpha));
  return l.mul(l.select(l.lt(l.constF(0), x), x, below), l.constF(gamma));
}

function celu(l: LaneBuilder, x: Lane, alpha: number): Lane {
  const below = l.mul(l.sub(l.exp(l.div(x, l.constF(alpha))), l.constF(1)), l.constF(alpha));
  return l.select(l.lt(x, l.constF(0)), below, x);
}

function lowerPRelu(c: LowerContext, slope: Value): Value {
  return mapLike(
    c,
    (l, x, a) => {
      const scaled = x!.type === "i32" ? l.mulI(x!, a!) : l.mul(x!, a!);
      return selectLike(l, lessThan(l, x!, constLike(l, x!, 0)), scaled, x!);
    },
    slope,
  );
}

/** Before opset 7 a vector of slopes lies along the channels. */
function lowerOldPRelu(c: LowerContext): Value {
  const slope = c.input(1);
  const after = c.input(0).shape.length - 2;
  if (slope.shape.length !== 1 || slope.shape[0] === 1 || after < 1) return lowerPRelu(c, slope);
  return lowerPRelu(
    c,
    c.b.unsqueeze(
      slope,
      Array.from({ length: after }, (_, i) => i + 1),
    ),
  );
}

/** Beyond the threshold, moved toward zero by the bias; integers are computed as floats and cut off. */
function shrink(l: LaneBuilder, x: Lane, threshold: number, bias: number): Lane {
  const value = asFloat(l, x);
  const above = l.select(
    l.lt(l.constF(threshold), value),
    l.sub(value, l.constF(bias)),
    l.constF(0),
  );
  const result = l.select(l.lt(value, l.constF(-threshold)), l.add(value, l.constF(bias)), above);
  return x.type === "i32" ? l.toI(result) : result;
}

/** Gelu of ONNX and of com.microsoft, which has no attribute. */
function lowerGelu(c: LowerContext): Value {
  const body = c.string("approximate", "none") === "tanh" ? geluTanh : gelu;
  return mapLike(c, (l, x) => body(l, x!));
}

export const activationOperators: readonly OperatorRecord[] = [
  unary("Relu", 1, (l, x) => atLeast(l, x, constLike(l, x, 0))),
  unary("LeakyRelu", 1, (l, x, c) => leakyRelu(l, x, c.float("alpha", 0.01))),
  operator("PRelu", { since: 1, until: 6 }, lowerOldPRelu),
  operator("PRelu", 7, (c) => lowerPRelu(c, c.input(1))),
  unary("ThresholdedRelu", 10, (l, x, c) =>
    l.select(l.lt(l.constF(c.float("alpha", 1)), x), x, l.constF(0)),
  ),
  unary("Elu", 1, (l, x, c) => elu(l, x, c.float("alpha", 1))),
  unary("Selu", 1, (l, x, c) =>
    selu(
      l,
      x,
      c.float("alpha", 1.67326319217681884765625),
      c.float("gamma", 1.05070102214813232421875),
    ),
  ),
  unary("Celu", 12, (l, x, c) => celu(l, x, c.float("alpha", 1))),
  unary("HardSigmoid", 1, (l, x, c) =>
    hardSigmoid(l, x, c.float("alpha", 0.2), c.float("beta", 0.5)),
  ),
  unary("HardSwish", 14, (l, x) => l.mul(x, hardSigmoid(l, x, 1 / 6, 0.5))),
  unary("Softplus", 1, softplus),
  unary("Softsign", 1, (l, x) => l.div(x, l.add(l.abs(x), l.constF(1)))),
  unary("Shrink", 9, (l, x, c) => shrink(l, x, c.float("lambd", 0.5), c.float("bias", 0))),
  unary("Mish", 18, mish),
  unary("Swish", 24, (l, x, c) => swish(l, x, c.float("alpha", 1))),
  operator("Gelu", 20, lowerGelu),
  operator("SwiGLU", 28, (c) =>
    mapLike(c, (l, gate, x) => l.mul(swish(l, gate!, c.float("alpha", 1)), x!), c.input(1)),
  ),
];
