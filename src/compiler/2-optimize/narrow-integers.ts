/**
 * Integers of types that the device lacks (int64, uint64, uint32) become int32 wherever interval
 * analysis proves that every number fits. What cannot be proven stays on the host; casts stand where the two meet.
 *
 *   p: i64 = map(ids, one); y = gather(table, p)   ->   p: i32 = map(ids, one); y = gather(table, p)
 *
 * An input that becomes int32 gets a limit to what its elements may be, which the runtime checks before a run; an
 * output keeps its type for the caller. An index need not be proven to fit: what
 * does not is out of range of any axis, so it is clamped on its way to int32.
 */
import { convertData } from "../../numerics/convert.js";
import type { DType } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { dimMin, dimProduct } from "../../ir/dim.js";
import { registerWidths } from "../../ir/evaluate-map.js";
import type { Graph, Node, Value } from "../../ir/graph.js";
import { isPlain } from "../../ir/operation-types.js";
import { valuesOf } from "../../ir/verify.js";
import { int32Range, interval, type Interval, within } from "../../ir/intervals.js";
import {
  mapRegisterRanges,
  type Ranges,
  resultRange,
  typeRange,
  valueRanges,
} from "../../ir/ranges.js";

/**
 * Largest magnitudes to assume of an input, the first as long as it proves as much as the others. Sums over long axes
 * and products of inputs (ids times a mask) need smaller ones; an input that exceeds its limit is run on the host.
 */
const inputLimits = [2 ** 30, 2 ** 24, 2 ** 20, 2 ** 16, 2 ** 15] as const;

const wideTypes: ReadonlySet<DType> = new Set(["i64", "u64", "u32"]);

export function narrowIntegers(
  graph: Graph,
  { isBody = false }: { readonly isBody?: boolean } = {},
): Graph {
  if (!valuesOf(graph).some(isWide)) return graph;
  const limits = isBody ? new Map<Value, number>() : chooseLimits(graph);
  // Nothing is known of what a body is given: nobody checks it before a trip.
  const nodes = isBody
    ? provenNodes(graph, valueRanges(graph))
    : narrowNodes(graph, (input) => limits.get(input) ?? inputLimits[0]);
  return nodes.size === 0 ? graph : new Narrowing(graph, nodes, { limits, isBody }).run();
}

function isWide(value: Value): boolean {
  return wideTypes.has(value.dtype);
}

/** Inputs for which a smaller limit than the first lets more nodes compute in int32, with that limit. */
function chooseLimits(graph: Graph): ReadonlyMap<Value, number> {
  const limits = new Map<Value, number>();
  const sources = inputsBehind(graph);
  let before = narrowNodes(graph, () => inputLimits[0]);
  for (const limit of inputLimits.slice(1)) {
    const nodes = narrowNodes(graph, () => limit);
    for (const node of nodes) {
      if (before.has(node)) continue;
      for (const value of node.inputs) {
        for (const input of sources.get(value) ?? []) limits.set(input, limit);
      }
    }
    before = new Set([...before, ...nodes]);
  }
  return limits;
}

/** Per value: the inputs of wide types that it is computed from. */
function inputsBehind(graph: Graph): ReadonlyMap<Value, ReadonlySet<Value>> {
  const behind = new Map<Value, ReadonlySet<Value>>();
  for (const input of graph.inputs) if (isWide(input)) behind.set(input, new Set([input]));
  for (const node of graph.nodes) {
    const sources = new Set(node.inputs.flatMap((value) => [...(behind.get(value) ?? [])]));
    if (sources.size > 0) for (const output of node.outputs) behind.set(output, sources);
  }
  return behind;
}

/**
 * Nodes to compute in int32. Inputs are assumed to keep their limits only while a narrow node reads them, since only
 * then does the runtime check them: what was proven from others is proven again without.
 */
function narrowNodes(graph: Graph, limitOf: (input: Value) => number): ReadonlySet<Node> {
  let checked = new Set(graph.inputs.filter(isWide));
  for (;;) {
    const ranges = valueRanges(graph, (input) =>
      checked.has(input) ? inputRange(input, limitOf(input)) : undefined,
    );
    const nodes = provenNodes(graph, ranges);
    const read = new Set([...nodes].flatMap((node) => node.inputs));
    const still = new Set([...checked].filter((input) => read.has(input)));
    if (still.size === checked.size) return nodes;
    checked = still;
  }
}

function inputRange({ dtype }: Value, limit: number): Interval {
  const { low, high } = typeRange(dtype);
  return interval(Math.max(low, -limit), Math.min(high, limit));
}

