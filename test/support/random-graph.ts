/**
 * Random valid graphs of core operations with inputs to run them on: odd shapes (empty axes, scalars, axes of 1,
 * extents just beyond a block), every operation, several types, symbolic dims. The same seed gives the same graph.
 */
import { type Dim, dimMul, evaluateDim, NeedsBinding, symbolDim } from "../../src/ir/dim.js";
import type { GraphBuilder, Lane, LaneBuilder } from "../../src/ir/builder.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type {
  Graph,
  Reduction,
  ScanOperation,
  ScatterOperation,
  Value,
} from "../../src/ir/graph.js";
import { encodeArray } from "../../src/numerics/convert.js";
import { type DType, dtypes, isFloat } from "../../src/numerics/dtype.js";
import { elementCount, type Tensor } from "../../src/numerics/tensor.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { Random } from "./random.js";

export interface RandomGraphOptions {
  /** Types of inputs and casts. */
  readonly dtypes: readonly DType[];
  /** Operations to try, fewer may remain. */
  readonly steps: number;
  /** Whether dims may be symbolic. */
  readonly symbolic: boolean;
  /** Whether axes may be empty. */
  readonly empty: boolean;
  /** Operations to choose from; all by default. */
  readonly kinds?: readonly RandomKind[];
}

export interface RandomGraph {
  readonly graph: Graph;
  readonly inputs: ReadonlyMap<string, Tensor>;
}

export const defaultRandomGraph: RandomGraphOptions = {
  dtypes: ["f32", "f32", "i32", "f16", "i8", "u16", "bool"],
  steps: 12,
  symbolic: true,
  empty: true,
};

/** Tensors beyond this are not used further. */
const elementsMax = 4096;

export function randomGraph(
  seed: number,
  options: RandomGraphOptions = defaultRandomGraph,
): RandomGraph {
  const maker = new Maker(new Random(seed), options);
  return maker.make(`random${seed}`);
}

class Maker {
  readonly r: Random;
  readonly b: GraphBuilder = createGraphBuilder();
  readonly options: RandomGraphOptions;
  readonly #values: Value[] = [];
  readonly #inputs = new Map<string, Tensor>();
  /** What the symbol W is bound to in this run. */
  readonly #width: number;

  constructor(random: Random, options: RandomGraphOptions) {
    this.r = random;
    this.options = options;
    this.#width = random.integer(1, 9);
  }

