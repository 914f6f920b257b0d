/** Every operator, by family. One line here and one record in its family's file add an operator. */
import { InternalError } from "../support/diagnostic.js";
import { activationOperators } from "./activations.js";
import { castOperators } from "./casts.js";
import { controlFlowOperators } from "./control-flow.js";
import { elementwiseOperators } from "./elementwise.js";
import { logicOperators } from "./logic.js";
import { normalizationOperators } from "./normalization.js";
import { quantizationOperators } from "./quantization.js";
import { quantizedConvOperators } from "./quantized-conv.js";
import { contribNormOperators } from "./contrib-norms.js";
import { contribMathOperators } from "./contrib-math.js";
import { contribQuantizedOperators } from "./contrib-quantized.js";
import { weightOnlyOperators } from "./weight-only.js";
import { attentionOperators } from "./attention.js";
import { rotaryOperators } from "./rotary.js";
import { statefulOperators } from "./stateful.js";
import { contribAttentionOperators } from "./contrib-attention.js";
import { groupQueryOperators } from "./group-query.js";
import { flexAttentionOperators } from "./flex-attention.js";
import type { OperatorRecord } from "./record.js";
import { reductionOperators } from "./reductions.js";
import { shapeOperators } from "./shape.js";
import { movementOperators } from "./movement.js";
import { slicingOperators } from "./slicing.js";
import { paddingOperators } from "./padding.js";
import { resizeOperators } from "./resize.js";
import { samplingOperators } from "./sampling.js";
import { contractionOperators } from "./contraction.js";
import { deformConvOperators } from "./deform-conv.js";
import { einsumOperators } from "./einsum.js";
import { convolutionOperators } from "./convolution.js";
import { convTransposeOperators } from "./conv-transpose.js";
import { poolingOperators } from "./pooling.js";
import { regionOperators } from "./regions.js";
import { gatherOperators } from "./gather.js";
import { selectionOperators } from "./selection.js";
import { recurrentOperators } from "./recurrent.js";
import { sequenceOperators } from "./sequences.js";
import { stringOperators } from "./strings.js";
import { randomOperators } from "./random.js";
import { signalOperators } from "./signal.js";
import { lossOperators } from "./losses.js";
import { matrixOperators } from "./matrices.js";
import { trainingOperators } from "./training.js";
import { contribAliasOperators } from "./contrib-aliases.js";
import { softmaxOperators } from "./softmax.js";

export const operators: readonly OperatorRecord[] = [
  ...elementwiseOperators,
  ...logicOperators,
  ...activationOperators,
  ...softmaxOperators,
  ...reductionOperators,
  ...normalizationOperators,
  ...castOperators,
  ...quantizationOperators,
  ...controlFlowOperators,
  ...quantizedConvOperators,
  ...contribNormOperators,
  ...contribMathOperators,
  ...contribQuantizedOperators,
  ...weightOnlyOperators,
  ...attentionOperators,
  ...rotaryOperators,
  ...statefulOperators,
  ...contribAttentionOperators,
  ...groupQueryOperators,
  ...flexAttentionOperators,
  ...shapeOperators,
  ...movementOperators,
  ...slicingOperators,
  ...paddingOperators,
  ...resizeOperators,
  ...samplingOperators,
  ...deformConvOperators,
  ...contractionOperators,
  ...einsumOperators,
  ...convolutionOperators,
  ...convTransposeOperators,
  ...poolingOperators,
  ...regionOperators,
  ...gatherOperators,
  ...selectionOperators,
  ...recurrentOperators,
  ...sequenceOperators,
  ...stringOperators,
  ...randomOperators,
  ...signalOperators,
  ...lossOperators,
  ...matrixOperators,
  ...trainingOperators,
  ...contribAliasOperators,
];

/** Records of each `domain:name`, none of whose version ranges overlap. */
const byName = new Map<string, OperatorRecord[]>();
for (const record of operators) {
  const key = `${record.domain}:${record.name}`;
  const others = byName.get(key) ?? [];
  for (const other of others) {
    const apart = lastOpset(record) < other.since || lastOpset(other) < record.since;
    if (!apart) throw new InternalError(`two records are right for ${key} ${record.since}`);
  }
  byName.set(key, [...others, record]);
}

/** The record that is right for a version of its domain; undefined if there is none. "ai.onnx" is "". */
export function findOperator(
  domain: string,
  name: string,
  opset: number,
): OperatorRecord | undefined {
  const records = byName.get(`${domain === "ai.onnx" ? "" : domain}:${name}`) ?? [];
  return records.find((record) => record.since <= opset && opset <= lastOpset(record));
}

function lastOpset(record: OperatorRecord): number {
  return record.until ?? Infinity;
}
