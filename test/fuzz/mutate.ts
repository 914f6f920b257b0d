/**
 * Mutations of decoded models, each a mistake or an oddity that a file may have. Some keep a model valid, most do
 * not; none knows whether it did.
 */
import type { Model } from "../../src/onnx/model.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import type { Random } from "../support/random.js";
import { attributeMutations } from "./mutate-attributes.js";
import { declarationMutations } from "./mutate-declarations.js";
import { tensorMutations } from "./mutate-tensors.js";
import { changeNode, changeOne, namesOf, without, withGraph } from "./edit.js";
import { operators } from "../../src/ops/table.js";
import { wrapMutations } from "./mutate-wraps.js";

export type Mutation = (model: Model, r: Random) => Model;

const nodeMutations: Readonly<Record<string, Mutation>> = {
  dropNode: (model, r) => withGraph(model, { node: without(model.graph.node, r) }),
  duplicateNode(model, r) {
    const { node } = model.graph;
    return node.length === 0 ? model : withGraph(model, { node: [...node, r.pick(node)] });
  },
  repeatNode(model, r) {
    const { node, output } = model.graph;
    if (node.length === 0) return model;
    const copy = r.pick(node);
    const outputs = copy.output.map((name) => (name === "" ? "" : `${name}.again`));
    const first = outputs.find((name) => name !== "");
    if (first === undefined) return model;
    return withGraph(model, {
      node: [...node, { ...copy, name: "", output: outputs }],
      output: [...output, { name: first }],
    });
  },
  shuffleNodes: (model, r) => withGraph(model, { node: r.shuffled(model.graph.node) }),
  swapInputs: (model, r) =>
    changeNode(model, r, (node) => ({ ...node, input: r.shuffled(node.input) })),
  rewireInput: (model, r) =>
    changeInput(model, r, () => r.pick([...namesOf(model.graph), "nowhere"])),
  leaveInputOut: (model, r) => changeInput(model, r, () => ""),
  dropInput: (model, r) =>
    changeNode(model, r, (node) => ({ ...node, input: without(node.input, r) })),
  dropLastInput: (model, r) =>
    changeNode(model, r, (node) => ({ ...node, input: node.input.slice(0, -1) })),
  addInput: (model, r) =>
    changeNode(model, r, (node) => ({
      ...node,
      input: [...node.input, r.pick([...namesOf(model.graph), ""])],
    })),
  readOwnOutput: (model, r) =>
    changeNode(model, r, (node) => ({
      ...node,
      input: changeOne(node.input, r, () => node.output[0] ?? ""),
    })),
  addOutput: (model, r) =>
    changeNode(model, r, (node) => ({
      ...node,
      output: [...node.output, `extra${r.integer(0, 9)}`],
    })),
  leaveOutputOut: (model, r) =>
    changeNode(model, r, (node) => ({ ...node, output: changeOne(node.output, r, () => "") })),
  dropOutput: (model, r) =>
    changeNode(model, r, (node) => ({ ...node, output: node.output.slice(0, -1) })),
  otherOperator: (model, r) =>
    changeNode(model, r, (node) => {
      const { name, domain } = r.pick(operators);
      return { ...node, opType: name, domain };
    }),
  unknownOperator: (model, r) =>
    changeNode(
      model,
      r,
      (node): NodeProto => ({ ...node, opType: r.pick(["", "NoSuchOp", "relu"]) }),
    ),
  otherDomain: (model, r) =>
    changeNode(model, r, (node) => ({
      ...node,
      domain: r.pick(["no.such", "com.microsoft", "ai.onnx"]),
    })),
};

function changeInput(model: Model, r: Random, change: () => string): Model {
  return changeNode(model, r, (node) => ({ ...node, input: changeOne(node.input, r, change) }));
}

const families: readonly (readonly Mutation[])[] = [
  nodeMutations,
  attributeMutations,
  attributeMutations,
  tensorMutations,
  declarationMutations,
  declarationMutations,
  wrapMutations,
].map((family) => Object.values(family));

export function mutate(model: Model, r: Random): Model {
  let result = model;
  for (let i = r.pick([1, 1, 1, 2, 3]); i > 0; i--) result = r.pick(r.pick(families))(result, r);
  return result;
}
