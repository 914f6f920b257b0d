/**
 * Which input positions an output position of Resize samples along one axis, and with what weights: ONNX's
 * coordinate modes, rounding modes and filters, in plain numbers. No graph here; see `resize.ts`.
 */
import type { Dim } from "../ir/dim.js";
import { InternalError } from "../support/diagnostic.js";

/** The values of the attributes, defaults first. */
export const coordinateModes = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
  "tf_half_pixel_for_nn",
  "tf_crop_and_resize",
];
export const roundingModes = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];

export type ResizeMode = "nearest" | "linear" | "cubic";

export interface ResizeRules {
  readonly mode: ResizeMode;
  /** coordinate_transformation_mode. */
  readonly coordinates: string;
  /** nearest_mode, or "simple": down where it enlarges, up where it shrinks. */
  readonly rounding: string;
  readonly cubicCoefficient: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
  readonly extrapolation: number;
}

export interface ResizeAxis {
  readonly axis: number;
  readonly input: Dim;
  readonly output: Dim;
  readonly scale: number;
  /** The input is stretched to `scale` times its extent before that is cut to whole elements. */
  readonly byScale: boolean;
  /** Start and end of the region that tf_crop_and_resize samples, relative to the input. */
  readonly region?: readonly [number, number];
}

export interface Taps {
  readonly outputs: number;
  /** Taps per output position. */
  readonly count: number;
  /** Row-major [outputs, count], clamped to the input. */
  readonly positions: readonly number[];
  /** Absent where the one tap has weight 1. */
  readonly weights?: readonly number[];
  readonly isIdentity: boolean;
  /** Output positions that lie outside the input and are filled instead; absent where none is. */
  readonly outside?: readonly boolean[];
}

/** How often each element is repeated, where that is all that nearest does, for any extent. */
export function repeatsWholly(axis: ResizeAxis, rules: ResizeRules): number | undefined {
  const { scale } = axis;
  if (rules.mode !== "nearest" || !Number.isInteger(scale) || scale < 1) return undefined;
  const down = rules.rounding === "floor" || rules.rounding === "simple";
  const near = rules.rounding === "round_prefer_floor" || rules.rounding === "round_prefer_ceil";
  const isWhole =
    (rules.coordinates === "asymmetric" && down) ||
    (rules.coordinates === "half_pixel" && near) ||
    (rules.coordinates === "tf_half_pixel_for_nn" && down);
  return isWhole ? scale : undefined;
}

/** What linear interpolation by a whole factor does to the element i of any axis. */
export interface LinearPhases {
  /** Output i * times + r is own[r] * x[i] + other[r] * x[i - 1 or i + 1], clamped to the axis. */
  readonly times: number;
  readonly own: readonly number[];
  readonly other: readonly number[];
  /** Whether the other element is the one before. */
  readonly isBefore: readonly boolean[];
}

export function linearPhases(axis: ResizeAxis, rules: ResizeRules): LinearPhases | undefined {
  const { scale, region } = axis;
  const isWhole = Number.isInteger(scale) && scale > 1 && region === undefined;
  if (rules.mode !== "linear" || !isWhole || rules.excludeOutside) return undefined;
  const centred = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"];
  const isCentred = centred.includes(rules.coordinates);
  if (!isCentred && rules.coordinates !== "asymmetric") return undefined;
  const offsets = Array.from({ length: scale }, (_, r) =>
    isCentred ? (r + 0.5) / scale - 0.5 : r / scale,
  );
  return {
    times: scale,
    own: offsets.map((offset) => 1 - Math.abs(offset)),
    other: offsets.map(Math.abs),
    isBefore: offsets.map((offset) => offset < 0),
  };
}

