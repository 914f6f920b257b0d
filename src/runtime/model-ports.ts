/** What a model declares of its inputs and outputs, for checks and metadata: names, types, dims. */
import { graphBody } from "../compiler/1-import/body.js";
import { elementTypeOf } from "../compiler/1-import/model-context.js";
import { declaredDims } from "../compiler/1-import/symbols.js";
import type { DType } from "../numerics/dtype.js";
import type { Model } from "../onnx/model.js";
import type { TypeProto, ValueInfoProto } from "../onnx/schema.js";

export interface ModelPort {
  readonly name: string;
  readonly kind: "tensor" | "sequence" | "optional" | "map";
  /** Undefined where the model does not say, or says a type that is not known. */
  readonly dtype: DType | undefined;
  /** Numbers and names; undefined where the rank is not declared. */
  readonly dims: readonly (number | string)[] | undefined;
  /** False for inputs that default to an initializer. */
  readonly required: boolean;
}

export function inputPorts(model: Model): readonly ModelPort[] {
  const { initializers } = graphBody(model.graph);
  return model.graph.input.map((input) => portOf(input, !initializers.has(input.name ?? "")));
}

export function outputPorts(model: Model): readonly ModelPort[] {
  return model.graph.output.map((output) => portOf(output, true));
}

function kindOf(type: TypeProto | undefined): ModelPort["kind"] {
  if (type?.sequenceType !== undefined) return "sequence";
  if (type?.mapType !== undefined) return "map";
  return type?.optionalType === undefined ? "tensor" : "optional";
}

function portOf(info: ValueInfoProto, required: boolean): ModelPort {
  return {
    name: info.name ?? "",
    kind: kindOf(info.type),
    dtype: elementTypeOf(info.type),
    dims: declaredDims(info),
    required,
  };
}
