/** Rows of control flow: bodies of random nodes, which read what is outside, hold other bodies, and end when data say so. */
import type { DType } from "../../../src/numerics/dtype.js";
import type { GraphProto, NodeProto } from "../../../src/onnx/schema.js";
import type { Init } from "../../../src/onnx/wire.js";
import { type AttributeInit, graphProto, node } from "../../support/onnx-builder.js";
import type { Generator, NodeDraft, Row, TypedName } from "./generator.js";

/** Nodes of a body in the making. */
interface BodyNodes {
  readonly g: Generator;
  /** Names in a body are told apart from those of others by it. */
  readonly prefix: string;
  readonly nodes: Init<NodeProto>[];
}

function make(
  { prefix, nodes }: BodyNodes,
  operator: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, AttributeInit>> = {},
): string {
  const name = `${prefix}.${nodes.length}`;
  nodes.push(node(operator, inputs, [name], attributes));
  return name;
}

/** Some operations that keep the shape and type of x; `others` are of the same. */
function chain(body: BodyNodes, x: string, others: readonly string[], depth: number): string {
  const { g } = body;
  let last = x;
  for (let i = g.r.integer(1, 3); i > 0; i--) {
    const kind = g.r.unit();
    if (kind < 0.4) last = make(body, g.r.pick(["Neg", "Abs", "Relu", "Identity"]), [last]);
    else if (kind < 0.8 || depth === 0) {
      last = make(body, g.r.pick(["Add", "Sub", "Max"]), [last, g.r.pick([x, ...others])]);
    } else last = nested(body, last, [x, ...others], depth - 1);
  }
  return last;
}

/** An If on whether the elements' sum is positive, or a Loop of a few trips. */
function nested(body: BodyNodes, x: string, others: readonly string[], depth: number): string {
  const { g, prefix, nodes } = body;
  const inside = `${prefix}.${nodes.length}`;
  if (g.r.chance(0.5)) {
    const [then_branch, else_branch] = ["then", "else"].map((name) => ({
      graph: branch(g, `${inside}.${name}`, x, others, depth),
    }));
    return make(body, "If", [isPositive(body, x)], {
      then_branch: then_branch!,
      else_branch: else_branch!,
    });
  }
  const trips = make(body, "Constant", [], { value_int: g.r.integer(0, 2) });
  const inner: BodyNodes = { g, prefix: `${inside}.body`, nodes: [] };
  const next = chain(inner, `${inside}.state`, others, depth);
  const on = make(inner, "Identity", [`${inside}.go`]);
  const graph = graphProto({
    name: "inner",
    inputs: {
      [`${inside}.i`]: "i64[]",
      [`${inside}.go`]: "bool[]",
      [`${inside}.state`]: g.bodyType,
    },
    nodes: inner.nodes,
    outputs: { [on]: "bool[]", [next]: g.bodyType },
  });
  return make(body, "Loop", [trips, "", x], { body: { graph } });
}

function isPositive(body: BodyNodes, x: string): string {
  const sum = make(body, "ReduceSum", [x], { keepdims: 0 });
  const zero = make(body, "CastLike", [make(body, "Constant", [], { value_int: 0 }), sum]);
  return make(body, "Greater", [sum, zero]);
}

function branch(
  g: Generator,
  prefix: string,
  x: string,
  others: readonly string[],
  depth: number,
): Init<GraphProto> {
  const body: BodyNodes = { g, prefix, nodes: [] };
  const result = chain(body, x, others, depth);
  return graphProto({ name: prefix, nodes: body.nodes, outputs: { [result]: g.bodyType } });
}

const bodyTypes = ["f32", "f32", "f32", "f16", "i32", "i64", "f64", "i8"] as const;

/** A state and a value that bodies capture, of one type and shape. */
function pair(g: Generator): readonly [TypedName, TypedName] {
  const dtype: DType = g.r.pick(bodyTypes);
  const x = g.tensor(dtype, g.shape(0, 3));
  g.bodyType = `${dtype}[${x.shape}]`;
  return [x, g.tensor(dtype, x.shape)];
}

