/** How a random node of every operator is made: by its row, or of any tensors where nobody has written one. */
import { operators } from "../../../src/ops/table.js";
import { classicalRows } from "./classical.js";
import { contractionRows } from "./contraction.js";
import { contribLayerRows } from "./contrib-layers.js";
import { contribRows } from "./contrib.js";
import { controlRows } from "./control.js";
import { elementwiseRows } from "./elementwise.js";
import type { Row } from "./generator.js";
import { hostRows } from "./host.js";
import { layerRows } from "./layers.js";
import { movementRows } from "./movement.js";

/** By operator, with its domain before `::` unless that is ai.onnx. */
export const rows: Readonly<Record<string, Row>> = {
  ...elementwiseRows,
  ...movementRows,
  ...contractionRows,
  ...layerRows,
  ...hostRows,
  ...controlRows,
  ...contribRows,
  ...contribLayerRows,
  ...classicalRows,
};

export const operatorNames: readonly string[] = [
  ...new Set(operators.map(({ domain, name }) => (domain === "" ? name : `${domain}::${name}`))),
].sort();

export function rowOf(operator: string): Row {
  return rows[operator] ?? anyTensors;
}

const anyTensors: Row = (g) => ({
  inputs: Array.from({ length: g.r.integer(1, 3) }, () => g.valueOf(() => g.any())),
});