function provenNodes(graph: Graph, ranges: Ranges): ReadonlySet<Node> {
  const tolerant = indexOnlyValues(graph);
  const saturated = new Set<Value>();
  const fits = (value: Value): boolean =>
    !isWide(value) || within(ranges.get(value)!, int32Range) || saturated.has(value);
  const proven = new Set<Node>();
  for (const node of graph.nodes) {
    const values = [...node.inputs, ...node.outputs];
    if (!isPlain(node.op) || !values.some(isWide) || values.some(isForeign)) continue;
    if (!node.inputs.every((value, i) => fits(value) || isComputedIndex(node, i))) continue;
    const [output] = node.outputs;
    if (computesAlike(node, ranges) && fits(output!)) proven.add(node);
    else if (tolerant.has(output!) && saturates(node, ranges)) {
      saturated.add(output!);
      proven.add(node);
    }
  }
  return proven;
}

function isForeign({ dtype, unknownShape }: Value): boolean {
  return dtype === "f64" || dtype === "string" || unknownShape === true;
}

function isIndex({ op }: Node, operand: number): boolean {
  return (op.kind === "gather" || op.kind === "scatter") && operand === 1;
}

/** An index that can be clamped before it is read. */
function isComputedIndex(node: Node, operand: number): boolean {
  const { data, dims } = node.inputs[operand]!;
  return isIndex(node, operand) && data === undefined && dims === undefined;
}

/** The same numbers in int32 as in the wide type, if the operands and the result fit. */
function computesAlike(node: Node, ranges: Ranges): boolean {
  const { op, inputs, outputs } = node;
  const [output] = outputs;
  const operands = inputs.map((value) => ranges.get(value)!);
  if (isWide(output!) && !within(resultRange(node, operands), typeRange(output!.dtype)))
    return false;
  switch (op.kind) {
    case "map": {
      if (registerWidths([...inputs, output!].map((value) => value.dtype)).integer === "i32")
        return true;
      return mapRegisterRanges(op, inputs, output!, operands)[op.program.results[0]!]!.exact;
    }
    case "reduce": {
      const count = dimProduct(op.axes.map((axis) => inputs[0]!.shape[axis]!));
      const startsAtLimit = op.reduction === "max" || op.reduction === "min";
      return !startsAtLimit || dimMin(count) > 0;
    }
    case "scan":
      return !op.exclusive || op.combine === "sum" || op.combine === "prod";
    default:
      return true;
  }
}

/** Values that are read only as indices, perhaps after having been moved. */
function indexOnlyValues(graph: Graph): ReadonlySet<Value> {
  const others = new Set(graph.outputs.map((output) => output.value));
  for (const node of graph.nodes.toReversed()) {
    const passes = isMovement(node) && !others.has(node.outputs[0]!);
    node.inputs.forEach((value, i) => {
      if (!passes && !isIndex(node, i)) others.add(value);
    });
  }
  const made = graph.nodes.flatMap((node) => node.outputs);
  return new Set(made.filter((value) => !others.has(value)));
}

const movements: ReadonlySet<string> = new Set([
  "reshape",
  "transpose",
  "broadcast",
  "slice",
  "window",
  "concat",
]);

function isMovement({ op }: Node): boolean {
  return movements.has(op.kind);
}

/** What does not fit saturates to int32: a conversion from float, and whatever moves its result. */
function saturates({ op, inputs, outputs }: Node, ranges: Ranges): boolean {
  if (movements.has(op.kind)) return true;
  if (op.kind !== "map" || outputs[0]!.dtype !== "i64") return false;
  const { instructions, results } = op.program;
  const last = instructions[results[0]!]!;
  if (last.op !== "toI") return false;
  const operands = inputs.map((value) => ranges.get(value)!);
  return mapRegisterRanges(op, inputs, outputs[0]!, operands)[last.args[0]!]!.exact;
}

/** What remains of a conversion between integers once both are int32. */
function isCopy({ op, outputs }: Node, [x, ...more]: readonly Value[]): boolean {
  if (op.kind !== "map" || x === undefined || more.length > 0) return false;
  const [only, ...rest] = op.program.instructions;
  return only!.op === "input" && rest.length === 0 && x.dtype === "i32" && isInt32(outputs[0]!);
}

function isInt32(value: Value): boolean {
  return value.dtype === "i32" || isWide(value);
}

/** How a value is read: in its own type, or as int32. */
type Form = "own" | "narrow";

class Narrowing {
  readonly #graph: Graph;
  readonly #narrow: ReadonlySet<Node>;
  readonly #limits: ReadonlyMap<Value, number>;
  readonly #isBody: boolean;
  readonly #names: Set<string>;
  /** The form in which an input or a node's result is produced. */
  readonly #produced = new Map<Value, Form>();
  /** Constants and dims that something reads in their own type. */
  readonly #ownReads = new Set<Value>();
  readonly #forms = { own: new Map<Value, Value>(), narrow: new Map<Value, Value>() };
  readonly #nodes: Node[] = [];

