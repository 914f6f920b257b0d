/** Operators of com.microsoft that are, or nearly are, operators of ai.onnx. */
import { contractionOperators } from "./contraction.js";
import { gatherOperators } from "./gather.js";
import type { Value } from "../ir/graph.js";
import { operator, operatorOfMany, withInputs } from "./helpers.js";
import { movementOperators } from "./movement.js";
import { namedActivation } from "./named-activations.js";
import { paddingOperators } from "./padding.js";
import { hostOperator, shapeless } from "./host.js";
import {
  Decline,
  type EvaluateContext,
  type HostValue,
  type LowerContext,
  type OperatorRecord,
} from "./record.js";
import { samplingOperators } from "./sampling.js";
import { evaluateUnique } from "./selection.js";
import { shapeOperators } from "./shape.js";
import { lowerLinearAttention, statefulOperators } from "./stateful.js";

const sameName = new Set(["Trilu", "GatherND", "Pad", "GridSample", "CausalConvWithState"]);

const domain = "com.microsoft";

const gemm = contractionOperators.find((record) => record.name === "Gemm")!;

/** Elements by their first occurrence; outputs are the elements, their positions among them, their counts. */
function evaluateContribUnique(c: EvaluateContext): readonly (HostValue | undefined)[] {
  const int = (name: string, defaultValue?: number) =>
    name === "sorted" ? 0 : c.int(name, defaultValue!);
  const [elements, , positions, counts] = evaluateUnique({ ...c, int } as EvaluateContext);
  return [elements, positions, counts];
}

/** The step may be left out. */
function lowerContribRange(c: LowerContext): Value {
  const step = c.inputs[2] ?? c.b.full(c.input(0).dtype, 1);
  return range.lower!(withInputs(c, { 2: step }))[0]!;
}

/** The rule says which of the inputs decay and beta count; ONNX's operator takes those that are there. */
function lowerContribLinearAttention(c: LowerContext): readonly (Value | undefined)[] {
  if (c.int("state_window", 0) !== 0) throw new Decline("states of several tokens are not lowered");
  const rule = c.string("update_rule", "gated_delta");
  if (!["linear", "gated", "delta", "gated_delta"].includes(rule)) {
    return c.invalid("L0108", `update_rule "${rule}" does not exist`);
  }
  const decay = rule.startsWith("gated") ? c.input(4) : undefined;
  const beta = rule.endsWith("delta") ? c.input(5) : undefined;
  return lowerLinearAttention(withInputs(c, { 4: decay, 5: beta }));
}

const range = shapeOperators.find((record) => record.name === "Range")!;

export const contribAliasOperators: readonly OperatorRecord[] = [
  ...[
    ...movementOperators,
    ...shapeOperators,
    ...gatherOperators,
    ...paddingOperators,
    ...samplingOperators,
    ...statefulOperators,
  ]
    .filter((record) => sameName.has(record.name))
    .map((record) => ({ ...record, domain, since: 1 })),
  operator("Range", { domain, since: 1 }, lowerContribRange),
  hostOperator("Unique", { domain, since: 1 }, evaluateContribUnique, ({ input }) =>
    shapeless(input(0).dtype, "i64", "i64"),
  ),
  operatorOfMany(
    "LinearAttention",
    { domain, since: 1, ranks: [3, 3, 3, 4, 3, 3] },
    lowerContribLinearAttention,
  ),
  operator("ExpandDims", { domain, since: 1 }, (c) => {
    const [axis] = c.knownInts(1, "the axis") ?? [];
    if (axis === undefined) return c.invalid("L0201", "the axis is missing");
    return c.b.unsqueeze(c.input(0), [c.axis(axis, c.input(0).shape.length + 1)]);
  }),
  operator("FusedGemm", { domain, since: 1 }, (c) => {
    const sum = gemm.lower!(c)[0]!;
    const name = c.string("activation", "");
    if (name === "") return sum;
    const alpha = c.float("activation_alpha");
    const activation = namedActivation(name, alpha, c.float("activation_beta"));
    if (activation === undefined) return c.invalid("L0108", `activation "${name}" does not exist`);
    return c.b.map(sum.dtype, [sum], (l, x) => activation(l, x!));
  }),
];
