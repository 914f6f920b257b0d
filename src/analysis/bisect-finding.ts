/** What a bisection finds: the first step of the way from a model to its results at which a number is wrong. */
import type { Origin } from "../ir/graph.js";
import { decodeNumbers } from "../numerics/convert.js";
import { rowMajorStrides, type Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";

export type Level =
  /** An operator's record computes something else than the expected outputs, or the host. */
  | "operator"
  /** A pass of phase 2 made a graph that means something else. */
  | "pass"
  /** The compiler's phase 4 wrote a kernel that means something else than the graph. */
  | "kernel"
  /** Phase 6 emitted a program that means something else than its kernel. */
  | "program"
  /** The engine does something else than the program says. */
  | "engine"
  /** Every launch is right by itself; copies, host regions, placement or the order of steps are not. */
  | "schedule";

export interface Finding {
  readonly level: Level;
  /** Name of the stage of the pipeline; absent for operators and engines. */
  readonly pass?: string;
  /** The ONNX nodes that it concerns, the most likely first. */
  readonly nodes: readonly Origin[];
  readonly kernel?: string;
  /** The trips and branches that it stands in, outermost first. */
  readonly within?: readonly string[];
  readonly instruction?: {
    readonly number: number;
    readonly text: string;
    /** Member and trips of loops at which it first goes wrong. */
    readonly at?: string;
  };
  readonly difference?: Difference;
  /** Lines of the graph, the kernel or the program; the one in question begins with ">". */
  readonly excerpt: readonly string[];
  readonly notes: readonly string[];
}

export interface Difference {
  readonly tensor: string;
  readonly index: readonly number[];
  readonly expected: number | string;
  readonly got: number | string;
  /** Elements that differ, and how many there are. */
  readonly count: number;
  readonly elements: number;
}

/** In bits; NaNs are equal whatever theirs. Of tensors only: what else there is has no numbers. */
export function bitDifference(
  tensor: string,
  got: HostValue | undefined,
  want: HostValue,
): Difference | undefined {
  return tensorDifference(tensor, got, want, (a, b) => Object.is(a, b));
}

/** The element that is furthest off. */
export function worstDifference(
  tensor: string,
  got: HostValue | undefined,
  want: HostValue,
): Difference | undefined {
  const found = bitDifference(tensor, got, want);
  if (found === undefined || !isTensor(want) || typeof found.got === "string") return found;
  const [a, b] = [numbersOf(got as Tensor), numbersOf(want)];
  let worst = 0;
  for (let i = 1; i < b.length; i++) {
    if (Math.abs(Number(a[i]) - Number(b[i])) > Math.abs(Number(a[worst]) - Number(b[worst]))) {
      worst = i;
    }
  }
  return { ...found, index: indexOf(want, worst), got: a[worst]!, expected: b[worst]! };
}

function tensorDifference(
  tensor: string,
  got: HostValue | undefined,
  want: HostValue,
  isSame: (a: number | string, b: number | string) => boolean,
): Difference | undefined {
  if (!isTensor(want)) return undefined;
  const whole = { tensor, index: [], count: want.data.length, elements: want.data.length };
  if (got === undefined || !isTensor(got)) {
    return { ...whole, expected: typeText(want), got: "nothing" };
  }
  if (typeText(got) !== typeText(want)) {
    return { ...whole, expected: typeText(want), got: typeText(got) };
  }
  const [a, b] = [numbersOf(got), numbersOf(want)];
  let first = -1;
  let count = 0;
  for (let i = 0; i < b.length; i++) {
    if (isSame(a[i]!, b[i]!)) continue;
    if (first < 0) first = i;
    count++;
  }
  if (first < 0) return undefined;
  return { ...whole, index: indexOf(want, first), expected: b[first]!, got: a[first]!, count };
}

function numbersOf({ dtype, data }: Tensor): ArrayLike<number | string> {
  return Array.isArray(data) ? data : decodeNumbers(dtype, data);
}

function typeText({ dtype, shape }: Tensor): string {
  return `${dtype}[${shape.join(", ")}]`;
}

export function indexOf({ shape }: Pick<Tensor, "shape">, element: number): number[] {
  return rowMajorStrides(shape).map((stride, axis) => Math.floor(element / stride) % shape[axis]!);
}

/** A few lines around one that is marked. */
export function excerptOf(lines: readonly string[], at: number, around = 4): string[] {
  const from = Math.max(0, at - around);
  return lines
    .slice(from, at + around + 1)
    .map((line, i) => `${from + i === at ? ">" : " "} ${line}`);
}
