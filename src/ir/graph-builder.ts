/**
 * The graph builder: what each method makes of its inputs, and the local simplifications that go with it. Names,
 * known values and the folding of constants are in `graph-assembly.ts`, shape rules in `graph-shapes.ts`.
 */
import { convertData, encodeArray } from "../numerics/convert.js";
import { deviceDTypes, type DType, dtypes } from "../numerics/dtype.js";
import type { EncodeOptions } from "../numerics/float-formats.js";
import {
  type Lane,
  type LaneBuilder,
  laneProgramBuilder,
  LaneTypeError,
  withoutUnused,
} from "../numerics/lanes.js";
import type { LaneProgram } from "../numerics/lane.js";
import type { Tensor } from "../numerics/tensor.js";
import { fail } from "../support/diagnostic.js";
import type { GraphBuilder } from "./builder.js";
import { castLane } from "./cast.js";
import { bodyOperands, tripResults } from "./control.js";
import {
  type Dim,
  dimAdd,
  dimEquals,
  dimMax,
  dimMin,
  dimMul,
  dimProduct,
  dimSub,
  type DimSymbol,
} from "./dim.js";
import { type AssemblyOptions, GraphAssembly } from "./graph-assembly.js";
import * as shapes from "./graph-shapes.js";
import type {
  ContractOperation,
  ControlOperation,
  Graph,
  LoopOperation,
  Origin,
  ReduceOperation,
  Reduction,
  ScanOperation,
  ScatterOperation,
  Value,
  WindowAxis,
} from "./graph.js";
import { registerWidths } from "./evaluate-map.js";
import { reductionOfNothing } from "./evaluate-reduce.js";
import { outerProduct } from "./outer-product.js";
import type { OnnxNode } from "./onnx-node.js";

export function createGraphBuilder(options: AssemblyOptions = {}): GraphBuilder {
  return new Builder(new GraphAssembly(options), options.deviceDoubles === true);
}

/** Transfers with indices walk so many axes; more of them can be merged, which changes nothing in memory. */
const gatheredRankMax = 4;

/** Kernels walk so many reduced axes. */
const reducedAxesMax = 5;

class Builder implements GraphBuilder {
  readonly #graph: GraphAssembly;
  readonly #deviceDoubles: boolean;

  constructor(graph: GraphAssembly, deviceDoubles: boolean) {
    this.#graph = graph;
    this.#deviceDoubles = deviceDoubles;
  }

  computes(dtype: DType): boolean {
    return dtype === "f64" ? this.#deviceDoubles : deviceDTypes.some((known) => known === dtype);
  }

