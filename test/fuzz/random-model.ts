/** Random models that are mostly valid: a few nodes of any operators, each reading results of those before it. */
import { importModel } from "../../src/compiler/1-import/import.js";
import { optionsFor } from "../../src/compiler/1-import/evaluate-model.js";
import { isFloat } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { decodeModel, encodeModel } from "../../src/onnx/model.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import type { Init } from "../../src/onnx/wire.js";
import type { OperatorRecord } from "../../src/ops/record.js";
import { findOperator } from "../../src/ops/table.js";
import { type AttributeInit, modelProto, node } from "../support/onnx-builder.js";
import type { Random } from "../support/random.js";
import { Generator, type NodeDraft, type TypedName } from "./operators/generator.js";
import { operatorNames, rowOf } from "./operators/table.js";

export interface RandomModel {
  readonly file: Uint8Array;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly operators: readonly string[];
}

export function randomModel(r: Random): RandomModel {
  const first = r.pick(operatorNames);
  const opset = opsetFor(r, first);
  const g = new Generator(r, opset);
  const nodes: Init<NodeProto>[] = [];
  const operators: string[] = [];
  const count = r.pick([1, 1, 1, 2, 3, 4]);
  while (nodes.length < count) {
    const operator = operators.length === 0 ? first : r.pick(operatorNames);
    if (recordOf(operator, opset) === undefined) continue;
    const draft = rowOf(operator)(g, operator);
    nodes.push(...g.before.splice(0), nodeOf(operator, draft, nodes.length));
    operators.push(operator);
    if (nodes.length < count) g.results.push(...resultsOf(g, nodes));
  }
  return {
    file: fileOf(g, nodes, r.chance(0.75) ? dimNames[0] : r.pick(dimNames)),
    inputs: g.inputs,
    operators,
  };
}

/** One that has the operator, mostly of those in use. */
function opsetFor(r: Random, operator: string): number {
  const all = Array.from({ length: 22 }, (_, i) => i + 7).filter((opset) =>
    recordOf(operator, opset),
  );
  const usual = all.filter((opset) => opset >= 13 && opset <= 23);
  return usual.length > 0 && r.chance(0.7) ? r.pick(usual) : r.pick(all);
}

function recordOf(operator: string, opset: number): OperatorRecord | undefined {
  const [domain, name] = operator.includes("::") ? operator.split("::") : ["", operator];
  return findOperator(domain!, name!, domain === "" ? opset : domainVersion(domain!));
}

function domainVersion(domain: string): number {
  return domain === "ai.onnx.ml" ? 5 : 1;
}

function nodeOf(operator: string, draft: NodeDraft, index: number): Init<NodeProto> {
  const { inputs, attributes = {}, outputs = 1 } = draft;
  const names = inputs.map((x) => x?.name ?? "");
  while (names.at(-1) === "") names.pop();
  const given = Object.entries(attributes).filter(
    (entry): entry is [string, AttributeInit] => entry[1] !== undefined,
  );
  const results = Array.from({ length: outputs }, (_, i) => `y${index}.${i}`);
  return node(operator, names, results, Object.fromEntries(given));
}

/** How a dim is written: its extent, a name of its own, or one for all dims of that extent. */
type DimName = (input: string, axis: number, extent: number) => string | number;

const dimNames: readonly DimName[] = [
  (_input, _axis, extent) => extent,
  (input, axis) => `${input}d${axis}`,
  (_input, _axis, extent) => (extent < 2 ? extent : `N${extent}`),
];

function fileOf(
  g: Generator,
  nodes: readonly Init<NodeProto>[],
  dimName = dimNames[0]!,
): Uint8Array {
  const typeOf = (name: string, { dtype, shape }: Tensor): string =>
    `${dtype}[${shape.map((n, i) => dimName(name, i, n)).join(", ")}]`;
  const model = modelProto({
    opset: {
      "": g.opset,
      "com.microsoft": 1,
      "ai.onnx.ml": nodes.some(({ opType }) => opType === "TreeEnsemble") ? 5 : 4,
      "ai.onnx.preview": 1,
      "ai.onnx.preview.training": 1,
    },
    inputs: Object.fromEntries([...g.inputs].map(([name, x]) => [name, typeOf(name, x)])),
    initializers: Object.fromEntries(g.initializers),
    nodes,
    outputs: {},
  });
  const output = nodes.flatMap((n) => n.output ?? []).map((name) => ({ name }));
  return encodeModel({ ...model, graph: { ...model.graph!, output } });
}

/** What the last node makes, as the import sees it; nothing where that refuses the node. */
function resultsOf(g: Generator, nodes: readonly Init<NodeProto>[]): readonly TypedName[] {
  try {
    const model = decodeModel(fileOf(g, nodes));
    const { graph } = importModel(model, optionsFor(model, g.inputs));
    const made = new Set(nodes.at(-1)!.output);
    return graph.outputs.flatMap(({ name, value: { dtype, shape, unknownShape } }) => {
      const isKnown = !unknownShape && shape.every((dim) => typeof dim === "number");
      const isUseful = dtype === "string" || isFloat(dtype) || shape.length < 6;
      return made.has(name) && isKnown && isUseful
        ? [{ name, dtype, shape: shape as number[] }]
        : [];
    });
  } catch {
    // Whatever is wrong with it, the check of the whole model says so.
    return [];
  }
}