  make(name: string): RandomGraph {
    for (let i = this.r.integer(1, 3); i > 0; i--) this.newInput(this.anyShape());
    const kinds = this.options.kinds ?? (Object.keys(makers) as RandomKind[]);
    for (let i = 0; i < this.options.steps; i++) {
      this.b.setOrigins([{ node: `n${i}`, operator: "Random" }]);
      this.#try(this.r.pick(kinds));
    }
    const outputs = new Set([this.#values.at(-1)!]);
    for (const value of this.#values) if (this.r.chance(0.3)) outputs.add(value);
    const named = [...outputs].map((value, i) => ({ name: `out${i}`, value }));
    const graph = this.b.finish(name, named);
    return { graph, inputs: this.#inputs };
  }

  /** Operands that do not fit are no failure: another step follows. */
  #try(kind: RandomKind): void {
    try {
      const made = makers[kind](this, this.r.pick(this.#values));
      if (made !== undefined && this.elements(made) <= elementsMax) this.#values.push(made);
    } catch (error) {
      if (!(error instanceof NeedsBinding) && !(error instanceof DiagnosticError)) throw error;
    }
  }

  extent(dim: Dim): number {
    return evaluateDim(dim, new Map([[width.name, this.#width]]));
  }

  elements(value: Value): number {
    return elementCount(value.shape.map((dim) => this.extent(dim)));
  }

  anyShape(): Dim[] {
    return Array.from({ length: this.r.integer(0, 4) }, () => this.#anyDim());
  }

  #anyDim(): Dim {
    if (this.options.symbolic && this.r.chance(0.2)) {
      return dimMul(symbolDim(width), this.r.pick([1, 1, 2, 3]));
    }
    if (this.options.empty && this.r.chance(0.03)) return 0;
    return this.r.pick([1, 1, 2, 2, 3, 4, 5, 7, 8, 16, 17, 33, 65]);
  }

  newInput(shape: readonly Dim[], dtype = this.r.pick(this.options.dtypes)): Value {
    const extents = shape.map((dim) => this.extent(dim));
    if (elementCount(extents) > elementsMax) return this.newInput(shape.slice(1), dtype);
    const data = Array.from({ length: elementCount(extents) }, () => this.element(dtype));
    return this.newTensor(shape, { dtype, shape: extents, data: encodeArray(dtype, data) });
  }

  /** An input, or a constant where its shape allows it. */
  newTensor(shape: readonly Dim[], tensor: Tensor): Value {
    const fixed = shape.every((dim) => typeof dim === "number");
    if (fixed && this.r.chance(0.3)) return this.#keep(this.b.constant(tensor));
    const name = `in${this.#inputs.size}`;
    this.#inputs.set(name, tensor);
    return this.#keep(this.b.input(name, tensor.dtype, shape));
  }

  #keep(value: Value): Value {
    this.#values.push(value);
    return value;
  }

  element(dtype: DType): number {
    if (dtype === "bool") return this.r.integer(0, 1);
    if (!isFloat(dtype)) return this.r.integer(dtypes[dtype].kind === "uint" ? 0 : -100, 100);
    if (this.r.chance(0.02)) return this.r.pick([0, -0, Infinity, -Infinity, NaN, 1e-42, 6e4]);
    return (this.r.unit() - 0.5) * 2 ** this.r.integer(-3, 6);
  }

  /** Indices into an axis of `extent`, from either end. */
  indices(shape: readonly Dim[], extent: number): Value {
    const extents = shape.map((dim) => this.extent(dim));
    const data = Int32Array.from({ length: elementCount(extents) }, () =>
      this.r.integer(-extent, extent - 1),
    );
    return this.newTensor(shape, { dtype: "i32", shape: extents, data });
  }

  axis(x: Value): number | undefined {
    return x.shape.length === 0 ? undefined : this.r.integer(0, x.shape.length - 1);
  }

  /** An axis of fixed extent of at least `least`. */
  fixedAxis(x: Value, least: number): number | undefined {
    const axes = x.shape.flatMap((dim, a) => (typeof dim === "number" && dim >= least ? [a] : []));
    return axes.length === 0 ? undefined : this.r.pick(axes);
  }

  /** A value that broadcasts with x, of x's type. */
  partner(x: Value): Value {
    if (x.dtype === "i64" && this.r.chance(0.1)) return this.b.full("i64", 2 ** 40);
    const known = this.#values.filter((v) => v.dtype === x.dtype && broadcasts(this.b, x, v));
    if (known.length > 0 && this.r.chance(0.6)) return this.r.pick(known);
    const shape = x.shape.map((dim) => (this.r.chance(0.3) ? 1 : dim));
    return this.newInput(shape.slice(this.r.integer(0, shape.length)), x.dtype);
  }
}

const width = { name: "W", min: 1, max: 9, multipleOf: 1 };

function broadcasts(b: GraphBuilder, x: Value, y: Value): boolean {
  try {
    b.broadcastShape(x, y);
    return true;
  } catch {
    return false;
  }
}

function reshape({ b, r }: Maker, x: Value): Value {
  const shape = [...x.shape];
  if (shape.length > 1 && r.chance(0.6)) {
    const at = r.integer(0, shape.length - 2);
    shape.splice(at, 2, dimMul(shape[at]!, shape[at + 1]!));
  } else {
    const at = shape.findIndex((dim) => typeof dim === "number" && dim > 1 && dim % 2 === 0);
    if (at >= 0) shape.splice(at, 1, (shape[at] as number) / 2, 2);
  }
  if (shape.length < 5 && r.chance(0.4)) shape.splice(r.integer(0, shape.length), 0, 1);
  return b.reshape(x, shape);
}

function broadcast(m: Maker, x: Value): Value {
  const shape = x.shape.map((dim) => (dim === 1 && m.r.chance(0.6) ? m.r.pick([2, 3, 17]) : dim));
  if (shape.length < 5 && m.r.chance(0.5)) shape.unshift(m.r.pick([1, 2, 5]));
  return m.b.broadcast(x, shape);
}

function slice(m: Maker, x: Value): Value | undefined {
  const axis = m.fixedAxis(x, 1);
  if (axis === undefined) return undefined;
  const extent = x.shape[axis] as number;
  const step = m.r.pick([1, 1, 2, 3, -1, -2]);
  const start = m.r.integer(0, extent - 1);
  const room = step > 0 ? extent - 1 - start : start;
  const size = m.r.integer(m.options.empty ? 0 : 1, Math.floor(room / Math.abs(step)) + 1);
  return m.b.sliceAxis(x, axis, start, size, step);
}

function pad(m: Maker, x: Value): Value {
  const amounts = () => x.shape.map(() => (m.r.chance(0.5) ? m.r.integer(0, 3) : 0));
  return m.b.pad(x, amounts(), amounts(), x.dtype === "bool" ? 1 : m.r.pick([0, 0, 1, -2]));
}

function window(m: Maker, x: Value): Value | undefined {
  const axis = m.fixedAxis(x, 2);
  if (axis === undefined) return undefined;
  const one = (at: number) => {
    const extent = x.shape[at] as number;
    const dilation = m.r.integer(1, 2);
    const size = m.r.integer(1, Math.max(1, Math.min(3, Math.floor((extent - 1) / dilation) + 1)));
    return { axis: at, size, stride: m.r.integer(1, 3), dilation };
  };
  const second = m.fixedAxis(x, 2)!;
  return m.b.window(x, second === axis ? [one(axis)] : [one(axis), one(second)]);
}

function concat(m: Maker, x: Value): Value | undefined {
  const axis = m.axis(x);
  if (axis === undefined) return undefined;
  const other = x.shape.map((dim, a) => (a === axis ? m.r.integer(1, 5) : dim));
  const parts = m.r.shuffled([x, m.newInput(other, x.dtype), ...(m.r.chance(0.3) ? [x] : [])]);
  return m.b.concat(
    parts.filter((part) => part.shape.length === x.shape.length),
    axis,
  );
}

type Body = (l: LaneBuilder, x: Lane, y: Lane) => Lane;

const floatBodies: readonly Body[] = [
  (l, x, y) => l.add(x, y),
  (l, x, y) => l.sub(l.mul(x, l.constF(0.37)), y),
  (l, x, y) => l.mul(x, y),
  (l, x, y) => l.div(x, l.add(l.abs(y), l.constF(0.5))),
  (l, x, y) => l.max(x, y),
  (l, x, y) => l.select(l.lt(x, y), l.neg(x), l.floor(y)),
  (l, x) => l.exp(l.min(x, l.constF(5))),
  (l, x, y) => l.tanh(l.add(x, y)),
  (l, x) => l.sqrt(l.abs(x)),
  (l, x) => l.mul(x, l.sigmoid(x)),
  (l, x) => l.rint(x),
];

const intBodies: readonly Body[] = [
  (l, x, y) => l.addI(x, y),
  (l, x, y) => l.mulI(l.subI(x, y), l.constI(3)),
  (l, x, y) => l.divI(x, y),
  (l, x, y) => l.remI(x, y),
  (l, x, y) => l.minI(x, l.maxI(y, l.constI(-5))),
  (l, x, y) => l.selectI(l.ltI(x, y), x, l.xor(y, l.constI(85))),
  (l, x) => l.shrS(x, l.constI(2)),
];

const maskBodies: readonly Body[] = [
  (l, x, y) => l.and(x, y),
  (l, x, y) => l.or(x, l.xor(y, l.constI(-1))),
];

function map(m: Maker, x: Value): Value {
  const y = m.partner(x);
  if (x.dtype !== "bool" && m.r.chance(0.15)) {
    return m.b.map("bool", [x, y], (l, p, q) => (isFloat(x.dtype) ? l.le(p!, q!) : l.eqI(p!, q!)));
  }
  const bodies = isFloat(x.dtype) ? floatBodies : x.dtype === "bool" ? maskBodies : intBodies;
  const [first, second] = [m.r.pick(bodies), m.r.pick(bodies)];
  return m.b.map(x.dtype, [x, y], (l, p, q) => {
    const once = first(l, p!, q!);
    return m.r.chance(0.5) ? once : second(l, once, p!);
  });
}

function reduce(m: Maker, x: Value): Value {
  const reductions: readonly Reduction[] =
    x.dtype === "bool"
      ? ["and", "or"]
      : ["sum", "prod", "seqsum", "max", "min", "argmax", "argmin"];
  const axes = x.shape.map((_, axis) => axis).filter(() => m.r.chance(0.5));
  return m.b.reduce(x, m.r.pick(reductions), axes, { keepDims: m.r.chance(0.5) });
}

/** Up to two axes contracted, one shared, at least one new; the output's labels in any order. */
function contract(m: Maker, x: Value): Value | undefined {
  if (x.dtype === "bool" || x.shape.length > 4) return undefined;
  const a = "abcd".slice(0, x.shape.length);
  const roles = [...a].map(() => m.r.pick(["contracted", "contracted", "shared", "own"] as const));
  const labels = (...wanted: readonly string[]) =>
    [...a].filter((_, i) => wanted.includes(roles[i]!));
  const extent = (label: string) =>
    label === "n" ? m.r.pick([1, 3, 17]) : x.shape[a.indexOf(label)]!;
  const b = m.r.shuffled([...labels("contracted", "shared"), ...(m.r.chance(0.8) ? ["n"] : [])]);
  const other = m.newInput(b.map(extent), x.dtype);
  if (other.shape.length !== b.length) return undefined;
  const own = b.includes("n") ? ["n"] : [];
  const out = m.r.shuffled([...labels("shared", "own"), ...own]).join("");
  const order = m.r.shuffled(labels("contracted")).join("");
  const zero = !isFloat(x.dtype) && m.r.chance(0.5) ? { a: m.b.full(x.dtype, 3) } : {};
  return m.b.contract(x, other, { a, b: b.join(""), out, order }, zero);
}

function gather(m: Maker, x: Value): Value | undefined {
  const axis = m.fixedAxis(x, 1);
  if (axis === undefined) return undefined;
  return m.b.gather(x, m.indices(m.anyShape().slice(0, 2), x.shape[axis] as number), axis);
}

function scatter(m: Maker, x: Value): Value | undefined {
  const axis = m.fixedAxis(x, 1);
  if (axis === undefined) return undefined;
  const shape = x.shape.map((dim, a) => (a === axis ? m.r.integer(1, 6) : dim));
  const updates = m.newInput(shape, x.dtype);
  if (updates.shape.length !== shape.length) return undefined;
  const combines: readonly ScatterOperation["combine"][] =
    x.dtype === "bool" ? ["assign"] : ["assign", "add", "mul", "min", "max"];
  const indices = m.indices(shape, x.shape[axis] as number);
  return m.b.scatter(x, indices, updates, axis, m.r.pick(combines));
}

function scan(m: Maker, x: Value): Value | undefined {
  const axis = m.axis(x);
  if (axis === undefined || x.dtype === "bool") return undefined;
  const combines: readonly ScanOperation["combine"][] = ["sum", "prod", "max", "min"];
  const [exclusive, reverse] = [m.r.chance(0.5), m.r.chance(0.5)];
  return m.b.scan(x, { axis, combine: m.r.pick(combines), exclusive, reverse });
}

function iota(m: Maker, x: Value): Value | undefined {
  const axis = m.axis(x);
  return axis === undefined ? undefined : m.b.iota("i32", x.shape, axis);
}

const makers = {
  reshape,
  transpose: ({ b, r }: Maker, x: Value) => b.transpose(x, r.shuffled(x.shape.map((_, a) => a))),
  broadcast,
  slice,
  pad,
  window,
  concat,
  map,
  cast: ({ b, r, options }: Maker, x: Value) => b.cast(x, r.pick(options.dtypes)),
  reduce,
  contract,
  gather,
  scatter,
  scan,
  iota,
} satisfies Record<string, (m: Maker, x: Value) => Value | undefined>;

export type RandomKind = keyof typeof makers;
