/**
 * What rows of the operator tables make nodes from: tensors that are there already or new ones, odd shapes, axes that
 * may count from the end, constants that may be inputs. All choices come from one seed.
 */
import { type DType, isFloat } from "../../../src/numerics/dtype.js";
import { elementCount, type Tensor } from "../../../src/numerics/tensor.js";
import type { NodeProto } from "../../../src/onnx/schema.js";
import type { Init } from "../../../src/onnx/wire.js";
import { type AttributeInit, node } from "../../support/onnx-builder.js";
import type { Random } from "../../support/random.js";
import { type Temper, tensorOf } from "../inputs.js";
import { encodeArray } from "../../../src/numerics/convert.js";

export interface NodeDraft {
  readonly inputs: readonly (TypedName | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInit | undefined>>;
  /** How many outputs are asked for; default: one. */
  readonly outputs?: number;
}

export interface TypedName {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A row: a node of the named operator, at the generator's opset. */
export type Row = (g: Generator, operator: string) => NodeDraft;

const floats = ["f32", "f32", "f32", "f32", "f16", "bf16", "f64"] as const;
const integers = ["i32", "i64", "i64", "i8", "u8", "i16", "u16", "u32", "u64"] as const;

/** With the opset that they came with. */
const smallTypes: readonly (readonly [number, ...DType[]])[] = [
  [19, "f8e4m3fn", "f8e5m2", "f8e4m3fnuz", "f8e5m2fnuz"],
  [21, "i4", "u4"],
  [23, "f4e2m1"],
  [24, "f8e8m0"],
  [25, "i2", "u2"],
];

/** Elements of one tensor at most. */
const elementsMax = 2000;

export class Generator {
  readonly r: Random;
  readonly opset: number;
  readonly temper: Temper;
  readonly initializers = new Map<string, Tensor>();
  readonly inputs = new Map<string, Tensor>();
  /** Results of earlier nodes, for later ones to read. */
  readonly results: TypedName[] = [];
  /** Nodes that the one in the making needs before it. */
  readonly before: Init<NodeProto>[] = [];
  /** What the bodies in the making work on. */
  bodyType = "";
  #count = 0;

  constructor(r: Random, opset: number) {
    this.r = r;
    this.opset = opset;
    this.temper = r.chance(0.8) ? "tame" : r.pick(["odd", "zero"] as const);
  }

  float(): DType {
    return this.r.pick(floats);
  }

  integer(): DType {
    return this.r.pick(integers);
  }

  number(): DType {
    return this.r.chance(0.6) ? this.float() : this.integer();
  }

  any(): DType {
    if (this.r.chance(0.75)) return this.number();
    const small = this.smallTypes();
    return this.r.pick(small.length > 0 && this.r.chance(0.6) ? small : ["bool", "string"]);
  }

  /** Types of 8 bits and less that operators which only move elements take. */
  smallTypes(): readonly DType[] {
    return smallTypes.filter(([since]) => this.opset >= since).flatMap(([, ...types]) => types);
  }

  index(): DType {
    return this.r.pick(["i64", "i64", "i32"] as const);
  }

  extent(): number {
    const { r } = this;
    if (r.chance(0.04)) return 0;
    return r.chance(0.15) ? r.pick([1, 16, 17, 31, 33, 64, 65, 130]) : r.integer(1, 6);
  }

  shape(least = 0, most = 5): readonly number[] {
    const shape = Array.from({ length: this.r.integer(least, most) }, () => this.extent());
    return elementCount(shape) <= elementsMax ? shape : shape.map((n) => Math.min(n, 3));
  }

  /** A shape that broadcasts with this one. */
  like(shape: readonly number[]): readonly number[] {
    const { r } = this;
    const kept = shape.slice(r.chance(0.3) ? r.integer(0, shape.length) : 0);
    return kept.map((n) => (r.chance(0.25) ? 1 : n));
  }

  /** Something to read: a result that fits, or a new tensor. */
  value(dtype: DType, least = 0, most = 5): TypedName {
    const fits = this.results.filter(
      (x) => x.dtype === dtype && x.shape.length >= least && x.shape.length <= most,
    );
    if (fits.length > 0 && this.r.chance(0.7)) return this.r.pick(fits);
    return this.tensor(dtype, this.shape(least, most));
  }

  /** As `value`, of any of the types that a result has. */
  valueOf(choose: () => DType, least = 0, most = 5): TypedName {
    const last = this.results.at(-1);
    const types = Array.from({ length: 8 }, choose);
    return this.value(last && types.includes(last.dtype) ? last.dtype : types[0]!, least, most);
  }

  tensor(dtype: DType, shape: readonly number[]): TypedName {
    return this.give(tensorOf(this.r, dtype, shape, this.temper), 0.3);
  }

  /** Floats in [low, high), or integers. */
  numbers(dtype: DType, shape: readonly number[], low: number, high: number): TypedName {
    const one = (): number =>
      isFloat(dtype)
        ? low + this.r.unit() * (high - low)
        : this.r.integer(Math.ceil(low), Math.ceil(high) - 1);
    const data = encodeArray(dtype, Float64Array.from({ length: elementCount(shape) }, one));
    return this.give({ dtype, shape, data }, 0.3);
  }

  /** Integers that say how, mostly constant. */
  ints(values: readonly number[], dtype: DType = "i64", scalar = false): TypedName {
    const shape = scalar ? [] : [values.length];
    return this.give({ dtype, shape, data: encodeArray(dtype, values) }, 0.8);
  }

  scalar(dtype: DType, value: number): TypedName {
    return this.ints([value], dtype, true);
  }

  /** Positions along an axis, from its end too, now and then outside. */
  indices(shape: readonly number[], extent: number, dtype = this.index()): TypedName {
    const wrong = this.r.chance(0.03) ? 1 : 0;
    const low = this.r.chance(0.5) ? 0 : -extent;
    return this.numbers(dtype, shape, low, Math.max(low + 1, extent + wrong));
  }

  /** As a constant by that chance, else as an input. */
  give(tensor: Tensor, constantChance: number): TypedName {
    const name = this.unique();
    const map = this.r.chance(constantChance) ? this.initializers : this.inputs;
    map.set(name, tensor);
    return { name, dtype: tensor.dtype, shape: tensor.shape };
  }

  unique(): string {
    return `x${this.#count++}`;
  }

  /** What a node makes that is no tensor: a sequence or an optional. */
  made(operator: string, inputs: readonly TypedName[]): TypedName {
    const name = this.unique();
    this.before.push(
      node(
        operator,
        inputs.map((x) => x.name),
        [name],
      ),
    );
    return { name, dtype: inputs[0]!.dtype, shape: [] };
  }

  axis(rank: number): number {
    const axis = this.r.integer(0, Math.max(0, rank - 1));
    return this.opset >= 11 && this.r.chance(0.4) ? axis - rank : axis;
  }

  axes(rank: number): readonly number[] {
    const all = this.r.shuffled(Array.from({ length: rank }, (_, i) => i));
    return all
      .slice(0, this.r.integer(0, rank))
      .map((axis) => (this.opset >= 11 && this.r.chance(0.3) ? axis - rank : axis));
  }

  maybe<T>(chance: number, make: () => T): T | undefined {
    return this.r.chance(chance) ? make() : undefined;
  }
}

/** Rows for operators that are called alike. */
export function each(names: readonly string[], row: Row): Readonly<Record<string, Row>> {
  return Object.fromEntries(names.map((name) => [name, row]));
}

export function float(value: number): AttributeInit {
  return { float: value };
}