  inner(): GraphBuilder {
    return createGraphBuilder({ deviceDoubles: this.#deviceDoubles });
  }

  setOrigins(origins: readonly Origin[]): void {
    this.#graph.origins = origins;
  }

  name(value: Value, name: string): void {
    this.#graph.rename(value, name);
  }

  input(name: string, dtype: DType, shape: readonly Dim[] | undefined): Value {
    return this.#graph.input(name, dtype, shape);
  }

  constant(tensor: Tensor, name?: string): Value {
    return this.#graph.constant(tensor, name);
  }

  full(dtype: DType, value: number, shape: readonly number[] = []): Value {
    const scalar = this.#graph.constant({ dtype, shape: [], data: encodeArray(dtype, [value]) });
    return this.broadcast(scalar, shape);
  }

  dims(elements: readonly Dim[], options: { readonly scalar?: boolean } = {}): Value {
    const shape = options.scalar === true ? [] : [elements.length];
    return this.#graph.dimsValue("i64", shape, elements);
  }

  get inputs(): readonly Value[] {
    return this.#graph.inputs;
  }

  ancestorsOf(value: Value): ReadonlySet<Value> {
    return this.#graph.ancestorsOf(value);
  }

  knownDims(value: Value): readonly Dim[] | undefined {
    return this.#graph.knownDims(value);
  }

  map(
    dtype: DType,
    inputs: readonly Value[],
    body: (l: LaneBuilder, ...x: Lane[]) => Lane,
    options: { readonly keep?: boolean } = {},
  ): Value {
    return this.#map(dtype, inputs, body, options);
  }

  #map(
    dtype: DType,
    inputs: readonly Value[],
    body: (l: LaneBuilder, ...x: Lane[]) => Lane,
    { keep = false, encode }: { readonly keep?: boolean; readonly encode?: EncodeOptions } = {},
  ): Value {
    const shape = this.broadcastShape(...inputs);
    const wide = registerWidths([dtype, ...inputs.map((x) => x.dtype)]).integer !== "i32";
    const builder = laneProgramBuilder({ wide });
    const lanes = inputs.map((x, i) => builder.source("input", i, shapes.registerOf(x.dtype)));
    const result = withTypesOf(inputs, () => body(builder.l, ...lanes));
    if (result.type !== shapes.registerOf(dtype)) {
      fail("L0202", `the operator does not give ${dtype}: it computes in ${result.type}`);
    }
    const [program, used] = withSharedInputs(
      builder.finish([result]),
      inputs.map((x) => this.#graph.unbroadcast(x)),
    );
    const own = shapes.broadcastShapes(used.map((x) => x.shape));
    const [only] = program.instructions;
    const copies = program.instructions.length === 1 && only!.op === "input";
    if (copies && used[0]!.dtype === dtype) return this.broadcast(used[0]!, shape);
    const op = { kind: "map", program, ...(encode === undefined ? {} : { encode }) } as const;
    const value = keep
      ? this.#graph.emitKept(op, used, dtype, own)
      : this.#graph.emit(op, used, dtype, own);
    return this.broadcast(value, shape);
  }

  cast(x: Value, dtype: DType, options?: EncodeOptions): Value {
    if (x.dtype === dtype) return x;
    shapes.registerOf(x.dtype);
    shapes.registerOf(dtype);
    if (x.data !== undefined) {
      const data = convertData(x.dtype, x.data.data, dtype, options);
      return this.#graph.constant({ dtype, shape: x.data.shape, data });
    }
    const special = options?.saturate === false || options?.roundMode !== undefined;
    const encode = special && dtypes[dtype].bits <= 8 ? options : undefined;
    return this.#map(dtype, [x], (l, lane) => castLane(l, lane!, x.dtype, dtype), {
      ...(encode === undefined ? {} : { encode }),
    });
  }

  reduce(
    x: Value,
    reduction: Reduction,
    axes: readonly number[],
    options: { readonly keepDims?: boolean } = {},
  ): Value {
    const resolved = shapes.resolveAxes(axes, shapes.requireKnownShape(x).shape.length);
    const { dtype, shape } = shapes.reduceType(x, reduction, resolved);
    const op = { kind: "reduce", reduction, axes: resolved } as const;
    const result =
      resolved.length === 0 && dtype === x.dtype
        ? x
        : resolved.some((axis) => x.shape[axis] === 0)
          ? this.broadcast(this.constant(reductionOfNothing(op, x.dtype, dtype)), shape)
          : this.#reduced(op, x, dtype, shape);
    if (options.keepDims !== true) return result;
    return this.reshape(
      result,
      x.shape.map((dim, axis) => (resolved.includes(axis) ? 1 : dim)),
    );
  }

