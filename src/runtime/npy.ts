/** NumPy's `.npy` format, versions 1 to 3, to and from tensors. Complex, object and text arrays are refused. */
import { bytesFromData, dataFromBytes } from "../numerics/convert.js";
import { byteLength, type DType, dtypes } from "../numerics/dtype.js";
import { transposeTensor } from "../ir/evaluate/movement.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { fail } from "../support/diagnostic.js";

const magic = "\x93NUMPY";

const dtypeCodes: Partial<Record<DType, string>> = {
  f64: "f8",
  f32: "f4",
  f16: "f2",
  i64: "i8",
  i32: "i4",
  i16: "i2",
  i8: "i1",
  u64: "u8",
  u32: "u4",
  u16: "u2",
  u8: "u1",
  bool: "b1",
};

/** L0602 for anything that is no array of numbers. */
export function decodeNpy(bytes: Uint8Array, file?: string): Tensor {
  const reject = (why: string): never =>
    fail("L0602", `the .npy file ${why}`, file === undefined ? {} : { place: { file } });
  if (latin1(bytes.subarray(0, 6)) !== magic || bytes.length < 12) reject("has no NumPy header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isFirst = bytes[6] === 1;
  const headerBytes = isFirst ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = isFirst ? 10 : 12;
  const header = latin1(bytes.subarray(start, start + headerBytes));
  const descr = /'descr':\s*'([<>|=])(\w+)'/.exec(header);
  const extents = /'shape':\s*\(([^)]*)\)/.exec(header);
  if (descr === null || extents === null) return reject("holds no array of numbers");
  const dtype = (Object.keys(dtypeCodes) as DType[]).find((d) => dtypeCodes[d] === descr[2]);
  if (dtype === undefined)
    return reject(`has the element type ${descr[2]}, which is not supported`);
  const shape = extents[1]!
    .split(",")
    .filter((text) => text.trim() !== "")
    .map(Number);
  const count = elementCount(shape);
  const sizeBytes = byteLength(dtype, count);
  const content = bytes.subarray(start + headerBytes);
  if (content.length < sizeBytes) return reject("ends too early");
  const raw = content.slice(0, sizeBytes);
  if (descr[1] === ">") reverseElements(raw, dtypes[dtype].bits / 8);
  const data = dataFromBytes(dtype, raw, count);
  if (!/'fortran_order':\s*True/.test(header)) return { dtype, shape, data };
  const reversed = { dtype, shape: shape.toReversed(), data };
  return transposeTensor(
    reversed,
    shape.map((_, i) => shape.length - 1 - i),
  );
}

/** bf16, f8 and the sub-byte types, which NumPy does not have, are L0602. */
export function encodeNpy({ dtype, shape, data }: Tensor): Uint8Array {
  const code = dtypeCodes[dtype];
  if (code === undefined) {
    fail("L0602", `NumPy has no element type for ${dtype}`, { hint: "use a .pb file" });
  }
  const order = dtypes[dtype].bits === 8 ? "|" : "<";
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const padded = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const content = bytesFromData(dtype, data);
  const file = new Uint8Array(10 + padded.length + content.length);
  file.set(Array.from(`${magic}\x01\x00`, (c) => c.charCodeAt(0)));
  new DataView(file.buffer).setUint16(8, padded.length, true);
  file.set(
    Array.from(padded, (c) => c.charCodeAt(0)),
    10,
  );
  file.set(content, 10 + padded.length);
  return file;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function reverseElements(bytes: Uint8Array, widthBytes: number): void {
  for (let at = 0; at < bytes.length; at += widthBytes) {
    bytes.subarray(at, at + widthBytes).reverse();
  }
}
