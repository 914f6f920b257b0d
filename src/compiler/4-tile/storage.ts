/**
 * Where values lie in memory: which root buffer, at which offset, with which strides. Decided here, because walks
 * need strides; which address a root gets is phase 5's business.
 *
 * A value's order of dims follows whoever produces it (kernels write what they read most in the order it
 * comes in). The parts of a concat are written into the concat's own buffer. Strides are those of the maximum of
 * every symbolic dim, so that they are static.
 */
import { elementCount } from "../../numerics/tensor.js";
import { type DeviceDType, deviceDTypes, dtypes } from "../../numerics/dtype.js";
import { type Dim, dimAdd, dimMax } from "../../ir/dim.js";
import type { Graph, Node, Value } from "../../ir/graph.js";
import type { Storage, StorageRoot } from "../tiled.js";
import { InternalError } from "../../support/diagnostic.js";

export interface StorageMap {
  get(value: Value): Storage | undefined;
  /** Storage of a value about to be written; `order` is the producer's wish, outermost dim first. */
  allocate(value: Value, order: readonly number[]): Storage;
  /** Storage of a constant, in the order of its first reader. */
  constant(value: Value, order: readonly number[]): Storage;
  /** `value` as the part of a concat's storage that begins at `before` along its axis. */
  part(value: Value, whole: Storage, axis: number, before: Dim): { storage: Storage; next: Dim };
  /** `value` shares the elements of `storage` under another shape. */
  alias(value: Value, storage: Storage): void;
  readonly storages: Map<Value, Storage>;
  readonly roots: StorageRoot[];
}

export interface StorageOptions {
  readonly graph: Graph;
  /** Concat nodes whose part may be written in place, by part. */
  readonly parts: ReadonlyMap<Value, Node>;
  /** For a body of control flow: that of the graph around it. Both have the same roots. */
  readonly outer?: StorageMap;
  /** Where results of a body belong. */
  readonly places?: ReadonlyMap<Value, Storage>;
}

export function createStorageMap(options: StorageOptions): StorageMap {
  const { graph, outer, places } = options;
  const storages = outer?.storages ?? new Map<Value, Storage>();
  const roots = outer?.roots ?? [];
  const outputs = new Set(outer === undefined ? graph.outputs.map((o) => o.value) : []);

  const keep = (value: Value, storage: Storage): Storage => {
    storages.set(value, storage);
    return storage;
  };

  const addRoot = (value: Value, kind: StorageRoot["kind"], order: readonly number[]): Storage => {
    const storage = rootStorage(value, { id: roots.length, kind, order });
    roots.push(storage.root);
    return keep(value, storage);
  };

  const allocate = (value: Value, order: readonly number[]): Storage => {
    const place = places?.get(value);
    if (place !== undefined) return keep(value, place);
    const concat = options.parts.get(value);
    if (concat !== undefined) return placePart(value, concat, order);
    const kind = outputs.has(value) ? "output" : "temporary";
    return addRoot(value, kind, kind === "output" ? natural(value) : order);
  };

  const placePart = (value: Value, concat: Node, order: readonly number[]): Storage => {
    const whole = concat.outputs[0]!;
    const parent = storages.get(whole) ?? allocate(whole, order);
    const axis = concat.op.kind === "concat" ? concat.op.axis : 0;
    let before: Dim = 0;
    for (const input of concat.inputs) {
      if (input === value) break;
      before = dimAdd(before, input.shape[axis]!);
    }
    return keep(value, partStorage(value, parent, axis, before));
  };

  for (const input of outer === undefined ? graph.inputs : []) {
    if (!isDeviceValue(input)) continue;
    if (options.parts.has(input)) allocate(input, natural(input));
    else addRoot(input, "input", natural(input));
  }
  return {
    storages,
    roots,
    part: (value, whole, axis, before) => ({
      storage: keep(value, partStorage(value, whole, axis, before)),
      next: dimAdd(before, value.shape[axis]!),
    }),
    get: (value) => storages.get(value),
    allocate,
    constant: (value, order) => storages.get(value) ?? addRoot(value, "constant", order),
    alias: keep,
  };
}

