/** Operators of com.microsoft that are, or nearly are, operators of ai.onnx. */
import { contractionOperators } from "./contraction.js";
import { gatherOperators } from "./gather.js";
import { operator } from "./helpers.js";
import { movementOperators } from "./movement.js";
import { namedActivation } from "./named-activations.js";
import { paddingOperators } from "./padding.js";
import type { OperatorRecord } from "./record.js";
import { samplingOperators } from "./sampling.js";
import { selectionOperators } from "./selection.js";
import { shapeOperators } from "./shape.js";

const sameName = new Set(["Trilu", "Range", "Unique", "GatherND", "Pad", "GridSample"]);

const domain = "com.microsoft";

const gemm = contractionOperators.find((record) => record.name === "Gemm")!;

export const contribAliasOperators: readonly OperatorRecord[] = [
  ...[
    ...movementOperators,
    ...shapeOperators,
    ...selectionOperators,
    ...gatherOperators,
    ...paddingOperators,
    ...samplingOperators,
  ]
    .filter((record) => sameName.has(record.name))
    .map((record) => ({ ...record, domain, since: 1 })),
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
