/**
 * Signals: DFT and STFT as contractions with constant matrices of cosines and sines, window functions, and
 * the mel filter bank.
 */
import type { DType } from "../numerics/dtype.js";
import { staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { computeType, operator, optionalDtypeAttribute, range } from "./helpers.js";
import { numbersOf, tensorOf } from "./host.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";

export const signalOperators: readonly OperatorRecord[] = [
  operator("DFT", 17, dft),
  operator("STFT", { since: 17, ranks: ["2+", 0, 1] }, stft),
  windowOperator("HannWindow", [0.5, 0.5]),
  windowOperator("HammingWindow", [25 / 46, 21 / 46]),
  windowOperator("BlackmanWindow", [0.42, 0.5, 0.08]),
  operator("MelWeightMatrix", 17, melWeightMatrix),
];

/** Larger matrices of cosines and sines would take more memory than the signal is worth. */
const matrixElementsMax = 2 ** 25;

interface Transform {
  /** Elements that enter, and that come out. */
  readonly inputs: number;
  readonly outputs: number;
  /** Real and imaginary parts per element: 1 or 2. */
  readonly partsIn: number;
  readonly partsOut: number;
  /** Period of the transform. */
  readonly length: number;
  readonly inverse: boolean;
  /** The inputs are the lower half of a spectrum that is its own mirror. */
  readonly mirrored: boolean;
}

/** [inputs, parts, outputs, parts]: what each part of each input adds to each part of each output. */
function transformMatrix(c: LowerContext, dtype: DType, t: Transform): Value {
  const count = t.inputs * t.partsIn * t.outputs * t.partsOut;
  if (count > matrixElementsMax) {
    throw new Decline(`a transform of ${t.length} elements is too long`);
  }
  const data = new Float64Array(count);
  const cosines = range(0, t.length).map((i) => Math.cos((2 * Math.PI * i) / t.length));
  const sines = range(0, t.length).map((i) => Math.sin((2 * Math.PI * i) / t.length));
  const sign = t.inverse ? 1 : -1;
  const scale = t.inverse ? 1 / t.length : 1;
  let at = 0;
  for (let n = 0; n < t.inputs; n++) {
    const isAlone = n === 0 || 2 * n === t.length;
    const weight = t.mirrored && !isAlone ? 2 * scale : scale;
    for (let part = 0; part < t.partsIn; part++) {
      for (let k = 0; k < t.outputs; k++) {
        const angle = (n * k) % t.length;
        const cosine = weight * cosines[angle]!;
        const sine = weight * sign * sines[angle]!;
        // (re + i im) (cosine + i sine)
        data[at++] = part === 0 ? cosine : -sine;
        if (t.partsOut === 2) data[at++] = part === 0 ? sine : cosine;
      }
    }
  }
  return c.b.constant(tensorOf(dtype, [t.inputs, t.partsIn, t.outputs, t.partsOut], data));
}

function dft(c: LowerContext): Value {
  const x = c.input(0);
  const rank = x.shape.length;
  const givenAxis = c.opset < 20 ? c.int("axis", 1) : (c.knownInts(2, "the axis")?.[0] ?? -2);
  const axis = c.axis(givenAxis, rank);
  if (axis === rank - 1) c.invalid("L0108", "the last axis holds real and imaginary parts");
  return dftAlong(c, x, {
    axis,
    inverse: c.int("inverse", 0) !== 0,
    half: c.int("onesided", 0) !== 0,
    asked: c.knownInts(1, "the length")?.[0],
  });
}

export interface DftForm {
  readonly axis: number;
  readonly inverse: boolean;
  /** Only the lower half of the spectrum comes out, or goes in. */
  readonly half: boolean;
  /** Length of the transform; default: that of the axis. */
  readonly asked?: number | undefined;
}

/** x [..., 1 or 2 parts] along one of its other axes. */
export function dftAlong(
  c: LowerContext,
  x: Value,
  { axis, inverse, half, asked }: DftForm,
): Value {
  const rank = x.shape.length;
  const partsIn = staticDim(x.shape[rank - 1]!, "it counts real and imaginary parts");
  const extent = staticDim(x.shape[axis]!, "it is the length of a DFT");
  const mirrored = inverse && half;
  const length = asked ?? (mirrored ? 2 * (extent - 1) : extent);
  const inputs = mirrored ? Math.floor(length / 2) + 1 : length;
  const outputs = half && !inverse ? Math.floor(length / 2) + 1 : length;
  const dtype = computeType(x.dtype);
  const partsOut = mirrored ? 1 : 2;
  const fitted = fitAxis(c, c.b.cast(x, dtype), axis, Math.min(extent, inputs));
  const transform = { inputs, outputs, partsIn, partsOut, length, inverse, mirrored };
  const matrix = transformMatrix(c, dtype, { ...transform, inputs: Math.min(extent, inputs) });
  const labels = [..."abcdefgh"].slice(0, rank);
  const sum = c.b.contract(fitted, matrix, {
    a: labels
      .with(axis, "n")
      .with(rank - 1, "i")
      .join(""),
    b: "niko",
    out: labels
      .with(axis, "k")
      .with(rank - 1, "o")
      .join(""),
    order: "ni",
  });
  return c.b.cast(sum, x.dtype);
}

/** The first elements; what a longer transform has beyond them counts as zeros and adds nothing. */
function fitAxis(c: LowerContext, x: Value, axis: number, size: number): Value {
  return c.b.sliceAxis(x, axis, 0, size);
}

/** Frames of the signal, contracted with the matrix of the transform times the window. */
function stft(c: LowerContext): Value {
  const signal = c.input(0);
  const x = signal.shape.length === 2 ? c.b.unsqueeze(signal, [2]) : signal;
  const stride = c.knownInts(1, "the step between frames")?.[0];
  const window = c.inputs[2];
  const windowLength = window?.shape[0];
  const asked = c.knownInts(3, "the length of a frame")?.[0] ?? windowLength;
  if (stride === undefined || asked === undefined) {
    return c.invalid("L0201", "the step or the length of frames is missing");
  }
  const length = staticDim(asked, "it is the length of a frame");
  const half = c.int("onesided", 1) !== 0;
  const partsIn = staticDim(x.shape[2]!, "it counts real and imaginary parts");
  const dtype = computeType(x.dtype);
  const matrix = transformMatrix(c, dtype, {
    inputs: length,
    outputs: half ? Math.floor(length / 2) + 1 : length,
    partsIn,
    partsOut: 2,
    length,
    inverse: false,
    mirrored: false,
  });
  const weights =
    window === undefined
      ? matrix
      : c.b.map(dtype, [matrix, c.b.reshape(window, [length, 1, 1, 1])], (l, m, w) =>
          l.mul(m!, w!),
        );
  const frames = c.b.window(c.b.cast(x, dtype), [{ axis: 1, size: length, stride, dilation: 1 }]);
  const spectra = c.b.contract(frames, weights, {
    a: "bfin",
    b: "niko",
    out: "bfko",
    order: "ni",
  });
  return c.b.cast(spectra, x.dtype);
}

/** a0 - a1 cos(x) + a2 cos(2 x) .. over one period. */
function windowOperator(name: string, terms: readonly number[]): OperatorRecord {
  return operator(name, 17, (c) => {
    const size = c.knownInts(0, "the size")?.[0] ?? c.invalid("L0201", "the size is missing");
    const period = c.int("periodic", 1) !== 0 ? size : size - 1;
    const values = range(0, size).map((i) =>
      terms.reduce((sum, term, k) => {
        const sign = k % 2 === 0 ? 1 : -1;
        return sum + sign * term * Math.cos((2 * Math.PI * k * i) / period);
      }, 0),
    );
    const dtype = optionalDtypeAttribute(c, "output_datatype") ?? "f32";
    return c.b.constant(tensorOf(dtype, [size], values));
  });
}

/** [bins of the spectrum, mel bands]: overlapping triangles, evenly spaced on the mel scale. */
function melWeightMatrix(c: LowerContext): Value {
  const [bands, length, rate, low, high] = range(0, 5).map((i) => {
    return numbersOf(c.knownTensor(i, "a parameter of the filter bank"))[0]!;
  }) as [number, number, number, number, number];
  const bins = Math.floor(length / 2) + 1;
  const toMel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
  const step = (toMel(high) - toMel(low)) / (bands + 2);
  const edges = range(0, bands + 2).map((i) => {
    const hertz = 700 * (10 ** ((toMel(low) + i * step) / 2595) - 1);
    return Math.floor(((length + 1) * hertz) / rate);
  });
  const data = new Float64Array(bins * bands);
  for (const band of range(0, bands)) {
    const [start, centre, end] = edges.slice(band, band + 3) as [number, number, number];
    if (start === centre) data[centre * bands + band] = 1;
    for (const bin of range(start, centre + 1)) {
      if (start < centre) data[bin * bands + band] = (bin - start) / (centre - start);
    }
    for (const bin of range(centre, end)) {
      data[bin * bands + band] = (end - bin) / (end - centre);
    }
  }
  const dtype = optionalDtypeAttribute(c, "output_datatype") ?? "f32";
  return c.b.constant(tensorOf(dtype, [bins, bands], data));
}
