/**
 * The optimizers of ai.onnx.preview.training: one step for any number of tensors at once. Gradient, which
 * differentiates a graph, is not here.
 */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { operatorOfMany, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

const versions = { domain: "ai.onnx.preview.training", since: 1 };

export const trainingOperators: readonly OperatorRecord[] = [
  operatorOfMany("Adagrad", versions, (c) => eachTensor(c, 3, adagrad)),
  operatorOfMany("Adam", versions, (c) => eachTensor(c, 4, adam)),
  operatorOfMany("Momentum", versions, (c) => eachTensor(c, 3, momentum)),
];

/** New tensor and new states, from the tensor, its gradient and its states. */
type Update = (
  c: LowerContext,
  rate: Value,
  count: Value,
  own: readonly Value[],
) => readonly Value[];

/**
 * Inputs: rate, number of updates, then all tensors, all gradients, all first states, .. (`roles` kinds of
 * them); outputs: all tensors, all first states, ..
 */
function eachTensor(c: LowerContext, roles: number, update: Update): readonly Value[] {
  const tensors = (c.inputs.length - 2) / roles;
  if (!Number.isInteger(tensors)) {
    return c.invalid("L0201", `${c.inputs.length - 2} tensors do not come in groups of ${roles}`);
  }
  const results = range(0, tensors).map((i) => {
    const own = range(0, roles).map((role) => c.input(2 + role * tensors + i));
    return update(c, c.input(0), c.input(1), own);
  });
  return range(0, roles - 1).flatMap((role) => results.map((result) => result[role]!));
}

/** The gradient plus that of the squared norm. */
function regularized(c: LowerContext, x: Value, gradient: Value): Value {
  const norm = c.float("norm_coefficient", 0);
  if (norm === 0) return gradient;
  return c.b.map(x.dtype, [x, gradient], (l, v, g) => l.add(l.mul(v!, l.constF(norm)), g!));
}

function squareRootPlus(l: LaneBuilder, x: Lane, epsilon: number): Lane {
  return l.add(l.sqrt(x), l.constF(epsilon));
}

const adagrad: Update = (c, rate, count, [x, gradient, squares]) => {
  const { dtype } = x!;
  const epsilon = c.float("epsilon", 0);
  const decay = c.float("decay_factor", 0);
  const g = regularized(c, x!, gradient!);
  const sum = c.b.map(dtype, [squares!, g], (l, h, d) => l.add(h!, l.mul(d!, d!)));
  const slower = c.b.map(dtype, [rate, c.b.cast(count, dtype)], (l, r, t) =>
    l.div(r!, l.add(l.mul(t!, l.constF(decay)), l.constF(1))),
  );
  const next = c.b.map(dtype, [x!, g, sum, slower], (l, v, d, h, r) =>
    l.sub(v!, l.div(l.mul(r!, d!), squareRootPlus(l, h!, epsilon))),
  );
  return [next, sum];
};

const adam: Update = (c, rate, count, [x, gradient, first, second]) => {
  const { dtype } = x!;
  const [alpha, beta] = [c.float("alpha", 0.9), c.float("beta", 0.999)];
  const epsilon = c.float("epsilon", 0);
  const kept = 1 - c.float("norm_coefficient_post", 0);
  const g = regularized(c, x!, gradient!);
  const v = c.b.map(dtype, [first!, g], (l, m, d) =>
    l.add(l.mul(m!, l.constF(alpha)), l.mul(d!, l.constF(1 - alpha))),
  );
  const h = c.b.map(dtype, [second!, g], (l, s, d) =>
    l.add(l.mul(s!, l.constF(beta)), l.mul(l.mul(d!, d!), l.constF(1 - beta))),
  );
  const adjusted = c.b.map(dtype, [rate, c.b.cast(count, dtype)], (l, r, t) => {
    const one = l.constF(1);
    const grown = l.sqrt(l.sub(one, l.pow(l.constF(beta), t!)));
    const corrected = l.div(l.mul(r!, grown), l.sub(one, l.pow(l.constF(alpha), t!)));
    return l.select(l.lt(l.constF(0), t!), corrected, r!);
  });
  const next = c.b.map(dtype, [x!, v, h, adjusted], (l, w, m, s, r) => {
    const moved = l.sub(w!, l.div(l.mul(r!, m!), squareRootPlus(l, s!, epsilon)));
    return kept === 1 ? moved : l.mul(moved, l.constF(kept));
  });
  return [next, v, h];
};

const momentum: Update = (c, rate, count, [x, gradient, velocity]) => {
  const { dtype } = x!;
  const alpha = c.float("alpha") ?? c.invalid("L0108", "alpha is missing");
  const beta = c.float("beta") ?? c.invalid("L0108", "beta is missing");
  const isNesterov = c.string("mode", "standard") === "nesterov";
  const g = regularized(c, x!, gradient!);
  const next = c.b.map(dtype, [velocity!, g, c.b.cast(count, dtype)], (l, v, d, t) => {
    const weight = l.select(l.lt(l.constF(0), t!), l.constF(beta), l.constF(1));
    return l.add(l.mul(v!, l.constF(alpha)), l.mul(d!, weight));
  });
  const moved = c.b.map(dtype, [x!, next, g, rate], (l, w, v, d, r) => {
    const step = isNesterov ? l.add(d!, l.mul(v!, l.constF(alpha))) : v!;
    return l.sub(w!, l.mul(r!, step));
  });
  return [moved, next];
};
