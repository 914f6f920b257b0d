/**
 * A host region as an ONNX model, for a runtime that takes those. What runs on the host as a node of the model
 * goes along as it was; core operations are written in ONNX again. At the borders stand only types that such
 * runtimes exchange: the narrower floats travel as fp32, which holds them exactly.
 */
import type { Dim } from "../../ir/dim.js";
import type { Graph, HostOperation, Node, Origin, Value } from "../../ir/graph.js";
import type { DType } from "../../numerics/dtype.js";
import { dtypes, isFloat } from "../../numerics/dtype.js";
import { dtypeToOnnx } from "../../onnx/dtypes.js";
import { encodeModel } from "../../onnx/model.js";
import type { FunctionProto, ValueInfoProto } from "../../onnx/schema.js";
import type { Init } from "../../onnx/wire.js";
import { findOperator } from "../../ops/table.js";
import { nodeToProto, templatesOf } from "../1-import/host-node.js";
import { templateSource } from "../1-import/model-context.js";
import { coreNodes, coreOpset } from "./core-nodes.js";
import { CannotExport, createModelWriter, type ModelWriter } from "./model-writer.js";

export interface RegionModel {
  readonly kind: "model";
  readonly bytes: Uint8Array;
  /** In the order of the region's inputs; `dtype` is what the model takes. */
  readonly inputs: readonly ModelPort[];
  /** Inputs that are vectors of int64, to be computed from the symbols. */
  readonly dimInputs: readonly { readonly name: string; readonly dims: readonly Dim[] }[];
  readonly outputs: readonly ModelPort[];
  /** The ONNX nodes behind it, by the names that the model's nodes have. */
  readonly origins: readonly Origin[];
}

export interface ModelPort {
  readonly name: string;
  /** Absent where only the run shows it. */
  readonly dtype?: DType;
}

/** The reason, where the region has no model. */
export type RegionModelResult = RegionModel | { readonly kind: "none"; readonly reason: string };

/** The opset of regions without a node that asks for another. */
const plainOpset = 21;

export function regionModel(graph: Graph): RegionModelResult {
  try {
    return writeRegion(graph);
  } catch (error) {
    if (error instanceof CannotExport) return { kind: "none", reason: error.reason };
    throw error;
  }
}

function writeRegion(graph: Graph): RegionModel {
  const opsets = opsetsOf(graph);
  const w = createModelWriter(opsets.get("")!);
  // A branch that is not taken need not suit the shapes of this run, and runtimes look into both.
  const hasBodies = graph.nodes.some(
    ({ op }) => op.kind === "host" && templatesOf(op.node).length > 0,
  );
  const inputs = graph.inputs.map((value) => inputPort(value, w, !hasBodies));
  const captures = new Map<string, Value>();
  for (const node of graph.nodes) {
    w.setOrigins(node.origins);
    giveConstants(node.inputs, w);
    if (node.op.kind === "host") writeHostNode(node.op, node, w, captures);
    else w.setName(node.outputs[0]!, coreNodes(node, w));
  }
  const results = graph.outputs.map(({ value }) => value);
  giveConstants(results, w);
  const outputs = results.map((value) => outputPort(value, w));
  const model = {
    irVersion: 10,
    producerName: "lightloom",
    opsetImport: [...opsets].map(([domain, version]) => ({ domain, version })),
    functions: functionsOf(graph),
    graph: {
      name: graph.name,
      node: w.nodes,
      initializer: w.initializers,
      input: [
        ...inputs.map(({ info }) => info),
        ...w.dimInputs.map(({ name, dims }) => valueInfo(name, "i64", [dims.length])),
      ],
      output: outputs.map(({ name }) => ({ name })),
    },
  };
  return {
    kind: "model",
    bytes: encodeModel(model),
    inputs: inputs.map(({ port }) => port),
    dimInputs: w.dimInputs,
    outputs,
    origins: graph.nodes.flatMap((node) => node.origins),
  };
}

/** One version per domain: what the nodes ask for, or one that all core operations have. */
function opsetsOf(graph: Graph): Map<string, number> {
  const opsets = new Map<string, number>();
  const ask = (domain: string, version: number): void => {
    const known = opsets.get(domain);
    if (known !== undefined && known !== version)
      throw new CannotExport(`nodes of opsets ${known} and ${version} together`);
    opsets.set(domain, version);
  };
  for (const { op } of graph.nodes) {
    if (op.kind !== "host") continue;
    ask(op.node.domain, op.node.opset);
    for (const template of templatesOf(op.node))
      for (const [domain, version] of templateSource(template).opsets) ask(domain, version);
  }
  const isPlain = graph.nodes.every(({ op }) => op.kind === "host");
  const own = opsets.get("");
  if (own !== undefined && own < coreOpset && !isPlain)
    throw new CannotExport(`core operations beside nodes of opset ${own}`);
  opsets.set("", own ?? plainOpset);
  return opsets;
}