/** A root for the whole of the value, dense in `order`, and the storage that is all of it. */
function rootStorage(
  value: Value,
  { id, kind, order }: Pick<StorageRoot, "id" | "kind"> & { readonly order: readonly number[] },
): Storage {
  const { name, shape, data } = value;
  const extents = shape.map(dimMax);
  const root: StorageRoot = {
    id,
    name,
    dtype: deviceType(value),
    elements: elementCount(extents),
    kind,
    ...(data === undefined ? {} : { contents: { tensor: data, order } }),
  };
  return { root, offset: 0, shape, strides: orderedStrides(extents, order), extents };
}

/** The part of a storage that begins at `before` along `axis`. */
function partStorage({ shape }: Value, whole: Storage, axis: number, before: Dim): Storage {
  const { root, strides } = whole;
  if (typeof before === "number" && whole.origins === undefined) {
    const offset = whole.offset + before * strides[axis]!;
    return { root, offset, shape, strides, extents: shape.map(dimMax) };
  }
  const origins = shape.map((_, i) => dimAdd(whole.origins?.[i] ?? 0, i === axis ? before : 0));
  return { ...whole, shape, origins };
}

/** Another value of its type, of the same shape if no other is given. */
export function like({ name, dtype, shape }: Value, other: Value["shape"] = shape): Value {
  return { name, dtype, shape: other };
}

export function natural(value: { readonly shape: readonly unknown[] }): number[] {
  return [...value.shape.keys()];
}

/** Strides of a dense tensor whose dims are stored in `order`, outermost first. */
export function orderedStrides(shape: readonly number[], order: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(0);
  let stride = 1;
  for (const dim of order.toReversed()) {
    strides[dim] = stride;
    stride *= Math.max(1, shape[dim]!);
  }
  return strides;
}

export function isDeviceValue(value: Value): boolean {
  return value.unknownShape !== true && deviceDTypes.some((dtype) => dtype === value.dtype);
}

/** Whether kernels can write it, too: of types below a byte two elements share one. */
export function isStored(value: Value): boolean {
  return isDeviceValue(value) && dtypes[value.dtype].bits >= 8;
}

export function deviceType(value: Value): DeviceDType {
  const found = deviceDTypes.find((dtype) => dtype === value.dtype);
  if (found === undefined) throw new InternalError(`${value.name}: ${value.dtype} on the device`);
  return found;
}

/**
 * The same elements as `shape` (a reshape of the storage's), if strides can say so: every run of dims that is
 * merged or split must be contiguous. Undefined otherwise.
 */
export function reshapeStorage(storage: Storage, shape: readonly Dim[]): Storage | undefined {
  if (storage.origins !== undefined) return undefined;
  const dims = storage.shape
    .map((extent, i) => ({ extent, stride: storage.strides[i]! }))
    .filter((d) => d.extent !== 1);
  const strides: number[] = [];
  let at = 0;
  let rest: { extent: number; stride: number } | undefined;
  for (const wanted of shape) {
    if (wanted === 1) {
      strides.push(0);
      continue;
    }
    const next = rest === undefined ? dims[at] : undefined;
    if (next !== undefined && sameDim(next.extent, wanted)) {
      strides.push(next.stride);
      at++;
      continue;
    }
    if (typeof wanted !== "number") return undefined;
    // Merge dims until they are at least as long as the wanted one, then split off what is left.
    let run = rest;
    rest = undefined;
    while (run === undefined || run.extent % wanted !== 0) {
      const d = dims[at++];
      if (d === undefined || typeof d.extent !== "number") return undefined;
      if (run !== undefined && run.stride !== d.stride * d.extent) return undefined;
      run = { extent: (run?.extent ?? 1) * d.extent, stride: d.stride };
      if (run.extent > wanted && run.extent % wanted !== 0) return undefined;
    }
    const left = run.extent / wanted;
    strides.push(run.stride * left);
    if (left > 1) rest = { extent: left, stride: run.stride };
  }
  if (rest !== undefined || at !== dims.length) return undefined;
  return { root: storage.root, offset: storage.offset, shape, strides, extents: shape.map(dimMax) };
}

function sameDim(a: Dim, b: Dim): boolean {
  return typeof a === "number" || typeof b === "number" ? a === b : a.text === b.text;
}

/** Elements from the storage's first to its last, for the largest dims: what a binding must cover. */
export function storageSpan(storage: Storage): number {
  return storage.extents.reduce(
    (span, extent, i) => span + Math.max(0, extent - 1) * storage.strides[i]!,
    1,
  );
}
