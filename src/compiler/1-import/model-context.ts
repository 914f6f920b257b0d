/** What is read from the model once and shared by every attempt to import it and every subgraph. */
import type { AttributeValue, SubgraphTemplate } from "../../ir/onnx-node.js";
import type { DType } from "../../numerics/dtype.js";
import type { Tensor } from "../../numerics/tensor.js";
import { dtypeFromOnnx } from "../../onnx/dtypes.js";
import type { ExternalData } from "../../onnx/external.js";
import type { Model } from "../../onnx/model.js";
import type {
  FunctionProto,
  GraphProto,
  OperatorSetIdProto,
  SparseTensorProto,
  TensorProto,
  TypeProto,
} from "../../onnx/schema.js";
import { denseFromSparse, tensorFromProto, type TensorOptions } from "../../onnx/tensor.js";
import { fail, InternalError } from "../../support/diagnostic.js";
import type { Initializer } from "./body.js";

export interface ModelContext {
  /** Decoded tensors; each once, so that every attempt shares its data. */
  readonly tensor: (proto: TensorProto) => Tensor;
  readonly sparseTensor: (proto: SparseTensorProto) => Tensor;
  initializer(initializer: Initializer): Tensor;
  function(domain: string, name: string, overload: string): FunctionProto | undefined;
  /** Version by domain; L0104 outside what is supported. */
  opsetsOf(imports: readonly OperatorSetIdProto[]): ReadonlyMap<string, number>;
  declaredTypes(graph: GraphProto): ReadonlyMap<string, DType>;
  readonly functions: readonly FunctionProto[];
}

/** Opset versions of ai.onnx that the operator records are written for. */
const opsetMax = 28;

/** What a template was made from, for writing its node back to ONNX. */
export interface TemplateSource {
  readonly graph: GraphProto;
  readonly opsets: ReadonlyMap<string, number>;
  readonly model: ModelContext;
  /** Attributes of the function call that the subgraph stands in. */
  readonly caller: ReadonlyMap<string, AttributeValue> | undefined;
}

const sources = new WeakMap<SubgraphTemplate, TemplateSource>();

export function templateSource(template: SubgraphTemplate): TemplateSource {
  const source = sources.get(template);
  if (source === undefined) throw new InternalError("no import made this template");
  return source;
}

export function rememberTemplate(template: SubgraphTemplate, source: TemplateSource): void {
  sources.set(template, source);
}

export function createModelContext(model: Model, externalData?: ExternalData): ModelContext {
  const options: TensorOptions = externalData === undefined ? {} : { externalData };
  const tensors = new Map<TensorProto | SparseTensorProto, Tensor>();
  const decoded = <P extends TensorProto | SparseTensorProto>(
    decode: (proto: P, options: TensorOptions) => Tensor,
  ) => {
    return (proto: P): Tensor => {
      const known = tensors.get(proto);
      if (known !== undefined) return known;
      const tensor = decode(proto, options);
      tensors.set(proto, tensor);
      return tensor;
    };
  };
  const tensor = decoded(tensorFromProto);
  const sparseTensor = decoded(denseFromSparse);
  const functions = functionsOf(model);
  return {
    tensor,
    sparseTensor,
    initializer: ({ kind, proto }) => (kind === "dense" ? tensor(proto) : sparseTensor(proto)),
    function: (domain, name, overload) => functions.get(functionKey(domain, name, overload)),
    opsetsOf,
    declaredTypes,
    functions: model.functions,
  };
}

/** "ai.onnx" and "" are one domain. */
export function canonicalDomain(domain: string | undefined): string {
  return domain === "ai.onnx" || domain === undefined ? "" : domain;
}

/** Element type of a tensor, of the tensors in a sequence or optional, of the values of a map. */
export function elementTypeOf(type: TypeProto | undefined): DType | undefined {
  if (type === undefined) return undefined;
  const tensor = type.tensorType ?? type.sparseTensorType;
  if (tensor !== undefined) return dtypeFromOnnx(tensor.elemType ?? 0);
  if (type.mapType !== undefined) return elementTypeOf(type.mapType.valueType);
  return elementTypeOf((type.sequenceType ?? type.optionalType)?.elemType);
}

function functionsOf(model: Model): ReadonlyMap<string, FunctionProto> {
  const functions = new Map<string, FunctionProto>();
  for (const definition of model.functions) {
    const { domain, name = "", overload = "" } = definition;
    const key = functionKey(canonicalDomain(domain), name, overload);
    if (functions.has(key)) fail("L0105", `the model defines the function "${name}" twice`);
    functions.set(key, definition);
  }
  return functions;
}

function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([domain, name, overload]);
}

function opsetsOf(imports: readonly OperatorSetIdProto[]): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  // Files of IR versions 1 and 2 import nothing: they are of opset 1.
  if (imports.length === 0) opsets.set("", 1);
  for (const { domain: written, version = 1 } of imports) {
    const domain = canonicalDomain(written);
    opsets.set(domain, Math.max(version, opsets.get(domain) ?? 0));
  }
  const version = opsets.get("");
  if (version !== undefined && (version > opsetMax || version < 1)) {
    fail("L0104", `opset ${version} of ai.onnx is not supported`, {
      notes: [
        `supported are 7 to ${opsetMax}, and below 7 the operators that have not changed since`,
      ],
      hint: "convert the model, or export it again with another opset",
    });
  }
  return opsets;
}

function declaredTypes(graph: GraphProto): ReadonlyMap<string, DType> {
  const types = new Map<string, DType>();
  for (const { name, type } of [...graph.valueInfo, ...graph.output]) {
    const dtype = elementTypeOf(type);
    if (dtype !== undefined) types.set(name ?? "", dtype);
  }
  return types;
}
