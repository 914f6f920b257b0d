/**
 * Pieces of real models that are small enough to run thousands of times: some nodes that hang together, with what
 * comes into them as inputs of the types and shapes that the whole model gives them.
 */
import { graphBody } from "../../src/compiler/1-import/body.js";
import { importModel } from "../../src/compiler/1-import/import.js";
import type { DType } from "../../src/numerics/dtype.js";
import { dtypeToOnnx } from "../../src/onnx/dtypes.js";
import type { Model } from "../../src/onnx/model.js";
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from "../../src/onnx/schema.js";
import { inputPorts } from "../../src/runtime/model-ports.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import type { Random } from "../support/random.js";

interface ValueType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Extents that open dims are tried with until the model makes sense. */
const extentsTried = [16, 32, 64, 1, 2, 512] as const;

const known = new WeakMap<Model, ReadonlyMap<string, ValueType>>();

/** Types of the values that a model computes in its outermost graph; those not known are left out. */
export function valueTypes(model: Model): ReadonlyMap<string, ValueType> {
  const types = known.get(model) ?? findTypes(model);
  known.set(model, types);
  return types;
}

function findTypes(model: Model): ReadonlyMap<string, ValueType> {
  const outputs = model.graph.node.flatMap((node) => node.output).filter((name) => name !== "");
  const open: Model = {
    ...model,
    graph: { ...model.graph, output: outputs.map((name): ValueInfoProto => ({ name })) },
  };
  for (const extent of extentsTried) {
    try {
      const inputShapes = new Map(
        inputPorts(open).flatMap(({ name, dims }) =>
          dims === undefined
            ? []
            : [[name, dims.map((dim) => (typeof dim === "number" ? dim : extent))] as const],
        ),
      );
      const { graph } = importModel(open, { inputShapes });
      const values = [
        ...graph.inputs.map((value) => ({ name: value.name, value })),
        ...graph.outputs,
      ];
      return new Map(
        values.flatMap(({ name, value: { dtype, shape, unknownShape } }) => {
          const isKnown = !unknownShape && shape.every((dim) => typeof dim === "number");
          return isKnown ? [[name, { dtype, shape: shape as number[] }] as const] : [];
        }),
      );
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
    }
  }
  return new Map();
}

/** A random piece of up to `nodesMax` nodes; undefined where the types at its border are not known. */
export function randomFragment(model: Model, r: Random, nodesMax: number): ModelProto | undefined {
  const body = graphBody(model.graph);
  if (body.nodes.length === 0) return undefined;
  const types = valueTypes(model);
  const chosen = new Set([r.pick(body.nodes)]);
  const wanted = r.integer(1, nodesMax);
  while (chosen.size < wanted) {
    const next = body.nodes.filter(
      (node) => !chosen.has(node) && [...chosen].some((c) => areNeighbours(c.proto, node.proto)),
    );
    if (next.length === 0) break;
    chosen.add(r.pick(next));
  }
  const nodes = body.nodes.filter((node) => chosen.has(node));
  const made = new Set(nodes.flatMap((node) => node.proto.output));
  const border = [...new Set(nodes.flatMap((node) => node.uses))].filter(
    (name) => !made.has(name) && !body.initializers.has(name),
  );
  if (!border.every((name) => types.has(name))) return undefined;
  return {
    ...model,
    graph: fragmentGraph(
      model.graph,
      nodes.map((node) => node.proto),
      border.map((name) => valueInfo(name, types.get(name)!)),
    ),
  };
}

function areNeighbours(a: NodeProto, b: NodeProto): boolean {
  const feeds = (from: NodeProto, to: NodeProto): boolean =>
    from.output.some((name) => name !== "" && to.input.includes(name));
  return feeds(a, b) || feeds(b, a);
}

function fragmentGraph(
  graph: GraphProto,
  nodes: readonly NodeProto[],
  input: readonly ValueInfoProto[],
): GraphProto {
  const used = new Set(nodes.flatMap(namesIn));
  const inner = new Set(nodes.flatMap((node) => node.input));
  const outer = nodes.flatMap((node) => node.output).filter((name) => name !== "");
  const ends = outer.filter((name) => !inner.has(name));
  return {
    ...graph,
    node: nodes,
    input,
    output: (ends.length > 0 ? ends : outer).map((name) => ({ name })),
    initializer: graph.initializer.filter((tensor) => used.has(tensor.name ?? "")),
    valueInfo: [],
  };
}

/** Every name in a node and in its subgraphs. */
function namesIn({ input, attribute }: NodeProto): readonly string[] {
  const graphs = attribute.flatMap(({ g, graphs: list }) => (g === undefined ? list : [g]));
  return [
    ...input,
    ...graphs.flatMap((g) => [...g.node.flatMap(namesIn), ...g.output.map((o) => o.name ?? "")]),
  ];
}

export function valueInfo(
  name: string,
  { dtype, shape }: { readonly dtype: DType; readonly shape: readonly (number | string)[] },
): ValueInfoProto {
  const dim = shape.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d }));
  return { name, type: { tensorType: { elemType: dtypeToOnnx(dtype), shape: { dim } } } };
}
