/**
 * A model's operators against a host that has computed every tensor of it. The first node whose results are off is looked
 * at alone, on the host's inputs: a node that is right there only carries on what came before it.
 */
import { usesOf } from "../compiler/1-import/body.js";
import { evaluateModel } from "../compiler/1-import/evaluate-model.js";
import type { ImportOptions } from "../compiler/1-import/import.js";
import { dtypeToOnnx } from "../onnx/dtypes.js";
import { decodeModel, encodeModel, type Model } from "../onnx/model.js";
import type { GraphProto, NodeProto, ValueInfoProto } from "../onnx/schema.js";
import type { Init } from "../onnx/wire.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { judgeOutputs, type JudgeRule } from "../runtime/judge.js";
import { type Finding, worstDifference } from "./bisect-finding.js";
import { nodesOf } from "./support.js";

type Values = ReadonlyMap<string, HostValue>;

export interface OperatorCheck {
  readonly model: Model;
  readonly inputs: Values;
  readonly expected: Values;
  /** Every tensor of the main graph by its ONNX name, as far as a host has it. */
  readonly intermediates?: Values;
  readonly rule: JudgeRule;
  readonly importOptions: ImportOptions;
}

/** The model with the results of all nodes of its main graph among the outputs. */
export function withAllOutputs(model: Model): Model {
  const { graph } = model;
  const known = new Set(graph.output.map(({ name }) => name));
  const names = new Set(graph.node.flatMap(({ output }) => output));
  const inner = [...names].filter((name) => name !== "" && !known.has(name));
  return withGraph(model, {
    ...graph,
    output: [...graph.output, ...inner.map((name) => ({ name }))],
  });
}

/** Undefined where the op references give the expected outputs. */
export function checkOperators(check: OperatorCheck): Finding | undefined {
  const { model, inputs, expected, intermediates, rule, importOptions } = check;
  const ours = evaluateModel(model, inputs, importOptions);
  const wrong = [...expected].find(([name, value]) => isOff(name, ours.get(name), value, rule));
  if (wrong === undefined) return undefined;
  if (intermediates === undefined) {
    const [name, value] = wrong;
    return {
      ...findingAt(model, producerOf(model, name), name, ours.get(name), value),
      notes: ["no host has computed the tensors between: the fault may lie in any node before"],
    };
  }
  const all = evaluateModel(withAllOutputs(model), inputs, importOptions);
  const found = firstWrongNode(check, all, new Map([...inputs, ...intermediates]));
  if (found !== undefined) return found;
  const [name, value] = wrong;
  return {
    ...findingAt(model, producerOf(model, name), name, ours.get(name), value),
    notes: [
      "every node agrees with the host, so it is the host that differs from what is expected",
    ],
  };
}

function firstWrongNode(
  { model, rule, importOptions }: OperatorCheck,
  ours: Values,
  host: Values,
): Finding | undefined {
  let suspect: Finding | undefined;
  for (const [at, node] of model.graph.node.entries()) {
    const name = node.output.find((output) =>
      isOff(output, ours.get(output), host.get(output), rule),
    );
    if (name === undefined) continue;
    const found = findingAt(model, at, name, ours.get(name), host.get(name)!);
    const alone = aloneOn(model, node, host, importOptions);
    if (alone === undefined) return { ...found, notes: ["it cannot be run alone"] };
    const own = node.output.find((output) =>
      isOff(output, alone.get(output), host.get(output), rule),
    );
    if (own !== undefined) {
      return findingAt(model, at, own, alone.get(own), host.get(own)!);
    }
    suspect ??= {
      ...found,
      notes: ["on the host's inputs it is right: it amplifies what is within tolerance before it"],
    };
  }
  return suspect;
}

function isOff(
  name: string,
  got: HostValue | undefined,
  want: HostValue | undefined,
  rule: JudgeRule,
): boolean {
  if (want === undefined || !isTensor(want)) return false;
  const given = got === undefined ? new Map() : new Map([[name, got]]);
  return judgeOutputs(given, new Map([[name, want]]), rule).difference !== undefined;
}

/** The node's results from the host's tensors; undefined where it needs more than those. */
function aloneOn(
  model: Model,
  node: NodeProto,
  host: Values,
  options: ImportOptions,
): Values | undefined {
  const { graph } = model;
  const uses = usesOf(node);
  const initializers = graph.initializer.filter(({ name }) => uses.includes(name ?? ""));
  const constants = new Set(initializers.map(({ name }) => name));
  const names = uses.filter((name) => !constants.has(name));
  const inputs = new Map(
    names.flatMap((name) => (host.has(name) ? [[name, host.get(name)!]] : [])),
  );
  if (inputs.size < names.length || ![...inputs.values()].every(isTensor)) return undefined;
  const output = node.output.filter((name) => name !== "").map((name) => ({ name }));
  const input = [...inputs].map(([name, value]) => valueInfo(name, value));
  const alone = withGraph(model, {
    ...graph,
    node: [node],
    input,
    initializer: initializers,
    output,
  });
  try {
    return evaluateModel(alone, inputs, {
      ...(options.externalData === undefined ? {} : { externalData: options.externalData }),
    });
  } catch {
    // A shape depends on what is not there.
    return undefined;
  }
}

function valueInfo(name: string, value: HostValue): Init<ValueInfoProto> {
  if (!isTensor(value)) return { name };
  const dim = value.shape.map((extent) => ({ dimValue: extent }));
  return { name, type: { tensorType: { elemType: dtypeToOnnx(value.dtype), shape: { dim } } } };
}

function withGraph(model: Model, graph: Init<GraphProto>): Model {
  return decodeModel(encodeModel({ ...model, graph }));
}

function producerOf({ graph }: Model, name: string): number {
  return graph.node.findIndex(({ output }) => output.includes(name));
}

function findingAt(
  model: Model,
  at: number,
  name: string,
  got: HostValue | undefined,
  want: HostValue,
): Finding {
  const nodes =
    at < 0 ? [] : [nodesOf(model)[at]!].map(({ node, operator }) => ({ node, operator }));
  const difference = worstDifference(name, got, want);
  return {
    level: "operator",
    nodes,
    excerpt: at < 0 ? [] : [`> ${nodeText(model.graph.node[at]!)}`],
    notes: [],
    ...(difference === undefined ? {} : { difference }),
  };
}

function nodeText({ output, opType, input, attribute }: NodeProto): string {
  const attributes = attribute.map(({ name }) => name).join(", ");
  return `${output.join(", ")} = ${opType}(${input.join(", ")})${attributes === "" ? "" : ` {${attributes}}`}`;
}
