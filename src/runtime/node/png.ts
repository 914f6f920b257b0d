/** Reads PNG images: 8 bits per channel, gray or colour, with or without alpha, not interlaced. */
import { inflateSync } from "node:zlib";
import { fail } from "../../support/diagnostic.js";
import type { Picture } from "../images.js";

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA, by colour type; palettes (3) are not read. */
const channelsByType: Readonly<Record<number, number>> = { 0: 1, 2: 3, 4: 2, 6: 4 };

/** Throws L0602 for what is no PNG or of another form. */
export function decodePng(bytes: Uint8Array, file?: string): Picture {
  const reject = (why: string): never =>
    fail(
      "L0602",
      `the image cannot be read: ${why}`,
      file === undefined ? {} : { place: { file } },
    );
  if (signature.some((byte, i) => bytes[i] !== byte)) reject("it is no PNG file");
  const { header, data } = readChunks(bytes, reject);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const width = view.getUint32(0);
  const height = view.getUint32(4);
  const [depth, colorType, , , interlace] = header.subarray(8);
  const channels = channelsByType[colorType!] ?? reject("it has a palette; save it as RGB");
  if (depth !== 8) reject(`it has ${depth} bits per channel, 8 are needed`);
  if (interlace !== 0) reject("it is interlaced");
  const rows = inflated(data, reject);
  const rowBytes = width * channels;
  if (rows.length < height * (rowBytes + 1)) reject("it ends too early");
  return {
    width,
    height,
    channels,
    data: unfiltered(rows, { height, rowBytes, channels }, reject),
  };
}

type Reject = (why: string) => never;

function readChunks(
  bytes: Uint8Array,
  reject: Reject,
): { readonly header: Uint8Array; readonly data: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts: Uint8Array[] = [];
  let header: Uint8Array | undefined;
  for (let at = signature.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (content.length < length) reject("it ends too early");
    if (type === "IHDR" && length === 13) header = content;
    if (type === "IDAT") parts.push(content);
    if (type === "IEND") break;
    at += length + 12;
  }
  return { header: header ?? reject("it has no header"), data: Buffer.concat(parts) };
}

function inflated(data: Uint8Array, reject: Reject): Uint8Array {
  try {
    return inflateSync(data);
  } catch (error) {
    return reject((error as Error).message);
  }
}

interface RowShape {
  readonly height: number;
  readonly rowBytes: number;
  readonly channels: number;
}

/** Every row begins with the number of the filter that predicted it. */
function unfiltered(
  rows: Uint8Array,
  { height, rowBytes, channels }: RowShape,
  reject: Reject,
): Uint8Array {
  const data = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (rowBytes + 1)]!;
    const predict = predictors[filter] ?? reject(`it uses the unknown filter ${filter}`);
    const start = y * rowBytes;
    for (let x = 0; x < rowBytes; x++) {
      const left = x < channels ? 0 : data[start + x - channels]!;
      const up = y === 0 ? 0 : data[start + x - rowBytes]!;
      const corner = y === 0 || x < channels ? 0 : data[start + x - rowBytes - channels]!;
      data[start + x] = rows[y * (rowBytes + 1) + 1 + x]! + predict(left, up, corner);
    }
  }
  return data;
}

const predictors: readonly ((left: number, up: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_, up) => up,
  (left, up) => (left + up) >> 1,
  paeth,
];

/** Of left, up and corner the one nearest to left + up - corner. */
function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const toLeft = Math.abs(estimate - left);
  const toUp = Math.abs(estimate - up);
  const toCorner = Math.abs(estimate - corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
