/**
 * What every buffer of an executable should hold, from the values of its graph: the truth that launches are held against,
 * one by one.
 */
import type { Storage, TiledGraph } from "../compiler/tiled.js";
import { evaluateDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import type { Executable, Step } from "../isa/executable.js";
import {
  bytesFromData,
  dataFromBytes,
  decodeNumbers,
  type NumericData,
} from "../numerics/convert.js";
import { byteLength, type DeviceDType } from "../numerics/dtype.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { conform } from "../runtime/transfer.js";
import { type Difference, indexOf } from "./bisect-finding.js";

/** One buffer by itself, wherever placement puts it. */
export interface Image {
  readonly name: string;
  readonly dtype: DeviceDType;
  readonly elements: number;
  /** What is in it after the launches that have been looked at. */
  bytes: Uint8Array;
  /** Values that lie in it, with their elements. */
  readonly parts: readonly ImagePart[];
}

interface ImagePart {
  readonly value: Value;
  readonly tensor: Tensor;
  /** Per element of the tensor, in row-major order: its place in the image. */
  readonly places: Int32Array;
}

/** What an element holds that nobody has written: a pattern that computed numbers do not have. */
const unwritten = 0xa5;

export interface ImageOptions {
  readonly executable: Executable;
  readonly tiled: TiledGraph;
  /** Of the graph, or of one trip or branch. */
  readonly steps: readonly Step[];
  readonly truth: ReadonlyMap<Value, HostValue>;
  readonly bindings: ReadonlyMap<string, number>;
  /** Around a body: what no value of the body lies in is as it is there. */
  readonly outer?: readonly Image[];
}

export function createImages(options: ImageOptions): readonly Image[] {
  const { executable, tiled, steps, truth, bindings, outer } = options;
  const parts = partsOf(tiled, truth, bindings);
  const given = new Set(tiled.graph.inputs);
  const written = new Set<number>();
  for (const step of steps) {
    if (step.kind !== "launch") continue;
    executable.programs[step.program]!.bindings.forEach(({ access }, i) => {
      if (access !== "read") written.add(step.bindings[i]!.buffer);
    });
  }
  return executable.buffers.map(({ name, dtype, elements, constantOffset }, buffer): Image => {
    if (outer !== undefined && !parts.has(buffer)) return outer[buffer]!;
    const length = byteLength(dtype, elements);
    const image: Image = {
      name,
      dtype,
      elements,
      bytes: new Uint8Array(length).fill(unwritten),
      parts: parts.get(buffer) ?? [],
    };
    if (constantOffset !== undefined) {
      image.bytes.set(executable.constants.subarray(constantOffset, constantOffset + length));
    } else if (written.has(buffer)) {
      // A value that is given may lie beside what launches write: a cache that a Concat makes longer.
      holdTruth(
        image,
        image.parts.filter(({ value }) => given.has(value)),
      );
    } else holdTruth(image);
    return image;
  });
}

function partsOf(
  tiled: TiledGraph,
  truth: ReadonlyMap<Value, HostValue>,
  bindings: ReadonlyMap<string, number>,
): Map<number, ImagePart[]> {
  const parts = new Map<number, ImagePart[]>();
  for (const [value, tensor] of truth) {
    const storage = tiled.storage(value);
    if (storage === undefined || value.data !== undefined || !isTensor(tensor)) continue;
    const { id, dtype } = storage.root;
    const stored = tensor.dtype === dtype ? tensor : conform(tensor, dtype, value.name);
    const part = { value, tensor: stored, places: placesOf(storage, tensor.shape, bindings) };
    parts.set(id, [...(parts.get(id) ?? []), part]);
  }
  return parts;
}

function placesOf(
  { offset, strides, origins = [] }: Storage,
  shape: readonly number[],
  bindings: ReadonlyMap<string, number>,
): Int32Array {
  const begin = origins.reduce<number>(
    (sum, dim, axis) => sum + evaluateDim(dim, bindings) * strides[axis]!,
    offset,
  );
  const places = new Int32Array(elementCount(shape));
  const index = shape.map(() => 0);
  for (let i = 0, at = begin; i < places.length; i++) {
    places[i] = at;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return places;
}

/** Makes it hold values of the graph, by default all that lie in it. */
export function holdTruth(image: Image, parts = image.parts): void {
  const data = dataOf(image, image.bytes);
  for (const { tensor, places } of parts) {
    places.forEach((place, i) => (data[place] = tensor.data[i] as never));
  }
  image.bytes = bytesFromData(image.dtype, data);
}

function dataOf({ dtype, elements }: Image, bytes: Uint8Array): NumericData {
  return dataFromBytes(dtype, bytes.slice(), elements);
}

/** The first value of the buffer that `bytes` do not hold, with the place in the buffer. */
export function imageDifference(
  image: Image,
  bytes: Uint8Array,
): { readonly value: Value; readonly place: number; readonly difference: Difference } | undefined {
  const data = dataOf(image, bytes);
  for (const { value, tensor, places } of image.parts) {
    const bits = tensor.data as NumericData;
    const numbers = decoded(image.dtype, data);
    const wanted = decoded(image.dtype, bits);
    let first = -1;
    let count = 0;
    for (let i = 0; i < places.length; i++) {
      if (Object.is(numbers(places[i]!), wanted(i))) continue;
      if (first < 0) first = i;
      count++;
    }
    if (first < 0) continue;
    const place = places[first]!;
    const difference: Difference = {
      tensor: value.name,
      index: indexOf(tensor, first),
      expected: wanted(first),
      got: numbers(place),
      count,
      elements: places.length,
    };
    return { value, place, difference };
  }
  return undefined;
}

function decoded(dtype: DeviceDType, data: NumericData): (element: number) => number {
  const numbers = decodeNumbers(dtype, data);
  return (element) => numbers[element]!;
}
