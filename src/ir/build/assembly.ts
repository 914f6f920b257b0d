/**
 * A graph under construction: its values and nodes, and the folding of what is constant. Names are in `value-names.ts`,
 * what else is known of values in `known-values.ts`. It knows no operation in particular: the methods for those are in
 * `graph-builder.ts`.
 */
import type { DType } from "../../numerics/dtype.js";
import { elementCount, type Tensor } from "../../numerics/tensor.js";
import { fail, InternalError } from "../../support/diagnostic.js";
import { type Dim, dimProduct, type DimSymbol } from "../dim.js";
import type { KnownElement } from "../dim-values.js";
import { bodiesOf, controlTypes, operationSymbols } from "../control.js";
import { evaluateGraph, evaluateOperation, noHost } from "../evaluate/evaluate.js";
import { symbolsOf } from "../graph-shapes.js";
import type { ControlOperation, Graph, HostOperation, Node, Origin, Value } from "../graph.js";
import { KnownValues } from "./known-values.js";
import type { PlainOperation } from "../operation-types.js";
import { type Draft, ValueNames } from "./value-names.js";

export interface AssemblyOptions {
  /** Fold whatever is constant, however large: for evaluation on the host. */
  readonly foldAll?: boolean;
  /** What the names of values begin with that have none of their own: "v" if it is not given. */
  readonly prefix?: string;
  /** Whether a symbol may stand for a number that only a run shows: see {@link GraphAssembly.openCount}. */
  readonly openCount?: (name: string) => boolean;
  /** The device computes doubles, as fp32. */
  readonly deviceDoubles?: boolean;
}

/** Results above this are folded only if the inputs are no smaller. */
const foldElementsMax = 2 ** 24;
/** Repeated elements and counted indices above this stay operations: they cost memory and no time. */
const foldGeneratedMax = 4096;

export class GraphAssembly {
  origins: readonly Origin[] = [];
  readonly #options: AssemblyOptions;
  readonly #inputs: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #producers = new Map<Value, Node>();
  readonly #names: ValueNames;
  readonly #known = new KnownValues(this.#producers);
  readonly #scalars = new Map<string, Value>();
  /** Names of symbols that were asked for. */
  readonly #counts = new Set<string>();

  constructor(options: AssemblyOptions) {
    this.#options = options;
    this.#names = new ValueNames(options.prefix ?? "v");
  }

  input(name: string, dtype: DType, shape: readonly Dim[] | undefined): Value {
    const known = shape === undefined ? { shape: [], unknownShape: true as const } : { shape };
    const value = this.#value({ dtype, ...known }, name);
    this.#inputs.push(value);
    return value;
  }

  constant(tensor: Tensor, name?: string): Value {
    const { dtype, shape, data } = tensor;
    if (data.length !== elementCount(shape)) {
      throw new InternalError(
        `${data.length} elements do not fill the shape [${shape.join(", ")}]`,
      );
    }
    if (name !== undefined) {
      return this.#value({ dtype, shape, data: tensor }, this.#names.free(name));
    }
    if (data.length !== 1) return this.#value({ dtype, shape, data: tensor });
    const element = Object.is(data[0], -0) ? "-0" : String(data[0]);
    const key = `${dtype} ${shape.length} ${element}`;
    const known = this.#scalars.get(key) ?? this.#value({ dtype, shape, data: tensor });
    this.#scalars.set(key, known);
    return known;
  }

  dimsValue(dtype: DType, shape: readonly number[], elements: readonly Dim[]): Value {
    if (elements.every((dim) => typeof dim === "number")) {
      const data =
        dtype === "i64"
          ? BigInt64Array.from(elements, (dim) => BigInt(dim as number))
          : Int32Array.from(elements as readonly number[]);
      return this.constant({ dtype, shape, data });
    }
    return this.#value({ dtype, shape, dims: elements });
  }

  rename(value: Value, name: string): void {
    this.#names.rename(value, name);
  }

  producer(value: Value): Node | undefined {
    return this.#producers.get(value);
  }

