/** Every operator, by family. One line here and one record in its family's file add an operator. */
import { InternalError } from "../support/diagnostic.js";
import { activationOperators } from "./activations.js";
import { attentionOperators } from "./attention.js";
import { castOperators } from "./casts.js";
import { contractionOperators } from "./contraction.js";
import { contribAliasOperators } from "./contrib-aliases.js";
import { contribAttentionOperators } from "./contrib-attention.js";
import { contribLayerOperators } from "./contrib-layers.js";
import { contribMathOperators } from "./contrib-math.js";
import { contribMatrixOperators } from "./contrib-matrices.js";
import { contribNormOperators } from "./contrib-norms.js";
import { contribQuantizedOperators } from "./contrib-quantized.js";
import { controlFlowOperators } from "./control-flow.js";
import { convTransposeOperators } from "./conv-transpose.js";
import { convolutionOperators } from "./convolution.js";
import { deformConvOperators } from "./deform-conv.js";
import { einsumOperators } from "./einsum.js";
import { elementwiseOperators } from "./elementwise.js";
import { expertOperators } from "./experts.js";
import { flexAttentionOperators } from "./flex-attention.js";
import { gatherOperators } from "./gather.js";
import { groupQueryOperators } from "./group-query.js";
import { logicOperators } from "./logic.js";
import { lossOperators } from "./losses.js";
import { matrixOperators } from "./matrices.js";
import { movementOperators } from "./movement.js";
import { normalizationOperators } from "./normalization.js";
import { paddingOperators } from "./padding.js";
import { poolingOperators } from "./pooling.js";
import { gramOperators } from "./grams.js";
import { powerOperators } from "./powers.js";
import { quantizationOperators } from "./quantization.js";
import { quantizedConvOperators } from "./quantized-conv.js";
import { randomOperators } from "./random.js";
import type { OperatorRecord } from "./record.js";
import { recurrentOperators } from "./recurrent.js";
import { reductionOperators } from "./reductions.js";
import { regionOperators } from "./regions.js";
import { roiAlignOperators } from "./roi-align.js";
import { resizeOperators } from "./resize.js";
import { rotaryOperators } from "./rotary.js";
import { samplingOperators } from "./sampling.js";
import { selectionOperators } from "./selection.js";
import { sequenceOperators } from "./sequences.js";
import { shapeOperators } from "./shape.js";
import { signalOperators } from "./signal.js";
import { slicingOperators } from "./slicing.js";
import { treeOperators } from "./trees.js";
import { mlFeatureOperators } from "./ml-features.js";
import { mlMapOperators } from "./ml-maps.js";
import { mlModelOperators } from "./ml-models.js";
import { softmaxOperators } from "./softmax.js";
import { statefulOperators } from "./stateful.js";
import { stringOperators } from "./strings.js";
import { trainingOperators } from "./training.js";
import { weightOnlyOperators } from "./weight-only.js";

export const operators: readonly OperatorRecord[] = [
  ...elementwiseOperators,
  ...powerOperators,
  ...logicOperators,
  ...activationOperators,
  ...castOperators,
  ...softmaxOperators,
  ...reductionOperators,
  ...normalizationOperators,
  ...shapeOperators,
  ...movementOperators,
  ...slicingOperators,
  ...paddingOperators,
  ...gatherOperators,
  ...selectionOperators,
  ...contractionOperators,
  ...einsumOperators,
  ...matrixOperators,
  ...convolutionOperators,
  ...convTransposeOperators,
  ...deformConvOperators,
  ...poolingOperators,
  ...regionOperators,
  ...roiAlignOperators,
  ...resizeOperators,
  ...samplingOperators,
  ...recurrentOperators,
  ...attentionOperators,
  ...rotaryOperators,
  ...statefulOperators,
  ...flexAttentionOperators,
  ...quantizationOperators,
  ...quantizedConvOperators,
  ...signalOperators,
  ...randomOperators,
  ...lossOperators,
  ...trainingOperators,
  ...stringOperators,
  ...gramOperators,
  ...sequenceOperators,
  ...controlFlowOperators,
  ...contribMathOperators,
  ...contribMatrixOperators,
  ...contribNormOperators,
  ...contribLayerOperators,
  ...expertOperators,
  ...contribAttentionOperators,
  ...groupQueryOperators,
  ...contribQuantizedOperators,
  ...weightOnlyOperators,
  ...contribAliasOperators,
  ...treeOperators,
  ...mlFeatureOperators,
  ...mlModelOperators,
  ...mlMapOperators,
];

/** Records by `domain:name`; throws where two are right for one version. */
export function indexOperators(
  records: readonly OperatorRecord[],
): ReadonlyMap<string, readonly OperatorRecord[]> {
  const byName = new Map<string, OperatorRecord[]>();
  for (const record of records) {
    const key = `${record.domain}:${record.name}`;
    const others = byName.get(key) ?? [];
    for (const other of others) {
      const apart = lastOpset(record) < other.since || lastOpset(other) < record.since;
      if (!apart) {
        const version = Math.max(record.since, other.since);
        throw new InternalError(`two records are right for version ${version} of ${key}`);
      }
    }
    byName.set(key, [...others, record]);
  }
  return byName;
}

const index = indexOperators(operators);

/** The record that is right for a version of its domain; undefined if there is none. "ai.onnx" is "". */
export function findOperator(
  domain: string,
  name: string,
  opset: number,
): OperatorRecord | undefined {
  const records = index.get(`${domain === "ai.onnx" ? "" : domain}:${name}`) ?? [];
  return records.find((record) => record.since <= opset && opset <= lastOpset(record));
}

function lastOpset(record: OperatorRecord): number {
  return record.until ?? Infinity;
}
