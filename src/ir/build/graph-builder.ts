/**
 * The graph builder: what each method makes of its inputs. Movements, gathers and maps, which simplify themselves, have
 * files of their own; names, known values and the folding of constants are in `assembly.ts`, shape rules in
 * `../graph-shapes.ts`.
 */
import { deviceDTypes, type DType } from "../../numerics/dtype.js";
import type { EncodeOptions } from "../../numerics/float-formats.js";
import type { Lane, LaneBuilder } from "../../numerics/lanes.js";
import type { Tensor } from "../../numerics/tensor.js";
import { gather } from "./gather.js";
import { cast, map } from "./map.js";
import * as move from "./movement.js";
import type { GraphBuilder } from "../builder.js";
import { canonicalOrder, contractType } from "../contract-types.js";
import { bodyOperands, tripResults } from "../control.js";
import { type Dim, dimMul, type DimSymbol } from "../dim.js";
import { type AssemblyOptions, GraphAssembly } from "./assembly.js";
import * as shapes from "../graph-shapes.js";
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
} from "../graph.js";
import { reductionOfNothing } from "../evaluate/reduce.js";
import { outerProduct } from "./outer-product.js";
import type { OnnxNode } from "../onnx-node.js";

export function createGraphBuilder(options: AssemblyOptions = {}): GraphBuilder {
  return new Builder(new GraphAssembly(options), options.deviceDoubles === true);
}

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
    return move.full(this.#graph, dtype, value, shape);
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
    return map(this.#graph, dtype, inputs, body, options);
  }

  cast(x: Value, dtype: DType, options?: EncodeOptions): Value {
    return cast(this.#graph, x, dtype, options);
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
    const { dtype, shape } = contractType(inputs, labels);
    if (labels.order === "") return outerProduct(this, inputs, labels, dtype);
    const isEmpty = [...labels.order].some((label) => a.shape[labels.a.indexOf(label)] === 0);
    if (isEmpty) return this.broadcast(this.full(dtype, 0), shape);
    const order = canonicalOrder(a, labels);
    return this.#graph.emit({ kind: "contract", ...labels, order }, inputs, dtype, shape);
  }

  scan(x: Value, operation: Omit<ScanOperation, "kind">): Value {
    const axis = shapes.resolveAxis(operation.axis, shapes.requireKnownShape(x).shape.length);
    const { dtype, shape } = shapes.scanType(x, axis);
    return this.#graph.emit({ kind: "scan", ...operation, axis }, [x], dtype, shape);
  }

  gather(data: Value, indices: Value, axis: number): Value {
    return gather(this.#graph, data, indices, axis);
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
    return move.reshape(this.#graph, x, shape);
  }

  transpose(x: Value, perm: readonly number[]): Value {
    return move.transpose(this.#graph, x, perm);
  }

  broadcast(x: Value, shape: readonly Dim[]): Value {
    return move.broadcast(this.#graph, x, shape);
  }

  slice(x: Value, starts: readonly Dim[], sizes: readonly Dim[], steps?: readonly number[]): Value {
    return move.slice(this.#graph, x, starts, sizes, steps);
  }

  sliceAxis(x: Value, axis: number, start: Dim, size: Dim, step?: number): Value {
    return move.sliceAxis(this.#graph, x, axis, start, size, step);
  }

  pad(x: Value, low: readonly number[], high: readonly number[], value: number): Value {
    return move.pad(this.#graph, x, low, high, value);
  }

  window(x: Value, axes: readonly WindowAxis[]): Value {
    return move.window(this.#graph, x, axes);
  }

  concat(xs: readonly Value[], axis: number): Value {
    return move.concat(this.#graph, xs, axis);
  }

  unsqueeze(x: Value, axes: readonly number[]): Value {
    return move.unsqueeze(this.#graph, x, axes);
  }

  squeeze(x: Value, axes: readonly number[]): Value {
    return move.squeeze(this.#graph, x, axes);
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
