/**
 * Imports the nodes of one body into a builder: names are looked up, functions of the model and Ifs whose
 * condition is known put in place, subgraphs kept as templates. What an operator becomes is in
 * `apply-record.ts`; the rules of the format are checked in `body.ts`.
 */
import type { GraphBuilder } from "../../ir/builder.js";
import { createGraphBuilder } from "../../ir/build/graph-builder.js";
import type { Graph, Value } from "../../ir/graph.js";
import { valueInBody } from "../../ir/build/loop-builder.js";
import type { AttributeValue, OnnxNode, SubgraphTemplate } from "../../ir/onnx-node.js";
import type { FunctionProto, GraphProto } from "../../onnx/schema.js";
import { atNode } from "../../ops/context.js";
import type { OperatorRecord } from "../../ops/record.js";
import { findOperator } from "../../ops/table.js";
import {
  type Diagnostic,
  DiagnosticError,
  fail,
  InternalError,
  type Place,
} from "../../support/diagnostic.js";
import { applyRecord, type NodeInputs } from "./apply-record.js";
import { readAttributes } from "./attributes.js";
import {
  type Body,
  type BodyNode,
  functionBody,
  graphBody,
  liveNodes,
  nestingMax,
} from "./body.js";
import { type Frame, freeName } from "./frame.js";
import { requireBounded } from "./function-sizes.js";
import { canonicalDomain, rememberTemplate } from "./model-context.js";
import type { NodeTraits } from "./parts.js";

/** Values by name; undefined where a function's optional input was left out. */
export type Bindings = ReadonlyMap<string, Value | undefined>;

/** All values of the model's own graph, all of whose operators are looked up before any is imported. */
export function importGraph(frame: Frame, body: Body, inputs: Bindings): Bindings {
  requireBounded(frame.model, body);
  requireOperators(frame, body);
  return importScope(frame, body, inputs).values;
}

/** The body's outputs. `outer` holds what it captures. */
function importBody(
  frame: Frame,
  body: Body,
  inputs: Bindings,
  outer?: Scope,
): readonly (Value | undefined)[] {
  const scope = importScope(frame, body, inputs, outer);
  return body.outputNames.map((name) => scope.values.get(name));
}

/** With the body's outputs among the values, and all that they are computed from. */
function importScope(frame: Frame, body: Body, inputs: Bindings, outer?: Scope): Scope {
  if (frame.depth > nestingMax) {
    fail("L0105", `subgraphs and function calls nest deeper than ${nestingMax}`);
  }
  const scope: Scope = { frame, body, values: new Map(inputs), outer };
  for (const node of liveNodes(body, body.outputNames)) {
    const outputs = importNode(frame, node, scope);
    node.proto.output.forEach((name, index) => {
      if (name === "") return;
      const value = outputs[index] ?? lacksOutput(frame, node, index);
      scope.values.set(name, value);
      frame.b.name(value, freeName(frame, name));
    });
  }
  for (const name of body.outputNames) scope.values.set(name, lookUp(scope, name));
  return scope;
}

/** What a cut of the model's own graph goes by: functions and branches can be lowered if their nodes can. */
export function traitsOf(frame: Frame, { proto }: BodyNode): NodeTraits {
  const domain = canonicalDomain(proto.domain);
  const operator = proto.opType ?? "";
  const isFunction = frame.model.function(domain, operator, proto.overload ?? "") !== undefined;
  const record = findOperator(domain, operator, frame.opsets.get(domain) ?? 1);
  return {
    lowers: isFunction || record?.lower !== undefined,
    isRandom: record?.isRandom === true,
  };
}

function lacksOutput(frame: Frame, { name, proto }: BodyNode, index: number): never {
  fail("L0105", `the operator has no output ${index} in this form`, {
    place: {
      node: frame.prefix + name,
      operator: proto.opType ?? "",
      tensor: proto.output[index]!,
    },
  });
}

/** Names of one body's values, innermost first. Initializers become constants when they are first used. */
interface Scope {
  readonly frame: Frame;
  readonly body: Body;
  readonly values: Map<string, Value | undefined>;
  readonly outer: Scope | undefined;
}