  /** Neighbours among many reduced axes are one axis: elements come in the same order. */
  #reduced(op: ReduceOperation, x: Value, dtype: DType, shape: readonly Dim[]): Value {
    const first = op.axes.findIndex((axis, i) => op.axes[i + 1] === axis + 1);
    if (op.axes.length <= reducedAxesMax || first < 0) {
      return this.#graph.emit(op, [x], dtype, shape);
    }
    const at = op.axes[first]!;
    const joined = dimMul(x.shape[at]!, x.shape[at + 1]!);
    const merged = this.reshape(x, [...x.shape.slice(0, at), joined, ...x.shape.slice(at + 2)]);
    const axes = op.axes.flatMap((axis) =>
      axis <= at ? [axis] : axis === at + 1 ? [] : [axis - 1],
    );
    return this.#reduced({ ...op, axes }, merged, dtype, shape);
  }

  contract(
    a: Value,
    b: Value,
    labels: Omit<ContractOperation, "kind">,
    zeros: { a?: Value; b?: Value } = {},
  ): Value {
    const inputs = [shapes.requireKnownShape(a), shapes.requireKnownShape(b)];
    if (zeros.a !== undefined || zeros.b !== undefined) {
      inputs.push(zeros.a ?? this.full(a.dtype, 0), zeros.b ?? this.full(b.dtype, 0));
    }
    const { dtype, shape } = shapes.contractType(inputs, labels);
    if (labels.order === "") return outerProduct(this, inputs, labels, dtype);
    const isEmpty = [...labels.order].some((label) => a.shape[labels.a.indexOf(label)] === 0);
    if (isEmpty) return this.broadcast(this.full(dtype, 0), shape);
    const order = shapes.canonicalOrder(a, labels);
    return this.#graph.emit({ kind: "contract", ...labels, order }, inputs, dtype, shape);
  }

  scan(x: Value, operation: Omit<ScanOperation, "kind">): Value {
    const axis = shapes.resolveAxis(operation.axis, shapes.requireKnownShape(x).shape.length);
    const { dtype, shape } = shapes.scanType(x, axis);
    return this.#graph.emit({ kind: "scan", ...operation, axis }, [x], dtype, shape);
  }

  gather(data: Value, indices: Value, axis: number): Value {
    const at = shapes.resolveAxis(axis, shapes.requireKnownShape(data).shape.length);
    const { dtype, shape } = shapes.gatherType(data, shapes.requireKnownShape(indices), at);
    const extent = data.shape[at]!;
    const walk = progression(indices) ?? openIndex(indices, extent);
    if (walk !== undefined) {
      const start = dimMin(walk.start) < 0 ? dimAdd(extent, walk.start) : walk.start;
      const picked = this.sliceAxis(data, at, start, walk.count, walk.step);
      return this.reshape(picked, shape);
    }
    if (shape.length > gatheredRankMax)
      return this.reshape(this.#gatherFlat(data, indices, at), shape);
    return this.#graph.emit({ kind: "gather", axis: at }, [data, indices], dtype, shape);
  }

  /** The gather with at most one axis before the gathered one, one of indices, and one behind. */
  #gatherFlat(data: Value, indices: Value, axis: number): Value {
    const merged = (dims: readonly Dim[]): Dim[] => [dimProduct(dims)].filter((dim) => dim !== 1);
    const before = merged(data.shape.slice(0, axis));
    const behind = merged(data.shape.slice(axis + 1));
    const flat = this.reshape(indices, [dimProduct(indices.shape)]);
    const table = this.reshape(data, [...before, data.shape[axis]!, ...behind]);
    return this.gather(table, flat, before.length);
  }

  scatter(
    data: Value,
    indices: Value,
    updates: Value,
    axis: number,
    combine: ScatterOperation["combine"],
  ): Value {
    const at = shapes.resolveAxis(axis, shapes.requireKnownShape(data).shape.length);
    shapes.requireScatter(data, indices, updates, at);
    if (indices.shape.includes(0)) return data;
    const op = { kind: "scatter", axis: at, combine } as const;
    return this.#graph.emit(op, [data, indices, updates], data.dtype, data.shape);
  }

  iota(dtype: "i32" | "i64", shape: readonly Dim[], axis: number): Value {
    const at = shapes.resolveAxis(axis, shape.length);
    return this.#graph.emit({ kind: "iota", axis: at }, [], dtype, shape);
  }

  reshape(x: Value, shape: readonly Dim[]): Value {
    if (sameShape(shapes.requireKnownShape(x).shape, shape)) return x;
    shapes.requireSameElements(x.shape, shape);
    const uniform = this.#graph.uniform(x);
    if (uniform !== undefined && uniform !== x) return this.broadcast(uniform, shape);
    const before = this.#graph.producer(x);
    if (before?.op.kind === "reshape") return this.reshape(before.inputs[0]!, shape);
    return this.#graph.emit({ kind: "reshape" }, [x], x.dtype, shape);
  }

  transpose(x: Value, perm: readonly number[]): Value {
    const shape = shapes.transposeShape(shapes.requireKnownShape(x).shape, perm);
    if (perm.every((axis, i) => axis === i)) return x;
    const uniform = this.#graph.uniform(x);
    if (uniform !== undefined) return this.broadcast(uniform, shape);
    const before = this.#graph.producer(x);
    if (before?.op.kind === "transpose") {
      const { perm: first } = before.op;
      return this.transpose(
        before.inputs[0]!,
        perm.map((axis) => first[axis]!),
      );
    }
    return this.#graph.emit({ kind: "transpose", perm }, [x], x.dtype, shape);
  }

  broadcast(x: Value, shape: readonly Dim[]): Value {
    shapes.requireBroadcastable(shapes.requireKnownShape(x).shape, shape);
    const lead = shape.length - x.shape.length;
    const aligned = this.reshape(x, [...new Array<number>(lead).fill(1), ...x.shape]);
    if (sameShape(aligned.shape, shape)) return aligned;
    const before = this.#graph.producer(aligned);
    if (before?.op.kind === "broadcast") return this.broadcast(before.inputs[0]!, shape);
    return this.#graph.emit({ kind: "broadcast" }, [aligned], x.dtype, shape);
  }

  slice(
    x: Value,
    starts: readonly Dim[],
    sizes: readonly Dim[],
    steps: readonly number[] = starts.map(() => 1),
  ): Value {
    shapes.requireSliceInside(shapes.requireKnownShape(x).shape, starts, sizes, steps);
    const whole = sizes.every((size, a) => dimEquals(size, x.shape[a]!) && starts[a] === 0);
    const forward = steps.map((step, a) => (sizes[a] === 1 || sizes[a] === 0 ? 1 : step));
    const from = starts.map((start, a) => (sizes[a] === 0 ? 0 : start));
    if (whole && forward.every((step) => step === 1)) return x;
    const uniform = this.#graph.uniform(x);
    if (uniform !== undefined) return this.broadcast(uniform, sizes);
    const before = this.#graph.producer(x);
    if (before?.op.kind === "slice") {
      const { starts: first, steps: stride } = before.op;
      return this.slice(
        before.inputs[0]!,
        from.map((start, a) => dimAdd(first[a]!, dimMul(start, stride[a]!))),
        sizes,
        forward.map((step, a) => step * stride[a]!),
      );
    }
    return this.#graph.emit({ kind: "slice", starts: from, steps: forward }, [x], x.dtype, sizes);
  }

  sliceAxis(x: Value, axis: number, start: Dim, size: Dim, step = 1): Value {
    const at = shapes.resolveAxis(axis, shapes.requireKnownShape(x).shape.length);
    return this.slice(
      x,
      x.shape.map((_, a) => (a === at ? start : 0)),
      x.shape.map((dim, a) => (a === at ? size : dim)),
      x.shape.map((_, a) => (a === at ? step : 1)),
    );
  }

  pad(x: Value, low: readonly number[], high: readonly number[], value: number): Value {
    const shape = shapes.padShape(shapes.requireKnownShape(x).shape, low, high);
    if (low.some((n) => n < 0) || high.some((n) => n < 0)) {
      const cut = (n: number) => Math.min(n, 0);
      const kept = shapes.padShape(x.shape, low.map(cut), high.map(cut));
      const inner = this.slice(
        x,
        low.map((n) => -cut(n)),
        kept,
      );
      const add = (n: number) => Math.max(n, 0);
      return this.pad(inner, low.map(add), high.map(add), value);
    }
    if (sameShape(shape, x.shape)) return x;
    if (x.shape.includes(0)) return this.broadcast(this.full(x.dtype, value), shape);
    return this.#graph.emit({ kind: "pad", low, high, value }, [x], x.dtype, shape);
  }

  window(x: Value, axes: readonly WindowAxis[]): Value {
    const shape = shapes.windowShape(shapes.requireKnownShape(x).shape, axes);
    const trivial = axes.every(({ size, stride }) => size === 1 && stride === 1);
    if (trivial) return this.reshape(x, shape);
    return this.#graph.emit({ kind: "window", axes }, [x], x.dtype, shape);
  }

  concat(xs: readonly Value[], axis: number): Value {
    const [first] = xs;
    if (first === undefined) fail("L0201", "there is nothing to concatenate");
    for (const x of xs) shapes.requireKnownShape(x);
    const at = shapes.resolveAxis(axis, first.shape.length);
    const { dtype, shape } = shapes.concatType(xs, at);
    const parts = xs.filter((x) => x.shape[at] !== 0);
    if (parts.length <= 1) return parts[0] ?? first;
    return this.#graph.emit({ kind: "concat", axis: at }, parts, dtype, shape);
  }

  unsqueeze(x: Value, axes: readonly number[]): Value {
    const rank = shapes.requireKnownShape(x).shape.length + axes.length;
    const resolved = shapes.resolveAxes(axes, rank);
    const rest = [...x.shape];
    const shape = Array.from({ length: rank }, (_, a) =>
      resolved.includes(a) ? 1 : rest.shift()!,
    );
    return this.reshape(x, shape);
  }

  squeeze(x: Value, axes: readonly number[]): Value {
    const resolved = shapes.resolveAxes(axes, shapes.requireKnownShape(x).shape.length);
    for (const axis of resolved) {
      shapes.requireEqual(
        x.shape[axis]!,
        1,
        `axis ${axis} of ${shapes.shapeText(x.shape)} cannot be squeezed`,
      );
    }
    return this.reshape(
      x,
      x.shape.filter((_, axis) => !resolved.includes(axis)),
    );
  }

  host(
    node: OnnxNode,
    reason: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly { name: string; dtype: DType; shape?: readonly Dim[] }[],
  ): readonly Value[] {
    const given = inputs.filter((x) => x !== undefined);
    return this.#graph.host({ kind: "host", node, reason }, given, outputs);
  }

  control(op: ControlOperation, inputs: readonly Value[]): readonly Value[] {
    if (op.kind === "loop" && op.trips === 0) return this.#withoutTrips(op, inputs);
    return this.#graph.control(op, inputs);
  }

  /** The states as they were, and nothing scanned. */
  #withoutTrips(op: LoopOperation, inputs: readonly Value[]): readonly Value[] {
    const [passed] = bodyOperands(op, inputs);
    const { scanned } = tripResults(op, op.bodies[0]!.outputs);
    const joined = scanned.map(({ value: { dtype, shape } }, i) =>
      this.broadcast(this.full(dtype, 0), shape.with(op.scans[i]!.axis, 0)),
    );
    return [...passed!.slice(0, op.states), ...joined];
  }

  openCount(name: string, max: number): DimSymbol | undefined {
    return this.#graph.openCount(name, max);
  }

  broadcastShape(...values: readonly Value[]): readonly Dim[] {
    return shapes.broadcastShapes(values.map((x) => shapes.requireKnownShape(x).shape));
  }

  finish(name: string, outputs: readonly { name: string; value: Value }[]): Graph {
    return this.#graph.finish(name, outputs);
  }
}