function functionsOf(graph: Graph): readonly FunctionProto[] {
  const functions = new Map<string, FunctionProto>();
  for (const { op } of graph.nodes) {
    const templates = op.kind === "host" ? templatesOf(op.node) : [];
    for (const { model } of templates.map(templateSource))
      for (const definition of model.functions) {
        const { domain, name, overload } = definition;
        functions.set(JSON.stringify([domain, name, overload]), definition);
      }
  }
  return [...functions.values()];
}

/** Names for those of the values that are constants or dims. */
function giveConstants(values: readonly Value[], w: ModelWriter): void {
  for (const value of values) {
    if (w.hasName(value)) continue;
    if (value.data !== undefined) w.setName(value, w.constant(value.data));
    else if (value.dims !== undefined) {
      const vector = w.dims(value.dims);
      const shaped = value.shape.length === 0 ? w.add("Reshape", [vector, w.dims([])]) : vector;
      w.setName(value, w.cast(shaped, "i64", value.dtype));
    }
  }
}

function writeHostNode(
  { node }: HostOperation,
  { inputs, outputs }: Node,
  w: ModelWriter,
  captures: Map<string, Value>,
): void {
  if (findOperator(node.domain, node.operator, node.opset)?.isRandom === true)
    throw new CannotExport("values drawn at random, which are the same here in every run");
  // Other runtimes write floats with more digits than it takes to read them back.
  if (outputs.some(({ dtype }) => dtype === "string") && inputs.some((v) => isFloat(v.dtype)))
    throw new CannotExport("the text of floats");
  const given = [...inputs];
  const inputNames = node.inputNames.map((name) => (name === "" ? "" : w.nameOf(given.shift()!)));
  for (const name of templatesOf(node).flatMap((template) => template.captures)) {
    const value = given.shift()!;
    if (captures.has(name) && captures.get(name) !== value)
      throw new CannotExport(`two values that subgraphs know as "${name}"`);
    if (!captures.has(name)) w.addIdentity(w.nameOf(value), name);
    captures.set(name, value);
  }
  const results = [...outputs];
  // Control flow in ONNX Runtime writes to every output, whether it has a name or not.
  const unread = templatesOf(node).length > 0 ? () => w.fresh() : () => "";
  const outputNames = node.outputNames.map((name) =>
    name === "" ? unread() : w.nameOf(results.shift()!),
  );
  w.addNode(nodeToProto({ ...node, name: w.nodeName(), inputNames, outputNames }));
}

/** Types that a runtime's own interface has; others travel as fp32. */
const exchanged: ReadonlySet<DType> = new Set<DType>([
  "f64",
  "f32",
  "f16",
  "i64",
  "u64",
  "i32",
  "u32",
  "i16",
  "u16",
  "i8",
  "u8",
  "bool",
  "string",
]);

function inputPort(
  value: Value,
  w: ModelWriter,
  isShaped: boolean,
): { readonly port: ModelPort; readonly info: Init<ValueInfoProto> } {
  const name = w.fresh();
  const dtype = outerType(value.dtype);
  w.setName(value, w.cast(name, dtype, value.dtype));
  const shape = value.unknownShape === true || !isShaped ? undefined : value.shape;
  return { port: { name, dtype }, info: valueInfo(name, dtype, shape) };
}

function outputPort(value: Value, w: ModelWriter): ModelPort {
  // What has no known shape may as well be of another type, or no tensor.
  if (value.unknownShape === true) return { name: w.nameOf(value) };
  const dtype = outerType(value.dtype);
  // An output may be an input, too: it gets a name of its own.
  const name = w.cast(w.nameOf(value), value.dtype, dtype);
  return { name: name === w.nameOf(value) ? w.add("Identity", [name]) : name, dtype };
}

function outerType(dtype: DType): DType {
  if (exchanged.has(dtype)) return dtype;
  if (dtypes[dtype].kind === "float" && dtypes[dtype].bits >= 8) return "f32";
  throw new CannotExport(`values of type ${dtype} at its border`);
}

function valueInfo(name: string, dtype: DType, shape?: readonly Dim[]): Init<ValueInfoProto> {
  const elemType = dtypeToOnnx(dtype);
  if (shape === undefined) return { name, type: { tensorType: { elemType } } };
  const dim = shape.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d.text }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}
