/**
 * What is known of values under construction that no constant says: elements that are dims or quotients of them, and the
 * symbols that a value depends on.
 */
import { dtypes } from "../../numerics/dtype.js";
import { elementCount } from "../../numerics/tensor.js";
import { type Dim, type DimSymbol, NeedsBinding } from "../dim.js";
import {
  evaluateKnown,
  knownElements,
  type KnownElement,
  knownInteger,
  type KnownValue,
} from "../dim-values.js";
import { symbolsOf } from "../graph-shapes.js";
import type { Node, Value } from "../graph.js";
import type { PlainOperation } from "../operation-types.js";

/** Larger tensors are data, not shapes. */
const knownElementsMax = 4096;

export class KnownValues {
  readonly #producers: ReadonlyMap<Value, Node>;
  /** Elements of computed values that are quotients of dims: what floats keep, since `dims` is for integers. */
  readonly #elements = new Map<Value, readonly KnownElement[]>();
  /** Symbols that a computed value depends on, where it depends on no data. */
  readonly #symbols = new Map<Value, ReadonlySet<DimSymbol>>();

  /** `producers` grows with the graph. */
  constructor(producers: ReadonlyMap<Value, Node>) {
    this.#producers = producers;
  }

  /** Of an integer value. Throws NeedsBinding where symbols make it up in a way that is not followed. */
  dimsOf(value: Value): readonly Dim[] | undefined {
    const { kind } = dtypes[value.dtype];
    if (kind !== "int" && kind !== "uint") return undefined;
    if (value.dims !== undefined) return value.dims;
    if (value.data !== undefined) return Array.from(value.data.data as ArrayLike<number>, Number);
    const known = this.#valueOf(value);
    if (known !== undefined) return known.elements.map((element) => element.dim);
    const symbols = this.#symbols.get(value);
    if (symbols === undefined || symbols.size === 0) return undefined;
    throw new NeedsBinding(
      [...symbols].map((symbol) => symbol.name),
      `a value that sizes depend on is computed from it in a way that is only followed for numbers`,
    );
  }

  /** Elements of an operation's result, if some of its inputs are symbolic and all are known. */
  evaluate(
    op: PlainOperation,
    inputs: readonly Value[],
    shape: readonly Dim[],
  ): readonly KnownElement[] | undefined {
    if (!shape.every((dim) => typeof dim === "number")) return undefined;
    const symbolic = inputs.some((x) => x.dims !== undefined || this.#elements.has(x));
    if (!symbolic) return undefined;
    const known = inputs.map((x) => this.#valueOf(x));
    if (known.some((x) => x === undefined)) return undefined;
    return evaluateKnown(op, known as readonly KnownValue[], shape as number[]);
  }

  /** Keeps what is known of the result of an operation. */
  record(
    value: Value,
    op: PlainOperation,
    inputs: readonly Value[],
    elements: readonly KnownElement[] | undefined,
  ): void {
    if (elements !== undefined) this.#elements.set(value, elements);
    const symbols = symbolsOf([...value.shape, ...(op.kind === "slice" ? op.starts : [])]);
    for (const x of inputs) {
      if (x.data !== undefined) continue;
      const own = x.dims === undefined ? this.#symbols.get(x) : symbolsOf(x.dims);
      if (own === undefined) return;
      for (const symbol of own) symbols.add(symbol);
    }
    this.#symbols.set(value, symbols);
  }

  #valueOf(value: Value): KnownValue | undefined {
    if (!value.shape.every((dim) => typeof dim === "number")) return undefined;
    const shape = value.shape as readonly number[];
    if (value.dims !== undefined) return { shape, elements: value.dims.map(knownInteger) };
    const elements =
      value.data === undefined
        ? this.#elements.get(value)
        : value.data.data.length > knownElementsMax
          ? undefined
          : knownElements(value.data);
    if (elements !== undefined) return { shape, elements };
    const node = this.#producers.get(value);
    if (node?.op.kind !== "broadcast" || elementCount(shape) > knownElementsMax) return undefined;
    const source = this.#valueOf(node.inputs[0]!);
    const repeated = source && evaluateKnown(node.op, [source], shape);
    return repeated && { shape, elements: repeated };
  }
}
