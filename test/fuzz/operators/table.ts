/** All rows: how a random node of every operator is made. */
import { contractionRows } from "./contraction.js";
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
};