function lookUp(scope: Scope, name: string): Value | undefined {
  if (scope.values.has(name)) return scope.values.get(name);
  const initializer = scope.body.initializers.get(name);
  if (initializer !== undefined) {
    const { model, b } = scope.frame;
    const value = b.constant(model.initializer(initializer), freeName(scope.frame, name));
    scope.values.set(name, value);
    return value;
  }
  if (scope.outer === undefined) fail("L0105", `the name "${name}" is not defined`);
  return lookUp(scope.outer, name);
}

function importNode(frame: Frame, node: BodyNode, scope: Scope): readonly (Value | undefined)[] {
  const { proto } = node;
  const domain = canonicalDomain(proto.domain);
  const operator = proto.opType ?? "";
  const name = frame.prefix + node.name;
  const place: Place = { node: name, operator };
  frame.b.setOrigins([{ node: name, operator }]);
  try {
    const inputs = proto.input.map((n) => (n === "" ? undefined : lookUp(scope, n)));
    const attributes = readAttributes(proto.attribute, {
      tensor: frame.model.tensor,
      sparseTensor: frame.model.sparseTensor,
      graph: (graph) => subgraphTemplate(frame, graph, scope),
      caller: frame.caller,
    });
    const definition = frame.model.function(domain, operator, proto.overload ?? "");
    if (definition !== undefined)
      return callFunction(frame, { name, attributes, inputs }, definition);
    const branch = chosenBranch(proto, inputs[0]);
    if (branch !== undefined) return importBranch(frame, branch, scope);
    const opset = opsetOf(frame, domain, place);
    const record = recordOf(domain, operator, opset, place);
    const onnxNode: OnnxNode = {
      name,
      operator,
      domain,
      opset,
      attributes,
      inputNames: proto.input,
      outputNames: proto.output,
    };
    return applyRecord(frame, onnxNode, record, { inputs, captured: capturedBy(onnxNode, scope) });
  } catch (error) {
    if (error instanceof DiagnosticError) throw atNode(error, { name, operator });
    if (error instanceof InternalError && !error.message.startsWith("importing ")) {
      throw new InternalError(`importing ${operator} "${name}": ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

function opsetOf(frame: Frame, domain: string, place: Place): number {
  const opset = frame.opsets.get(domain);
  if (opset !== undefined) return opset;
  // ONNX Runtime's own writers leave their domain out now and then; it has one version.
  if (domain === "com.microsoft") return 1;
  fail("L0104", `the model imports no version of the domain "${domain || "ai.onnx"}"`, { place });
}

/** No opset of any domain is that high. */
const lastOpset = 1000;

function recordOf(domain: string, operator: string, opset: number, place: Place): OperatorRecord {
  const record = findOperator(domain, operator, opset);
  if (record !== undefined) return record;
  const where = `opset ${opset} of ${domain || "ai.onnx"}`;
  for (let later = opset + 1; later <= lastOpset; later++) {
    if (findOperator(domain, operator, later) === undefined) continue;
    fail("L0103", `the operator is not known in ${where}`, {
      place,
      hint: `it is from opset ${later} on: convert the model`,
    });
  }
  fail("L0103", `the operator does not exist in ${where}`, { place });
}

/** Every operator of the body that has no record, each with the first node that needs it. */
function requireOperators(frame: Frame, body: Body): void {
  const missing = new Map<string, Diagnostic>();
  for (const { proto, name } of liveNodes(body, body.outputNames)) {
    const domain = canonicalDomain(proto.domain);
    const operator = proto.opType ?? "";
    const key = `${domain}:${operator}`;
    if (missing.has(key) || frame.model.function(domain, operator, proto.overload ?? "")) continue;
    const place = { node: name, operator };
    try {
      recordOf(domain, operator, opsetOf(frame, domain, place), place);
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      missing.set(key, error.diagnostics[0]!);
    }
  }
  if (missing.size > 0) throw new DiagnosticError([...missing.values()]);
}

interface Call extends Pick<NodeInputs, "inputs"> {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, AttributeValue>;
}

/** The body of a function of the model in place of the node that calls it. */
function callFunction(
  frame: Frame,
  { name, attributes, inputs }: Call,
  definition: FunctionProto,
): readonly (Value | undefined)[] {
  const body = functionBody(definition);
  const defaults = readAttributes(definition.attributeProto, {
    tensor: frame.model.tensor,
    sparseTensor: frame.model.sparseTensor,
    graph: () => fail("L0108", "a default of a function's attribute cannot be a graph"),
    caller: undefined,
  });
  const inner: Frame = {
    ...frame,
    opsets: frame.model.opsetsOf(definition.opsetImport),
    caller: new Map([...defaults, ...attributes]),
    prefix: `${name}/`,
    depth: frame.depth + 1,
    declared: new Map(),
  };
  return importBody(inner, body, new Map(body.inputNames.map((n, i) => [n, inputs[i]])));
}

/** The branch that an If with a known condition takes. */
function chosenBranch(
  proto: BodyNode["proto"],
  condition: Value | undefined,
): GraphProto | undefined {
  if (proto.opType !== "If" || canonicalDomain(proto.domain) !== "") return undefined;
  const isBool = condition?.dtype === "bool" && condition.data?.data.length === 1;
  if (!isBool) return undefined;
  const name = Number(condition.data!.data[0]) === 0 ? "else_branch" : "then_branch";
  return proto.attribute.find((attribute) => attribute.name === name)?.g;
}

function importBranch(
  frame: Frame,
  graph: GraphProto,
  scope: Scope,
): readonly (Value | undefined)[] {
  const inner = { ...frame, depth: frame.depth + 1, declared: frame.model.declaredTypes(graph) };
  return importBody(inner, graphBody(graph), new Map(), scope);
}

function capturedBy(node: OnnxNode, scope: Scope): readonly Value[] {
  return [...node.attributes.values()].flatMap((attribute) =>
    attribute.kind === "graph" ? attribute.value.captures.map((name) => lookUp(scope, name)!) : [],
  );
}

/** What is not there (a function's optional input that was left out) is not captured. */
function subgraphTemplate(frame: Frame, graph: GraphProto, scope: Scope): SubgraphTemplate {
  const { captures } = graphBody(graph);
  return createTemplate(
    frame,
    graph,
    captures.filter((name) => lookUp(scope, name) !== undefined),
  );
}

export function createTemplate(
  frame: Frame,
  graph: GraphProto,
  captures: readonly string[],
): SubgraphTemplate {
  const { inputNames, outputNames } = graphBody(graph);
  const template: SubgraphTemplate = {
    inputNames,
    outputNames,
    captures,
    instantiate: (values) => instantiate(frame, graph, captures, values),
    inline: (b, values) => inline(frame, graph, { captures, b, values }),
  };
  const { opsets, caller, model } = frame;
  rememberTemplate(template, { graph, opsets, caller, model });
  return template;
}

function instantiate(
  frame: Frame,
  graph: GraphProto,
  captures: readonly string[],
  values: ReadonlyMap<string, Value>,
): Graph {
  const { inputNames, outputNames } = graphBody(graph);
  const b = createGraphBuilder();
  const own = [...captures, ...inputNames].map((name) => {
    return [name, valueInBody(b, name, values.get(name) ?? lacks(graph, name))] as const;
  });
  const outputs = inline(frame, graph, { captures, b, values: new Map(own) });
  return b.finish(
    graph.name ?? "",
    outputNames.map((name, i) => ({ name, value: outputs[i]! })),
  );
}

interface Inlining {
  readonly captures: readonly string[];
  readonly b: GraphBuilder;
  readonly values: ReadonlyMap<string, Value>;
}

function inline(
  frame: Frame,
  graph: GraphProto,
  { captures, b, values }: Inlining,
): readonly Value[] {
  const body = graphBody(graph);
  const given = [...values.values()].map((value) => value.name);
  const inner: Frame = {
    ...frame,
    b,
    depth: frame.depth + 1,
    taken: new Set([...captures, ...body.inputNames, ...given]),
    declared: frame.model.declaredTypes(graph),
    offered: new Set(),
  };
  const bindings = new Map<string, Value | undefined>();
  for (const name of body.captures) bindings.set(name, undefined);
  for (const name of [...captures, ...body.inputNames]) {
    bindings.set(name, values.get(name) ?? lacks(graph, name));
  }
  const outputs = importBody(inner, body, bindings);
  return body.outputNames.map((name, i) => requireOutput(name, outputs[i]));
}

function lacks(graph: GraphProto, name: string): never {
  throw new InternalError(`subgraph ${graph.name} lacks "${name}"`);
}

export function requireOutput(name: string, value: Value | undefined): Value {
  return value ?? fail("L0105", `the output "${name}" has no value`);
}