  constructor(
    graph: Graph,
    narrow: ReadonlySet<Node>,
    { limits, isBody }: { readonly limits: ReadonlyMap<Value, number>; readonly isBody: boolean },
  ) {
    this.#graph = graph;
    this.#isBody = isBody;
    this.#limits = limits;
    this.#narrow = narrow;
    const values = graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs]);
    this.#names = new Set([...graph.inputs, ...values].map((value) => value.name));
    for (const node of graph.nodes) {
      if (!narrow.has(node)) for (const value of node.inputs) this.#ownReads.add(value);
    }
    for (const { value } of graph.outputs) this.#ownReads.add(value);
  }

  run(): Graph {
    const { inputs, outputs, nodes } = this.#graph;
    const read = new Set([...this.#narrow].flatMap((node) => node.inputs));
    const newInputs = inputs.map((input) => this.#input(input, !this.#isBody && read.has(input)));
    for (const node of nodes) {
      const isNarrow = this.#narrow.has(node);
      const form = isNarrow ? "narrow" : "own";
      const operands = node.inputs.map((value, i) =>
        this.#read(value, form, node, isIndex(node, i)),
      );
      if (isNarrow && isCopy(node, operands)) {
        const [output] = node.outputs as [Value];
        const form = isWide(output) ? "narrow" : "own";
        this.#produced.set(output, form);
        this.#forms[form].set(output, operands[0]!);
        continue;
      }
      const results = node.outputs.map((value) => this.#produce(value, isNarrow));
      this.#nodes.push({ ...node, inputs: operands, outputs: results });
    }
    const newOutputs = outputs.map(({ name, value }) => {
      const form = this.#produced.get(value) ?? "own";
      return { name, value: this.#forms[form].get(value) ?? value };
    });
    return { ...this.#graph, inputs: newInputs, outputs: newOutputs, nodes: this.#nodes };
  }

  #input(input: Value, isNarrow: boolean): Value {
    const value = this.#produce(input, isNarrow);
    if (value === input) return input;
    const limited = { ...value, limit: this.#limits.get(input) ?? inputLimits[0] };
    this.#forms.narrow.set(input, limited);
    return limited;
  }

  #produce(value: Value, isNarrow: boolean): Value {
    const form = isNarrow && isWide(value) ? "narrow" : "own";
    const produced: Value = form === "narrow" ? { ...value, dtype: "i32" } : value;
    this.#produced.set(value, form);
    this.#forms[form].set(value, produced);
    return produced;
  }

  #read(value: Value, form: Form, reader: Node, isIndexed: boolean): Value {
    if (!isWide(value)) return this.#forms.own.get(value) ?? value;
    const known = this.#forms[form].get(value);
    if (known !== undefined) return known;
    if (form === "own" && this.#produced.get(value) === undefined) return value;
    const made = this.#knownNarrow(value) ?? this.#cast(value, form, reader, isIndexed);
    this.#forms[form].set(value, made);
    return made;
  }

  /** A constant or `dims` value as int32. */
  #knownNarrow(value: Value): Value | undefined {
    const { data, dims } = value;
    if (data === undefined && dims === undefined) return undefined;
    const name = this.#ownReads.has(value) ? this.#freshName(value, "i32") : value.name;
    const narrow: Value = { ...value, name, dtype: "i32" };
    if (data === undefined) return narrow;
    const elements = convertData(data.dtype, data.data, "i32");
    return { ...narrow, data: { dtype: "i32", shape: data.shape, data: elements } };
  }

  /** Between the types, on the host; to int32 only what fits, or an index, which is clamped. */
  #cast(value: Value, form: Form, { origins }: Node, isIndexed: boolean): Value {
    const from = this.#forms[form === "narrow" ? "own" : "narrow"].get(value)!;
    const dtype = form === "narrow" ? "i32" : value.dtype;
    const to: Value = { ...value, name: this.#freshName(value, dtype), dtype };
    const builder = laneProgramBuilder({ wide: true });
    const x = builder.source("input", 0, "i32");
    const { l } = builder;
    const { low, high } = int32Range;
    const clamped = form === "narrow" && isIndexed;
    const result = clamped ? l.minI(l.maxI(x, l.constI(low)), l.constI(high)) : x;
    const op = { kind: "map", program: builder.finish([result]) } as const;
    this.#nodes.push({ op, inputs: [from], outputs: [to], origins });
    return to;
  }

  #freshName({ name }: Value, dtype: DType): string {
    let fresh = `${name}.${dtype}`;
    for (let i = 2; this.#names.has(fresh); i++) fresh = `${name}.${dtype}.${i}`;
    this.#names.add(fresh);
    return fresh;
  }
}