  ancestorsOf(value: Value): ReadonlySet<Value> {
    const seen = new Set<Value>();
    const visit = (v: Value): void => {
      if (seen.has(v)) return;
      seen.add(v);
      this.#producers.get(v)?.inputs.forEach(visit);
    };
    visit(value);
    return seen;
  }

  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  /** What a value repeats, if it is a broadcast. */
  unbroadcast(value: Value): Value {
    const node = this.#producers.get(value);
    return node?.op.kind === "broadcast" ? node.inputs[0]! : value;
  }

  /** The one element that all elements of a value equal, as a value of rank 0 or of ones. */
  uniform(value: Value): Value | undefined {
    const source = this.unbroadcast(value);
    if (source === value || source.shape.some((dim) => dim !== 1)) return undefined;
    if (source.data === undefined) return undefined;
    return this.constant({ ...source.data, shape: [] });
  }

  knownDims(value: Value): readonly Dim[] | undefined {
    return this.#known.dimsOf(value);
  }

  /** One more operation, unless its result is known already. */
  emit(op: PlainOperation, inputs: readonly Value[], dtype: DType, shape: readonly Dim[]): Value {
    requireExtents(shape);
    const folded = this.#foldConstant(op, inputs, dtype, shape);
    if (folded !== undefined) return folded;
    const known = this.#known.evaluate(op, inputs, shape);
    if (known !== undefined && (dtype === "i32" || dtype === "i64" || dtype === "bool")) {
      const value = this.#settle(dtype, shape as readonly number[], known);
      if (value !== undefined) return value;
    }
    const value = this.#result(op, inputs, dtype, shape);
    this.#known.record(value, op, inputs, known);
    return value;
  }

  /** One more operation also where its inputs are constant, unless all is evaluated here. */
  emitKept(
    op: PlainOperation,
    inputs: readonly Value[],
    dtype: DType,
    shape: readonly Dim[],
  ): Value {
    if (this.#options.foldAll === true) return this.emit(op, inputs, dtype, shape);
    const value = this.#result(op, inputs, dtype, shape);
    this.#known.record(value, op, inputs, undefined);
    return value;
  }

  #result(
    op: PlainOperation,
    inputs: readonly Value[],
    dtype: DType,
    shape: readonly Dim[],
  ): Value {
    const value = this.#value({ dtype, shape });
    this.#add({ op, inputs, outputs: [value], origins: this.origins });
    return value;
  }

  host(
    op: HostOperation,
    inputs: readonly Value[],
    outputs: readonly { name: string; dtype: DType; shape?: readonly Dim[] }[],
  ): readonly Value[] {
    const values = outputs.map(({ name, dtype, shape }) => {
      const known = shape === undefined ? { shape: [], unknownShape: true as const } : { shape };
      return this.#value({ dtype, ...known }, name);
    });
    this.#add({ op, inputs, outputs: values, origins: this.origins });
    return values;
  }