const condition = (g: Generator, chance: number): TypedName =>
  g.give({ dtype: "bool", shape: [], data: Uint8Array.of(g.r.chance(chance) ? 1 : 0) }, 0.3);

function ifRow(g: Generator): NodeDraft {
  const [x, other] = pair(g);
  const depth = g.r.integer(0, 2);
  const graph = (name: string): AttributeInit => ({
    graph: branch(g, `${g.unique()}.${name}`, x.name, [other.name], depth),
  });
  /** Of another shape, so that the branch decides it. */
  const size = graphProto({
    name: "size",
    nodes: [node("Size", [x.name], ["s"])],
    outputs: { s: "i64" },
  });
  return {
    inputs: [condition(g, 0.5)],
    attributes: {
      then_branch: graph("then"),
      else_branch: g.r.chance(0.1) ? { graph: size } : graph("else"),
    },
  };
}

function loopRow(g: Generator): NodeDraft {
  const [x, other] = pair(g);
  const prefix = g.unique();
  const [index, go, state] = ["i", "go", "state"].map((name) => `${prefix}.${name}`) as [
    string,
    string,
    string,
  ];
  const body: BodyNodes = { g, prefix, nodes: [] };
  let next = chain(body, state, [other.name], g.r.integer(0, 2));
  if (g.r.chance(0.3)) next = make(body, "Add", [next, make(body, "CastLike", [index, next])]);
  const each = make(body, g.r.pick(["Neg", "Identity", "Abs"]), [next]);
  const on = g.r.chance(0.3) ? isPositive(body, next) : make(body, "Identity", [go]);
  const scans = g.r.integer(0, 2);
  const scanned = Array.from({ length: scans }, () => make(body, "Identity", [each]));
  const graph = graphProto({
    name: "body",
    inputs: { [index]: "i64[]", [go]: "bool[]", [state]: g.bodyType },
    nodes: body.nodes,
    outputs: Object.fromEntries([
      [on, "bool[]"],
      ...[next, ...scanned].map((name) => [name, g.bodyType] as const),
    ]),
  });
  return {
    inputs: [g.scalar("i64", g.r.integer(0, 4)), g.maybe(0.6, () => condition(g, 0.9)), x],
    attributes: { body: { graph } },
    outputs: 1 + scans,
  };
}

function scanRow(g: Generator): NodeDraft {
  const [steps, width] = [g.r.integer(0, 4), g.r.integer(1, 5)];
  const dtype = g.r.pick(bodyTypes);
  g.bodyType = `${dtype}[${width}]`;
  const prefix = g.unique();
  const [state, item] = [`${prefix}.state`, `${prefix}.item`];
  const other = g.tensor(dtype, [width]);
  const body: BodyNodes = { g, prefix, nodes: [] };
  const next = make(body, "Add", [chain(body, state, [item, other.name], g.r.integer(0, 2)), item]);
  const each = make(body, g.r.pick(["Neg", "Abs"]), [next]);
  const graph = graphProto({
    name: "body",
    inputs: { [state]: g.bodyType, [item]: g.bodyType },
    nodes: body.nodes,
    outputs: { [next]: g.bodyType, [each]: g.bodyType },
  });
  const isOld = g.opset < 9;
  const axis = isOld ? 0 : g.r.pick([0, 0, 1, -1]);
  const batch = isOld ? [1] : [];
  const sequence = axis === 0 ? [steps, width] : [width, steps];
  const inputs = [g.tensor(dtype, [...batch, width]), g.tensor(dtype, [...batch, ...sequence])];
  return {
    inputs: isOld ? [undefined, ...inputs] : inputs,
    attributes: {
      body: { graph },
      num_scan_inputs: 1,
      ...(isOld
        ? {}
        : {
            scan_input_axes: axis === 0 ? undefined : [axis],
            scan_output_axes: g.maybe(0.3, () => [g.r.pick([0, 1, -1])]),
            scan_input_directions: g.maybe(0.4, () => [1]),
            scan_output_directions: g.maybe(0.3, () => [1]),
          }),
    },
    outputs: 2,
  };
}

export const controlRows: Readonly<Record<string, Row>> = {
  If: ifRow,
  Loop: loopRow,
  Scan: scanRow,
};