export function axisTaps(
  input: number,
  output: number,
  axis: ResizeAxis,
  rules: ResizeRules,
): Taps {
  const positions: number[] = [];
  const weights: number[] = [];
  const outside: boolean[] = [];
  let count = 1;
  for (let i = 0; i < output; i++) {
    const at = coordinate(i, input, output, axis, rules.coordinates);
    outside.push(axis.region !== undefined && (at < 0 || at > input - 1));
    const taps =
      rules.mode === "nearest"
        ? [{ position: nearest(at, axis.scale, rules.rounding), weight: 1 }]
        : filterTaps(at, axis.scale, input, rules);
    count = taps.length;
    for (const { position, weight } of taps) {
      positions.push(Math.min(Math.max(position, 0), input - 1));
      weights.push(weight);
    }
  }
  const alone = weights.every((weight) => weight === 1) && count === 1;
  return {
    outputs: output,
    count,
    positions,
    isIdentity: alone && input === output && positions.every((position, i) => position === i),
    ...(!alone && { weights }),
    ...(outside.includes(true) && { outside }),
  };
}

/** Where an output position lies in the input; single precision, as the usual implementations compute it. */
function coordinate(
  position: number,
  input: number,
  output: number,
  { scale, region, byScale }: ResizeAxis,
  mode: string,
): number {
  const f = Math.fround;
  const length = byScale ? f(scale * input) : output;
  const halfPixel = (): number => f(f((position + 0.5) / scale) - 0.5);
  switch (mode) {
    case "half_pixel":
      return halfPixel();
    case "pytorch_half_pixel":
      return output > 1 ? halfPixel() : 0;
    case "half_pixel_symmetric": {
      const adjustment = f(output / length);
      const offset = f((input / 2) * (1 - adjustment));
      return f(offset + halfPixel());
    }
    case "align_corners":
      return length === 1 ? 0 : f((position * (input - 1)) / (length - 1));
    case "asymmetric":
      return f(position / scale);
    case "tf_half_pixel_for_nn":
      return f((position + 0.5) / scale);
    case "tf_crop_and_resize": {
      if (region === undefined) throw new InternalError("a crop needs its region");
      const [start, end] = region;
      if (length === 1) return f(0.5 * (start + end) * (input - 1));
      const step = ((end - start) * (input - 1)) / (length - 1);
      return f(start * (input - 1) + position * step);
    }
    default:
      throw new InternalError(`no coordinates for ${mode}`);
  }
}

function nearest(at: number, scale: number, rounding: string): number {
  switch (rounding) {
    case "round_prefer_floor":
      return Math.ceil(at - 0.5);
    case "round_prefer_ceil":
      return Math.floor(at + 0.5);
    case "floor":
      return Math.floor(at);
    case "ceil":
      return Math.ceil(at);
    case "simple":
      return scale < 1 ? Math.ceil(at) : Math.trunc(at);
    default:
      throw new InternalError(`no rounding for ${rounding}`);
  }
}

interface Tap {
  readonly position: number;
  readonly weight: number;
}

/** The taps of a filter of radius 1 (linear) or 2 (cubic), stretched where it smooths what is shrunk. */
function filterTaps(at: number, scale: number, input: number, rules: ResizeRules): readonly Tap[] {
  const radius = rules.mode === "linear" ? 1 : 2;
  const shrink = rules.antialias ? Math.min(scale, 1) : 1;
  const whole = Math.floor(at);
  // The ratio is in (0, 1]: a position on an element counts as right of the one before.
  const ratio = Number.isInteger(at) ? 1 : at - whole;
  const base = Number.isInteger(at) ? whole - 1 : whole;
  const first = Math.floor(-radius / shrink) + 1;
  const offsets = Array.from({ length: 2 - 2 * first }, (_, i) => first + i);
  const filter = rules.mode === "linear" ? triangle : cubic(rules.cubicCoefficient);
  const taps = offsets.map((offset) => {
    const position = base + offset;
    const isOutside = position < 0 || position >= input;
    const weight = isOutside && rules.excludeOutside ? 0 : filter(shrink * (offset - ratio));
    return { position, weight };
  });
  const sum = taps.reduce((total, tap) => total + tap.weight, 0);
  const normalize = rules.antialias || rules.excludeOutside;
  return normalize ? taps.map((tap) => ({ ...tap, weight: tap.weight / sum })) : taps;
}

function triangle(distance: number): number {
  return Math.max(0, 1 - Math.abs(distance));
}

function cubic(a: number): (distance: number) => number {
  return (distance) => {
    const x = Math.abs(distance);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
  };
}
