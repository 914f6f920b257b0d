/** Pictures as a model's input: resized to what it takes, channels and layout as its shape says. */
import { encodeArray } from "../numerics/convert.js";
import { dtypes } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { fail } from "../support/diagnostic.js";
import type { ModelPort } from "./model-ports.js";

/** 8 bits per channel, row by row, channels together. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/**
 * [1, channels, height, width] or [1, height, width, channels] with 1 or 3 channels. Floats are in 0..1, integers
 * 0..255. A height or width that the model leaves open is the picture's, in proportion to the other. Throws L0602.
 */
export function tensorFromPicture(picture: Picture, port: ModelPort): Tensor {
  const { dims = [], dtype = "f32" } = port;
  const channelAxis = [1, 3].find((axis) => dims[axis] === 1 || dims[axis] === 3);
  if (dims.length !== 4 || channelAxis === undefined) {
    fail("L0602", `input "${port.name}" takes no picture`, {
      notes: [`its shape is [${dims.join(", ")}], a picture needs 4 dims with 1 or 3 channels`],
    });
  }
  const channels = dims[channelAxis] as 1 | 3;
  const [heightDim, widthDim] = channelAxis === 1 ? dims.slice(2) : dims.slice(1, 3);
  const { height, width } = sizeFor(picture, heightDim!, widthDim!);
  const scale = dtypes[dtype].kind === "float" ? 1 / 255 : 1;
  const values = new Float32Array(channels * height * width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at =
          channelAxis === 1 ? (c * height + y) * width + x : (y * width + x) * channels + c;
        const sample = { x: (x + 0.5) / width, y: (y + 0.5) / height };
        values[at] = scale * valueAt(picture, sample, channels === 1 ? "gray" : c);
      }
    }
  }
  const shape = channelAxis === 1 ? [1, channels, height, width] : [1, height, width, channels];
  return { dtype, shape, data: encodeArray(dtype, values) };
}

function sizeFor(
  { width, height }: Picture,
  heightDim: number | string,
  widthDim: number | string,
): { readonly height: number; readonly width: number } {
  const isFixed = { height: typeof heightDim === "number", width: typeof widthDim === "number" };
  const wanted = {
    height: isFixed.height ? (heightDim as number) : height,
    width: isFixed.width ? (widthDim as number) : width,
  };
  if (isFixed.height && !isFixed.width) {
    return { ...wanted, width: Math.max(1, Math.round((width * wanted.height) / height)) };
  }
  if (isFixed.width && !isFixed.height) {
    return { ...wanted, height: Math.max(1, Math.round((height * wanted.width) / width)) };
  }
  return wanted;
}

/** Bilinear, at a position in 0..1. */
function valueAt(
  picture: Picture,
  at: { readonly x: number; readonly y: number },
  channel: number | "gray",
): number {
  const x = Math.min(Math.max(at.x * picture.width - 0.5, 0), picture.width - 1);
  const y = Math.min(Math.max(at.y * picture.height - 0.5, 0), picture.height - 1);
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const right = Math.min(left + 1, picture.width - 1);
  const bottom = Math.min(top + 1, picture.height - 1);
  const [across, down] = [x - left, y - top];
  const upper =
    pixel(picture, left, top, channel) * (1 - across) +
    pixel(picture, right, top, channel) * across;
  const lower =
    pixel(picture, left, bottom, channel) * (1 - across) +
    pixel(picture, right, bottom, channel) * across;
  return upper * (1 - down) + lower * down;
}

function pixel(
  { width, channels, data }: Picture,
  x: number,
  y: number,
  channel: number | "gray",
): number {
  const at = (y * width + x) * channels;
  if (channels < 3) return data[at]!;
  if (channel !== "gray") return data[at + channel]!;
  return 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
}
