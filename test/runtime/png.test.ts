import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodePng } from "../../src/runtime/node/png.js";

/** A PNG with one filter per row, as an encoder writes it. */
function encodePng(options: {
  readonly width: number;
  readonly channels: number;
  readonly filters: readonly number[];
  readonly data: Uint8Array;
  readonly depth?: number;
  readonly interlace?: number;
}): Uint8Array {
  const { width, channels, filters, data, depth = 8, interlace = 0 } = options;
  const rowBytes = width * channels;
  const rows = filters.flatMap((filter, y) => {
    const at = (x: number, line: number) => (x < 0 || line < 0 ? 0 : data[line * rowBytes + x]!);
    const row = Array.from({ length: rowBytes }, (_, x) => {
      const left = at(x - channels, y);
      const up = at(x, y - 1);
      const corner = x < channels ? 0 : at(x - channels, y - 1);
      const nearest = [left, up, corner].sort(
        (a, b) => Math.abs(left + up - corner - a) - Math.abs(left + up - corner - b),
      )[0]!;
      const guess = [0, left, up, Math.floor((left + up) / 2), nearest][filter]!;
      return (at(x, y) - guess) & 255;
    });
    return [filter, ...row];
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(filters.length, 4);
  header.set([depth, { 1: 0, 2: 4, 3: 2, 4: 6 }[channels]!, 0, 0, interlace], 8);
  const chunk = (type: string, content: Uint8Array) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    return Buffer.concat([length, Buffer.from(type), content, Buffer.alloc(4)]);
  };
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Uint8Array.from(rows))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Math.imul(i + 7, 0x9e3779b1) >>> 24);
}

describe("PNG", () => {
  test.each([1, 2, 3, 4])("%i channels, every filter", (channels) => {
    const filters = [4, 3, 2, 1, 0, 1, 2, 3, 4];
    const data = noise(5 * channels * filters.length);
    const image = decodePng(encodePng({ width: 5, channels, filters, data }));
    expect(image).toEqual({ width: 5, height: 9, channels, data });
  });

  test("what is not read is said", () => {
    const plain = { width: 2, channels: 1, filters: [0], data: noise(2) };
    expect(() => decodePng(new Uint8Array(9), "a.png")).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0602: the image cannot be read: it is no PNG file
        file: a.png]
    `);
    expect(() => decodePng(encodePng({ ...plain, depth: 16 }))).toThrow("16 bits per channel");
    expect(() => decodePng(encodePng({ ...plain, interlace: 1 }))).toThrow("interlaced");
    expect(() => decodePng(encodePng(plain).subarray(0, 45))).toThrow("ends too early");
  });
});
