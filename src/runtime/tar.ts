/** Reads tar archives in memory: plain files of the ustar, GNU and pax formats, as views of the bytes. */
import { fail } from "../support/diagnostic.js";
import type { FileSource } from "./files.js";

const blockBytes = 512;
const decoder = new TextDecoder();

export function tarFiles(archive: Uint8Array, file?: string): FileSource {
  const files = new Map<string, Uint8Array>();
  for (const { path, content } of entries(archive, file)) files.set(path, content);
  return {
    paths: [...files.keys()],
    read: (path) =>
      files.get(path) ??
      fail(
        "L0101",
        `the archive has no file "${path}"`,
        file === undefined ? {} : { place: { file } },
      ),
  };
}

interface Entry {
  readonly path: string;
  readonly content: Uint8Array;
}

function* entries(archive: Uint8Array, file: string | undefined): Generator<Entry> {
  let longName: string | undefined;
  let at = 0;
  while (at + blockBytes <= archive.length) {
    const header = archive.subarray(at, at + blockBytes);
    if (header.every((byte) => byte === 0)) return;
    if (!checksumFits(header)) damaged("a header's checksum is wrong", file);
    const sizeBytes = numberAt(header, 124, 12);
    at += blockBytes;
    if (at + sizeBytes > archive.length) damaged("the archive ends too early", file);
    const content = archive.subarray(at, at + sizeBytes);
    at += Math.ceil(sizeBytes / blockBytes) * blockBytes;
    const type = String.fromCharCode(header[156]!);
    if (type === "L") longName = textOf(content);
    else if (type === "x") longName = paxPath(content) ?? longName;
    else {
      if (type === "0" || type === "\0") {
        yield { path: (longName ?? nameOf(header)).replace(/^\.\//, ""), content };
      }
      if (type !== "g") longName = undefined;
    }
  }
}

function nameOf(header: Uint8Array): string {
  const name = textOf(header.subarray(0, 100));
  const isUstar = textOf(header.subarray(257, 262)) === "ustar";
  const prefix = isUstar ? textOf(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Octal digits, or big-endian bytes behind a first byte of 0x80 where they would not do. */
function numberAt(header: Uint8Array, offset: number, length: number): number {
  const field = header.subarray(offset, offset + length);
  if ((field[0]! & 0x80) !== 0) {
    return field.subarray(1).reduce((value, byte) => value * 256 + byte, field[0]! & 0x7f);
  }
  return Number.parseInt(textOf(field).trim() || "0", 8);
}

/** The sum of the header's bytes, its own field counted as blanks. */
function checksumFits(header: Uint8Array): boolean {
  const sum = header.reduce((s, byte, i) => s + (i >= 148 && i < 156 ? 32 : byte), 0);
  return sum === numberAt(header, 148, 8);
}

/** Records are `length key=value\n`. */
function paxPath(content: Uint8Array): string | undefined {
  for (const record of decoder.decode(content).split("\n")) {
    const match = /^\d+ path=(.*)$/.exec(record);
    if (match !== null) return match[1];
  }
  return undefined;
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function damaged(why: string, file: string | undefined): never {
  fail("L0101", `the archive is damaged: ${why}`, file === undefined ? {} : { place: { file } });
}
