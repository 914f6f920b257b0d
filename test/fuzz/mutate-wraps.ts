/** Mutations that keep a model's meaning but say it otherwise: nodes in functions and subgraphs, with captures. */
import type { Model } from "../../src/onnx/model.js";
import {
  type AttributeProto,
  attributeTypes,
  type GraphProto,
  type NodeProto,
} from "../../src/onnx/schema.js";
import { dtypeToOnnx } from "../../src/onnx/dtypes.js";
import type { Random } from "../support/random.js";
import { replaced, withGraph } from "./edit.js";
import { valueInfo } from "./fragments.js";
import type { Mutation } from "./mutate.js";

export const wrapMutations: Readonly<Record<string, Mutation>> = {
  /** An If whose branches are the node, reading what it read from outside; its condition an input or a constant. */
  inBranches: (model, r) =>
    replaceNode(model, r, (node, index) => {
      const condition = `condition.${index}`;
      const branch = branchOf(node);
      const attribute = ["then_branch", "else_branch"].map((name) => graphAttribute(name, branch));
      const choose: NodeProto = {
        opType: "If",
        input: [condition],
        output: node.output,
        attribute,
      };
      return {
        nodes: [choose],
        graph: r.chance(0.5)
          ? { input: [...model.graph.input, valueInfo(condition, { dtype: "bool", shape: [] })] }
          : { initializer: [...model.graph.initializer, trueTensor(condition)] },
      };
    }),
  inFunction: (model, r) => {
    const { node } = model.graph;
    const index = r.integer(0, Math.max(0, node.length - 1));
    const wrapped = node[index];
    if (wrapped === undefined || wrapped.attribute.some(({ g }) => g !== undefined)) return model;
    const parameters = wrapped.input.map((name, i) => (name === "" ? "" : `in${i}`));
    const results = wrapped.output.map((name, i) => (name === "" ? "" : `out${i}`));
    const name = `F${index}`;
    const call: NodeProto = {
      opType: name,
      domain: "wrapped",
      input: wrapped.input.filter((n) => n !== ""),
      output: wrapped.output.filter((n) => n !== ""),
      attribute: [],
    };
    return {
      ...withGraph(model, { node: replaced(node, index, call) }),
      opsetImport: [...model.opsetImport, { domain: "wrapped", version: 1 }],
      functions: [
        ...model.functions,
        {
          name,
          domain: "wrapped",
          input: parameters.filter((n) => n !== ""),
          output: results.filter((n) => n !== ""),
          attribute: [],
          attributeProto: [],
          valueInfo: [],
          opsetImport: model.opsetImport,
          node: [{ ...wrapped, input: parameters, output: results }],
        },
      ],
    };
  },
  throughIdentity: (model, r) =>
    replaceNode(model, r, (node) => {
      const [first, ...rest] = node.output;
      if (first === undefined || first === "") return { nodes: [node] };
      const inner = `${first}.inner`;
      return {
        nodes: [
          { ...node, output: [inner, ...rest] },
          { opType: "Identity", input: [inner], output: [first], attribute: [] },
        ],
      };
    }),
};

interface Replacement {
  readonly nodes: readonly NodeProto[];
  readonly graph?: Partial<GraphProto>;
}

function replaceNode(
  model: Model,
  r: Random,
  replace: (node: NodeProto, index: number) => Replacement,
): Model {
  const { node } = model.graph;
  if (node.length === 0) return model;
  const index = r.integer(0, node.length - 1);
  const { nodes, graph } = replace(node[index]!, index);
  return withGraph(model, { ...graph, node: replaced(node, index, ...nodes) });
}

function branchOf(node: NodeProto): GraphProto {
  const inner = node.output.map((name) => (name === "" ? "" : `${name}.branch`));
  return {
    name: "branch",
    node: [{ ...node, output: inner }],
    initializer: [],
    input: [],
    output: inner.filter((name) => name !== "").map((name) => ({ name })),
    valueInfo: [],
    sparseInitializer: [],
  };
}

function graphAttribute(name: string, g: GraphProto): AttributeProto {
  const { graph: type } = attributeTypes;
  return { name, type, g, floats: [], ints: [], strings: [], tensors: [], graphs: [] };
}

function trueTensor(name: string): GraphProto["initializer"][number] {
  return {
    name,
    dims: [],
    dataType: dtypeToOnnx("bool"),
    rawData: Uint8Array.of(1),
    floatData: new Float32Array(0),
    int32Data: new Int32Array(0),
    stringData: [],
    int64Data: new BigInt64Array(0),
    doubleData: new Float64Array(0),
    uint64Data: new BigUint64Array(0),
    externalData: [],
  };
}