  control(op: ControlOperation, inputs: readonly Value[]): readonly Value[] {
    const outputs = controlTypes(op, inputs).map((type) => this.#value(type));
    const node: Node = { op, inputs, outputs, origins: this.origins };
    const folded = this.#foldControl(node);
    if (folded === undefined) this.#add(node);
    return folded ?? outputs;
  }

  openCount(name: string, max: number): DimSymbol | undefined {
    const dims = this.#inputs.flatMap(({ shape }) => shape);
    const taken = new Set([...symbolsOf(dims)].map((symbol) => symbol.name));
    let free = name;
    for (let i = 2; taken.has(free) || this.#counts.has(free); i++) free = `${name}.${i}`;
    this.#counts.add(free);
    const isOpen = this.#options.openCount?.(free) ?? false;
    return isOpen ? { name: free, min: 0, max, multipleOf: 1 } : undefined;
  }

  /** Constants instead of a node all of whose operands are constant. */
  #foldControl(node: Node): readonly Value[] | undefined {
    const isKnown = node.inputs.every((x) => x.data !== undefined);
    if (!isKnown || runsHost(node) || operationSymbols(node.op).size > 0) return undefined;
    const graph: Graph = {
      name: "",
      symbols: [],
      inputs: [],
      outputs: node.outputs.map((value) => ({ name: value.name, value })),
      nodes: [node],
    };
    const results = evaluateGraph(graph, new Map(), noHost);
    return [...results.values()].map((tensor) => this.constant(tensor));
  }

  finish(name: string, outputs: readonly { name: string; value: Value }[]): Graph {
    const live = new Set<Value>(outputs.map((output) => output.value));
    const nodes: Node[] = [];
    for (const node of [...this.#nodes].reverse()) {
      if (!node.outputs.some((value) => live.has(value))) continue;
      for (const value of node.inputs) live.add(value);
      nodes.push(node);
    }
    nodes.reverse();
    const values = [...this.#inputs, ...live, ...nodes.flatMap((n) => n.outputs)];
    const symbols = uniqueSymbols([
      ...values.flatMap(({ shape, dims = [] }) => [...symbolsOf([...shape, ...dims])]),
      ...nodes.flatMap((n) => [...operationSymbols(n.op)]),
    ]);
    return { name, symbols, inputs: [...this.#inputs], outputs: [...outputs], nodes };
  }

  #add(node: Node): void {
    this.#nodes.push(node);
    for (const output of node.outputs) this.#producers.set(output, node);
  }

  #value(rest: Omit<Value, "name">, name?: string): Value {
    requireExtents(rest.shape);
    const value: Draft = { name: "", ...rest };
    this.#names.give(value, name);
    return value;
  }

  #foldConstant(
    op: PlainOperation,
    inputs: readonly Value[],
    dtype: DType,
    shape: readonly Dim[],
  ): Value | undefined {
    if (!inputs.every((x) => x.data !== undefined)) return undefined;
    const size = dimProduct(shape);
    if (typeof size !== "number" || shape.some((dim) => typeof dim !== "number")) return undefined;
    if (symbolsOf(op.kind === "slice" ? op.starts : []).size > 0) return undefined;
    const inputSize = inputs.reduce((sum, x) => sum + x.data!.data.length, 0);
    const generated = op.kind === "broadcast" || op.kind === "iota";
    const max = Math.max(inputSize, generated ? foldGeneratedMax : foldElementsMax);
    if (size > max && this.#options.foldAll !== true) return undefined;
    const tensors = inputs.map((x) => x.data!);
    return this.constant(evaluateOperation(op, tensors, { dtype, shape: shape as number[] }));
  }

  /** Known integers need no operation: they become a `dims` value, known truths a constant. */
  #settle(
    dtype: "i32" | "i64" | "bool",
    shape: readonly number[],
    known: readonly KnownElement[],
  ): Value | undefined {
    if (dtype !== "bool")
      return this.dimsValue(
        dtype,
        shape,
        known.map((element) => element.dim),
      );
    if (known.some((element) => typeof element.dim !== "number")) return undefined;
    const data = Uint8Array.from(known, (element) => (element.dim === 0 ? 0 : 1));
    return this.constant({ dtype, shape, data });
  }
}

/** What a model computes or declares may be no shape at all. */
function requireExtents(shape: readonly Dim[]): void {
  for (const dim of shape) {
    const isExtent = typeof dim !== "number" || (Number.isSafeInteger(dim) && dim >= 0);
    if (!isExtent) fail("L0201", `a tensor cannot have the extent ${dim}`);
  }
  const count = dimProduct(shape);
  if (typeof count === "number" && !Number.isSafeInteger(count)) {
    fail("L0201", `a tensor of [${shape.join(", ")}] has more elements than can be counted`);
  }
}

function runsHost({ op }: Node): boolean {
  return op.kind === "host" || bodiesOf(op).some((body) => body.nodes.some(runsHost));
}

/** Each symbol once, in order of first use. */
function uniqueSymbols(used: readonly DimSymbol[]): DimSymbol[] {
  const symbols = new Map<string, DimSymbol>();
  for (const symbol of used) {
    const known = symbols.get(symbol.name) ?? symbol;
    if (
      known.min !== symbol.min ||
      known.max !== symbol.max ||
      known.multipleOf !== symbol.multipleOf
    ) {
      throw new InternalError(`two symbols are called ${symbol.name}`);
    }
    symbols.set(symbol.name, known);
  }
  return [...symbols.values()];
}
