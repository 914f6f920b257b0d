/**
 * What a list of nodes says before any type is known: graphs, subgraphs and functions as one {@link Body},
 * checked (every name defined once, nothing used that is not defined, no cycle), with the nodes in an order
 * that respects their uses. Imports nothing; `nodes.ts` does.
 */
import type {
  FunctionProto,
  GraphProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
} from "../../onnx/schema.js";
import { fail, type Place } from "../../support/diagnostic.js";

export interface Body {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly initializers: ReadonlyMap<string, Initializer>;
  /** In an order in which every value is produced before it is used. */
  readonly nodes: readonly BodyNode[];
  /** Names that are used and must be defined outside, in order of first use. */
  readonly captures: readonly string[];
}

export type Initializer =
  | { readonly kind: "dense"; readonly proto: TensorProto }
  | { readonly kind: "sparse"; readonly proto: SparseTensorProto };

export interface BodyNode {
  readonly proto: NodeProto;
  /** Its position in the file's list. */
  readonly number: number;
  /** The node's name in the file, or its first output's where it has none. */
  readonly name: string;
  readonly uses: readonly string[];
}

const bodies = new WeakMap<GraphProto | FunctionProto, Body>();

export function graphBody(graph: GraphProto): Body {
  return cached(graph, () =>
    makeBody({
      nodes: graph.node,
      inputNames: graph.input.map((input) => input.name ?? ""),
      outputNames: graph.output.map((output) => output.name ?? ""),
      initializers: initializersOf(graph),
    }),
  );
}

export function functionBody(definition: FunctionProto): Body {
  return cached(definition, () =>
    makeBody({
      nodes: definition.node,
      inputNames: definition.input,
      outputNames: definition.output,
      initializers: new Map(),
    }),
  );
}

/** L0105 unless a body can stand alone: it captures nothing, and its outputs can be told apart. */
export function requireClosed(body: Body): void {
  const { outputNames } = body;
  const repeated = outputNames.find((name, i) => outputNames.indexOf(name) !== i);
  if (repeated !== undefined) fail("L0105", `two outputs are named "${repeated}"`);
  for (const name of body.captures) {
    const user = body.nodes.find((node) => node.uses.includes(name));
    const place = user === undefined ? {} : { place: placeOf(user) };
    const what = user === undefined ? `the output "${name}"` : `the input "${name}"`;
    fail("L0105", `${what} is not defined anywhere`, {
      ...place,
      hint: "an initializer may have been stripped from the file",
    });
  }
}

/** The nodes that the wanted names need, in order; outputs that nobody reads are not asked of them. */
export function liveNodes(body: Body, wanted: readonly string[]): readonly BodyNode[] {
  const needed = new Set(wanted);
  const live: BodyNode[] = [];
  for (const node of body.nodes.toReversed()) {
    const output = node.proto.output.map((name) => (needed.has(name) ? name : ""));
    if (output.every((name) => name === "")) continue;
    for (const name of node.uses) needed.add(name);
    live.push({ ...node, proto: { ...node.proto, output } });
  }
  return live.reverse();
}

/** Most that subgraphs and function calls may nest. */
export const nestingMax = 100;

interface BodyParts {
  readonly nodes: readonly NodeProto[];
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly initializers: ReadonlyMap<string, Initializer>;
}

function cached(key: GraphProto | FunctionProto, make: () => Body): Body {
  const known = bodies.get(key);
  if (known !== undefined) return known;
  const body = make();
  bodies.set(key, body);
  return body;
}

function initializersOf(graph: GraphProto): Map<string, Initializer> {
  const initializers = new Map<string, Initializer>();
  const add = (name: string, initializer: Initializer): void => {
    if (initializers.has(name)) fail("L0105", `two initializers are named "${name}"`);
    initializers.set(name, initializer);
  };
  for (const proto of graph.initializer) add(proto.name ?? "", { kind: "dense", proto });
  for (const proto of graph.sparseInitializer) {
    add(proto.values?.name ?? "", { kind: "sparse", proto });
  }
  return initializers;
}

function makeBody({ nodes: protos, inputNames, outputNames, initializers }: BodyParts): Body {
  const nodes = protos.map(
    (proto, number): BodyNode => ({
      proto,
      number,
      name: nodeName(proto, number),
      uses: usesOf(proto),
    }),
  );
  const given = new Set([...inputNames, ...initializers.keys()]);
  if (new Set(inputNames).size !== inputNames.length) {
    const name = inputNames.find((n, i) => inputNames.indexOf(n) !== i);
    fail("L0105", `two inputs are named "${name}"`);
  }
  const producer = new Map<string, BodyNode>();
  for (const node of nodes) {
    for (const name of node.proto.output) {
      if (name === "") continue;
      const other = producer.get(name);
      if (other !== undefined || given.has(name)) {
        const where = other === undefined ? "an input or initializer" : `node "${other.name}"`;
        fail("L0105", `the name "${name}" is also defined by ${where}`, { place: placeOf(node) });
      }
      producer.set(name, node);
    }
  }
  const captures = new Set<string>();
  for (const name of [...nodes.flatMap((node) => node.uses), ...outputNames]) {
    if (name !== "" && !producer.has(name) && !given.has(name)) captures.add(name);
  }
  return {
    inputNames,
    outputNames,
    initializers,
    nodes: inOrder(nodes, producer),
    captures: [...captures],
  };
}

function nodeName(proto: NodeProto, index: number): string {
  const given = proto.name ?? "";
  if (given !== "") return given;
  return proto.output.find((name) => name !== "") ?? `${proto.opType ?? "node"} #${index}`;
}

/** Every name that a node reads: its inputs and what its subgraphs capture. */
export function usesOf(proto: NodeProto): readonly string[] {
  const uses = new Set(proto.input);
  for (const { g, graphs } of proto.attribute) {
    for (const graph of g === undefined ? graphs : [g, ...graphs]) {
      for (const name of graphBody(graph).captures) uses.add(name);
    }
  }
  uses.delete("");
  return [...uses];
}

/** The file's order where it is right already; else depth first, still as close to the file as uses allow. */
function inOrder(
  nodes: readonly BodyNode[],
  producer: ReadonlyMap<string, BodyNode>,
): readonly BodyNode[] {
  const done = new Set<BodyNode>();
  const open = new Set<BodyNode>();
  const order: BodyNode[] = [];
  const visit = (start: BodyNode): void => {
    const stack = [{ node: start, next: 0 }];
    open.add(start);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const use = top.node.uses[top.next++];
      if (use === undefined) {
        stack.pop();
        open.delete(top.node);
        done.add(top.node);
        order.push(top.node);
        continue;
      }
      const needed = producer.get(use);
      if (needed === undefined || done.has(needed)) continue;
      if (open.has(needed)) {
        cycle(
          stack.map(({ node }) => node),
          needed,
        );
      }
      open.add(needed);
      stack.push({ node: needed, next: 0 });
    }
  };
  for (const node of nodes) if (!done.has(node)) visit(node);
  return order;
}

function cycle(path: readonly BodyNode[], start: BodyNode): never {
  const names = path.slice(path.indexOf(start)).map(({ name }) => `"${name}"`);
  fail("L0105", "the node needs its own result: the graph has a cycle", {
    place: placeOf(start),
    notes: [`the cycle is ${[...names, names[0]].join(" <- ")}`],
  });
}

function placeOf({ name, proto }: BodyNode): Place {
  return { node: name, operator: proto.opType ?? "" };
}
