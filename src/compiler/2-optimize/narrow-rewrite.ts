/** Writes a graph anew with what has been proven to fit in int32; casts, for the host, stand where types meet. */
import { convertData } from "../../numerics/convert.js";
import type { DType } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { bodyOperands, conditionOf } from "../../ir/control.js";
import {
  type ControlOperation,
  type Graph,
  isControl,
  type Node,
  type Value,
} from "../../ir/graph.js";
import { int32Range } from "../../ir/ranges/intervals.js";
import { isIndex, isWide } from "./narrow-nodes.js";
import { type Narrow, readNarrow } from "./narrow-proof.js";

/** Inputs that are read as int32 become it, each with its limit. */
export function rewriteNarrow(
  graph: Graph,
  narrow: Narrow,
  limitOf: (input: Value) => number,
): Graph {
  return new Narrowing(graph, narrow).whole(limitOf);
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
  readonly #narrow: Narrow;
  readonly #names: Set<string>;
  /** The form in which an input or a node's result is produced. */
  readonly #produced = new Map<Value, Form>();
  /** Constants and dims that something reads in their own type. */
  readonly #ownReads = new Set<Value>();
  readonly #forms = { own: new Map<Value, Value>(), narrow: new Map<Value, Value>() };
  readonly #nodes: Node[] = [];

  constructor(graph: Graph, narrow: Narrow) {
    this.#graph = graph;
    this.#narrow = narrow;
    const values = graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs]);
    this.#names = new Set([...graph.inputs, ...values].map((value) => value.name));
    for (const node of graph.nodes) {
      if (!narrow.nodes.has(node)) for (const value of node.inputs) this.#ownReads.add(value);
    }
    for (const { value } of graph.outputs) this.#ownReads.add(value);
  }

  /** Outputs are as they are produced; the runtime knows what the caller calls them. */
  whole(limitOf: (input: Value) => number): Graph {
    const read = readNarrow(this.#graph, this.#narrow);
    const inputs = this.#graph.inputs.map((input) => {
      const value = this.#produce(input, read.has(input));
      if (value === input) return input;
      const limited = { ...value, limit: limitOf(input) };
      this.#forms.narrow.set(input, limited);
      return limited;
    });
    this.#addNodes();
    const outputs = this.#graph.outputs.map(({ name, value }) => {
      const form = this.#produced.get(value) ?? "own";
      return { name, value: this.#forms[form].get(value) ?? value };
    });
    return { ...this.#graph, inputs, outputs, nodes: this.#nodes };
  }

  /** A body of control flow, with outputs in the forms that the results have. */
  body(forms: readonly Form[], origins: Node["origins"]): Graph {
    const inputs = this.#graph.inputs.map((input) => this.#produce(input, this.#isPassed(input)));
    this.#addNodes();
    const outputs = this.#graph.outputs.map(({ name, value }, i) => {
      return { name, value: this.#read(value, forms[i]!, origins) };
    });
    return { ...this.#graph, inputs, outputs, nodes: this.#nodes };
  }

  #isPassed(value: Value): boolean {
    return this.#narrow.passed.has(value);
  }

  #formOf(value: Value): Form {
    return this.#isPassed(value) ? "narrow" : "own";
  }

  #addNodes(): void {
    for (const node of this.#graph.nodes) {
      if (isControl(node.op)) this.#addControl(node, node.op);
      else this.#addPlain(node);
    }
  }

  #addPlain(node: Node): void {
    const isNarrow = this.#narrow.nodes.has(node);
    const form = isNarrow ? "narrow" : "own";
    const operands = node.inputs.map((value, i) =>
      this.#read(value, form, node.origins, isIndex(node, i)),
    );
    if (isNarrow && isCopy(node, operands)) {
      const [output] = node.outputs as [Value];
      const form = isWide(output) ? "narrow" : "own";
      this.#produced.set(output, form);
      this.#forms[form].set(output, operands[0]!);
      return;
    }
    const results = node.outputs.map((value) => this.#produce(value, isNarrow));
    this.#nodes.push({ ...node, inputs: operands, outputs: results });
  }

  #addControl(node: Node, op: ControlOperation): void {
    const { origins } = node;
    const condition = conditionOf(op, node.inputs);
    const operands = bodyOperands(op, node.inputs).flatMap((values, i) =>
      values.map((value, j) => this.#read(value, this.#formOf(op.bodies[i]!.inputs[j]!), origins)),
    );
    const results = node.outputs.map((value) => this.#produce(value, this.#isPassed(value)));
    const forms = node.outputs.map((value) => this.#formOf(value));
    const given: Form[] = op.kind === "loop" && op.condition ? ["own", ...forms] : forms;
    const bodies = op.bodies.map((body) => new Narrowing(body, this.#narrow).body(given, origins));
    this.#nodes.push({
      op: { ...op, bodies },
      inputs: condition === undefined ? operands : [this.#current(condition), ...operands],
      outputs: results,
      origins,
    });
  }

  /** Of a type that every machine has. */
  #current(value: Value): Value {
    return this.#forms.own.get(value) ?? value;
  }

  #produce(value: Value, isNarrow: boolean): Value {
    const form = isNarrow && isWide(value) ? "narrow" : "own";
    const produced: Value = form === "narrow" ? { ...value, dtype: "i32" } : value;
    this.#produced.set(value, form);
    this.#forms[form].set(value, produced);
    return produced;
  }

  #read(value: Value, form: Form, origins: Node["origins"], isIndexed = false): Value {
    if (!isWide(value)) return this.#current(value);
    const known = this.#forms[form].get(value);
    if (known !== undefined) return known;
    if (form === "own" && this.#produced.get(value) === undefined) return value;
    const made = this.#knownNarrow(value) ?? this.#cast(value, form, origins, isIndexed);
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
  #cast(value: Value, form: Form, origins: Node["origins"], isIndexed: boolean): Value {
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
