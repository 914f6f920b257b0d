/** How the reduced outputs of a vec accumulate. */
import type { RegisterType } from "../../numerics/lane.js";
import { undefinedBehaviour, type Cells, type Operand } from "./cells.js";
import { evaluateAffine, type Environment } from "./semantics.js";
import type { VecOutput } from "../tile.js";

export type Reduce = NonNullable<VecOutput<unknown, unknown>["reduce"]>;
export type Reduction = Reduce["reduction"];

/** IEEE 754-2019 minimum and maximum are JavaScript's: NaN if either is NaN, -0 < +0. */
export const minimum = Math.min;
export const maximum = Math.max;

const partialCount = 16;

/** Accumulates the elements of one output cell after another. */
export interface Reducer {
  /** `element` of the destination is the cell. */
  begin(element: number): void;
  /** `number` counts the elements of the cell in row-major order of the reduce axes. */
  add(value: number, number: number): void;
  end(element: number): void;
}

export interface ReducerOptions {
  readonly reduce: Reduce;
  readonly type: RegisterType;
  readonly dest: Operand;
  readonly init: boolean;
  readonly environment: Environment;
}

export function reducer(options: ReducerOptions): Reducer {
  const { reduce, type, init } = options;
  const partials = type === "f32" && (reduce.reduction === "sum" || reduce.reduction === "prod");
  if (partials) return partialReducer(options);
  if (reduce.partialStride !== undefined) {
    undefinedBehaviour(`a ${reduce.reduction} of ${type} has no partials`);
  }
  const combine = combineOf(reduce.reduction, type);
  const identity = identityOf(reduce.reduction, type);
  const { cells } = options.dest;
  let value = 0;
  return {
    begin: (element) => {
      value = init ? identity : registerValue(cells, element);
    },
    add: (element) => {
      value = combine(value, element);
    },
    end: (element) => cells.set(element, value),
  };
}

/** Element i goes into partial (phase + i) mod 16. */
function partialReducer({ reduce, dest, init, environment }: ReducerOptions): Reducer {
  const { cells } = dest;
  const stride = reduce.partialStride;
  if (stride === undefined && !init) {
    undefinedBehaviour("a reduction that goes on needs partials");
  }
  const phase = evaluateAffine(reduce.phase, environment);
  if (phase < 0) undefinedBehaviour(`a reduction's phase is ${phase}`);
  const combine = combineOf(reduce.reduction, "f32");
  const identity = identityOf(reduce.reduction, "f32");
  const partials = new Float32Array(partialCount);
  return {
    begin(element) {
      for (let j = 0; j < partialCount; j++) {
        partials[j] = init ? identity : cells.get(element + j * stride!);
      }
    },
    add(value, number) {
      const j = (phase + number) % partialCount;
      partials[j] = combine(partials[j]!, value);
    },
    end(element) {
      if (stride === undefined) cells.set(element, fold(partials, combine));
      else for (let j = 0; j < partialCount; j++) cells.set(element + j * stride, partials[j]!);
    },
  };
}

/** p[j] + p[j + 8], then + 4, + 2, + 1. Changes `partials`. */
function fold(partials: Float32Array, combine: Combine): number {
  for (let half = partialCount / 2; half >= 1; half /= 2) {
    for (let j = 0; j < half; j++) partials[j] = combine(partials[j]!, partials[j + half]!);
  }
  return partials[0]!;
}

type Combine = (a: number, b: number) => number;

function combineOf(reduction: Reduction, type: RegisterType): Combine {
  const float = type === "f32";
  switch (reduction) {
    case "sum":
    case "seqsum":
      return float ? (a, b) => Math.fround(a + b) : (a, b) => (a + b) | 0;
    case "prod":
      return float ? (a, b) => Math.fround(a * b) : Math.imul;
    case "max":
      return maximum;
    case "min":
      return minimum;
    case "and":
      if (float) return undefinedBehaviour("a reduction by and of fp32");
      return (a, b) => a & b;
    case "or":
      if (float) return undefinedBehaviour("a reduction by or of fp32");
      return (a, b) => a | b;
    default:
      return reduction satisfies never;
  }
}

function identityOf(reduction: Reduction, type: RegisterType): number {
  switch (reduction) {
    case "sum":
    case "seqsum":
    case "or":
      return 0;
    case "prod":
      return 1;
    case "and":
      return -1;
    case "max":
      return type === "f32" ? -Infinity : -(2 ** 31);
    case "min":
      return type === "f32" ? Infinity : 2 ** 31 - 1;
    default:
      return reduction satisfies never;
  }
}

/** What a register gets from a cell: a bool becomes a mask. */
export function registerValue(cells: Cells, element: number): number {
  const value = cells.get(element);
  return cells.dtype === "bool" ? -value : value;
}
