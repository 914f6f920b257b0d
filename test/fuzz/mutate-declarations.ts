/** Mutations of what a model declares: types and shapes of inputs, outputs, opsets. */
import type { Model } from "../../src/onnx/model.js";
import type { TypeProto, ValueInfoProto } from "../../src/onnx/schema.js";
import type { Random } from "../support/random.js";
import { changeOne, namesOf, withGraph } from "./edit.js";
import type { Mutation } from "./mutate.js";

const extents = [0, 1, 2, 3, 5, 7, 33, -1, -2, 65536, 2 ** 31, 2 ** 40, 2 ** 53] as const;
const symbols = ["N", "T", "N+1", "2*N", "N//2", "N*", "a b", "", "floor(N/2)", "N-5"] as const;

export const declarationMutations: Readonly<Record<string, Mutation>> = {
  extent: (model, r) =>
    changeDims(model, r, (dims) => changeOne(dims, r, () => ({ dimValue: r.pick(extents) }))),
  smallExtent: (model, r) =>
    changeDims(model, r, (dims) => changeOne(dims, r, () => ({ dimValue: r.integer(0, 3) }))),
  symbol: (model, r) =>
    changeDims(model, r, (dims) => changeOne(dims, r, () => ({ dimParam: r.pick(symbols) }))),
  allOpen: (model, r) =>
    changeDims(model, r, (dims) => dims.map((_, i) => ({ dimParam: `d${i}` }))),
  rank: (model, r) =>
    changeDims(model, r, (dims) =>
      r.pick([dims.slice(1), dims.slice(0, -1), [...dims, { dimValue: 1 }], []]),
    ),
  noShape: (model, r) => changeType(model, r, ({ elemType = 1 }) => ({ tensorType: { elemType } })),
  elementType: (model, r) =>
    changeType(model, r, (type) => ({ tensorType: { ...type, elemType: r.integer(0, 27) } })),
  otherKind: (model, r) =>
    changeType(model, r, (tensorType) =>
      r.pick<TypeProto>([
        { sequenceType: { elemType: { tensorType } } },
        { optionalType: { elemType: { tensorType } } },
        { mapType: { keyType: 7, valueType: { tensorType } } },
        {},
      ]),
    ),
  noType: (model, r) => changeInput(model, r, ({ name = "" }) => ({ name })),
  dropInput: (model) => withGraph(model, { input: model.graph.input.slice(0, -1) }),
  repeatInput: (model) =>
    withGraph(model, { input: [...model.graph.input, ...model.graph.input.slice(0, 1)] }),
  innerOutput: (model, r) =>
    withGraph(model, {
      output: [...model.graph.output, { name: r.pick([...namesOf(model.graph), "nowhere"]) }],
    }),
  declaredOutput: (model, r) =>
    withGraph(model, {
      output: changeOne(model.graph.output, r, ({ name = "" }) => ({
        name,
        type: { tensorType: { elemType: r.integer(0, 17), shape: { dim: [{ dimValue: 3 }] } } },
      })),
    }),
  noOutputs: (model) => withGraph(model, { output: [] }),
  inputAsOutput: (model) =>
    withGraph(model, { output: model.graph.input.map(({ name = "" }) => ({ name })) }),
  opset: (model, r) => ({
    ...model,
    opsetImport: changeOne(model.opsetImport, r, ({ domain = "" }) => ({
      domain,
      version: r.pick([
        -1, 0, 1, 5, 6, 7, 9, 10, 11, 12, 13, 15, 17, 18, 20, 22, 24, 26, 28, 29, 1e6,
      ]),
    })),
  }),
  noOpsets: (model) => ({ ...model, opsetImport: [] }),
  repeatOpset: (model) => ({
    ...model,
    opsetImport: [...model.opsetImport, { domain: "ai.onnx", version: 13 }],
  }),
  inputIsInitializer(model) {
    const [tensor] = model.graph.initializer;
    if (tensor === undefined) return model;
    const dim = tensor.dims.map((dimValue) => ({ dimValue }));
    const type = { tensorType: { elemType: tensor.dataType ?? 1, shape: { dim } } };
    return withGraph(model, { input: [...model.graph.input, { name: tensor.name ?? "", type }] });
  },
};

type TensorType = NonNullable<TypeProto["tensorType"]>;
type Dims = NonNullable<TensorType["shape"]>["dim"];

function changeInput(
  model: Model,
  r: Random,
  change: (input: ValueInfoProto) => ValueInfoProto,
): Model {
  return withGraph(model, { input: changeOne(model.graph.input, r, change) });
}

function changeType(model: Model, r: Random, change: (type: TensorType) => TypeProto): Model {
  return changeInput(model, r, ({ name = "", type }) => ({
    name,
    type: change(type?.tensorType ?? {}),
  }));
}

function changeDims(model: Model, r: Random, change: (dims: Dims) => Dims): Model {
  return changeType(model, r, (type) => ({
    tensorType: { ...type, shape: { dim: change(type.shape?.dim ?? []) } },
  }));
}