/** An operator is written for some types: others reach its code as registers that it does not take. */
function withTypesOf(inputs: readonly Value[], body: () => Lane): Lane {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof LaneTypeError)) throw error;
    const types = inputs.map((x) => x.dtype).join(", ");
    fail("L0202", `the operator does not take elements of (${types})`, { notes: [error.message] });
  }
}

function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dimEquals(dim, b[axis]!));
}

/** The program over the inputs that it uses, each once. */
function withSharedInputs(
  program: LaneProgram,
  inputs: readonly Value[],
): readonly [LaneProgram, readonly Value[]] {
  const used: Value[] = [];
  const instructions = program.instructions.map((instruction) => {
    if (instruction.op !== "input") return instruction;
    const value = inputs[instruction.imm!]!;
    if (!used.includes(value)) used.push(value);
    return { ...instruction, imm: used.indexOf(value) };
  });
  return [withoutUnused({ ...program, instructions }), used];
}

/** Indices that a strided slice could read, all from one end. */
interface Progression {
  readonly start: Dim;
  readonly step: number;
  readonly count: number;
}

/** One index that is known as a dim, if it is inside whatever the dims are. */
function openIndex({ dims }: Value, extent: Dim): Progression | undefined {
  const [start, ...more] = dims ?? [];
  if (start === undefined || more.length > 0) return undefined;
  const isInside = dimMin(start) >= 0 && dimMax(dimSub(start, extent)) < 0;
  return isInside ? { start, step: 1, count: 1 } : undefined;
}

function progression({ data }: Value): (Progression & { readonly start: number }) | undefined {
  const values = data?.data;
  if (values === undefined || values.length === 0 || values.length > 4096) return undefined;
  const start = Number(values[0]);
  const step = values.length === 1 ? 1 : Number(values[1]) - start;
  if (step === 0) return undefined;
  for (let i = 0; i < values.length; i++) {
    const index = Number(values[i]);
    if (index !== start + i * step || index < 0 !== start < 0) return undefined;
  }
  return { start, step, count: values.length };
}
