/**
 * The ELF64 container: named sections in one little-endian file with a private machine number, which `readelf -S`
 * lists. What is in the sections is elf.ts's business; here they are bytes, each with a content hash.
 */
import { fail } from "../support/diagnostic.js";
import { contentHash } from "../support/hash.js";
import { concatenate } from "./descriptors.js";

export interface Section {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** A power of two. */
  readonly alignment: number;
  readonly kind: "code" | "data" | "information";
}

/** e_machine: no architecture's; the letters LL. */
const machineNumber = 0x4c4c;
/** e_flags: changes whenever an older reader would misread a file. */
const formatVersion = 1;

const headerBytes = 64;
const sectionHeaderBytes = 64;
const hashesName = ".lightloom.hashes";
const namesName = ".shstrtab";

const sectionTypes = { progbits: 1, strtab: 3 } as const;
/** SHF_ALLOC, and for code SHF_EXECINSTR. */
const sectionFlags = { code: 6, data: 2, information: 0 } as const;

/** The file in pieces, to be written one after the other. */
export function elfPieces(sections: readonly Section[]): Uint8Array[] {
  const hashes = JSON.stringify(
    Object.fromEntries(sections.map((section) => [section.name, contentHash(section.bytes)])),
  );
  const all: Section[] = [
    ...sections,
    { name: hashesName, bytes: utf8(hashes), alignment: 8, kind: "information" },
  ];
  const names = nameTable([...all.map((section) => section.name), namesName]);
  all.push({ name: namesName, bytes: names.bytes, alignment: 1, kind: "information" });
  const pieces: Uint8Array[] = [new Uint8Array(headerBytes)];
  const table = new Uint8Array(sectionHeaderBytes * (all.length + 1));
  const view = new DataView(table.buffer);
  let offset = headerBytes;
  const pad = (alignment: number) => {
    const padding = (alignment - (offset % alignment)) % alignment;
    if (padding > 0) pieces.push(new Uint8Array(padding));
    offset += padding;
  };
  all.forEach((section, i) => {
    pad(section.alignment);
    const at = sectionHeaderBytes * (i + 1);
    view.setUint32(at, names.offsets.get(section.name)!, true);
    const type = section.name === namesName ? sectionTypes.strtab : sectionTypes.progbits;
    view.setUint32(at + 4, type, true);
    view.setBigUint64(at + 8, BigInt(sectionFlags[section.kind]), true);
    view.setBigUint64(at + 24, BigInt(offset), true);
    view.setBigUint64(at + 32, BigInt(section.bytes.length), true);
    view.setBigUint64(at + 48, BigInt(section.alignment), true);
    pieces.push(section.bytes);
    offset += section.bytes.length;
  });
  pad(8);
  pieces[0] = fileHeader({ tableOffset: offset, sections: all.length + 1 });
  pieces.push(table);
  return pieces;
}

function fileHeader(layout: { tableOffset: number; sections: number }): Uint8Array {
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  // 64 bits, little-endian, version 1
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // e_type: executable
  view.setUint16(18, machineNumber, true);
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(40, BigInt(layout.tableOffset), true);
  view.setUint32(48, formatVersion, true);
  view.setUint16(52, headerBytes, true);
  view.setUint16(58, sectionHeaderBytes, true);
  view.setUint16(60, layout.sections, true);
  view.setUint16(62, layout.sections - 1, true); // the names are in the last section
  return header;
}

function nameTable(names: readonly string[]): {
  readonly bytes: Uint8Array;
  readonly offsets: ReadonlyMap<string, number>;
} {
  const offsets = new Map<string, number>();
  let text = "\0";
  for (const name of names) {
    offsets.set(name, text.length);
    text += `${name}\0`;
  }
  return { bytes: utf8(text), offsets };
}

/** The sections of a file by name, each checked against its hash. L0502 for anything else than a whole file. */
export function readSections(file: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  checkHeader(file, view);
  const tableOffset = Number(view.getBigUint64(40, true));
  const count = view.getUint16(60, true);
  const namesAt = view.getUint16(62, true);
  if (tableOffset + count * sectionHeaderBytes > file.length || namesAt >= count) {
    fail("L0502", "the file ends before its section headers");
  }
  const bytesOf = (section: number): Uint8Array => {
    const at = tableOffset + section * sectionHeaderBytes;
    const offset = Number(view.getBigUint64(at + 24, true));
    const size = Number(view.getBigUint64(at + 32, true));
    if (offset + size > file.length) fail("L0502", `section ${section} lies outside the file`);
    return file.subarray(offset, offset + size);
  };
  const names = bytesOf(namesAt);
  const sections = new Map<string, Uint8Array>();
  for (let section = 1; section < count; section++) {
    const at = view.getUint32(tableOffset + section * sectionHeaderBytes, true);
    sections.set(textUpToZero(names, at), bytesOf(section));
  }
  checkHashes(sections);
  return sections;
}

function checkHeader(file: Uint8Array, view: DataView): void {
  const start = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1];
  if (file.length < headerBytes || start.some((byte, i) => file[i] !== byte)) {
    fail("L0502", "the file is not a little-endian ELF64 file");
  }
  const machine = view.getUint16(18, true);
  if (machine !== machineNumber) {
    fail("L0502", `the file is for machine number ${machine}, not for a Lightloom device`);
  }
  const version = view.getUint32(48, true);
  if (version !== formatVersion) {
    fail("L0502", `the file has format version ${version}; this version reads ${formatVersion}`, {
      hint: "compile the model again",
    });
  }
  if (view.getUint16(58, true) !== sectionHeaderBytes) {
    fail("L0502", "the section headers have a size that ELF64 does not know");
  }
}

function checkHashes(sections: ReadonlyMap<string, Uint8Array>): void {
  const text = sections.get(hashesName);
  if (text === undefined) fail("L0502", `the file has no section ${hashesName}`);
  const hashes = parseJson(text, hashesName) as Readonly<Record<string, string>>;
  for (const [name, hash] of Object.entries(hashes)) {
    const bytes = sections.get(name);
    if (bytes === undefined) fail("L0502", `the file has no section ${name}`);
    if (contentHash(bytes) !== hash) fail("L0502", `section ${name} is damaged`);
  }
}

export function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return fail("L0502", `section ${name} is damaged`);
  }
}

function textUpToZero(bytes: Uint8Array, from: number): string {
  const end = bytes.indexOf(0, from);
  return new TextDecoder().decode(bytes.subarray(from, end < 0 ? bytes.length : end));
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Bytes of a section. */
export interface Range {
  readonly offset: number;
  readonly size: number;
}

/** Parts one after the other, and where each begins. */
export function layOut(parts: readonly Uint8Array[]): {
  readonly bytes: Uint8Array;
  readonly ranges: readonly Range[];
} {
  let offset = 0;
  const ranges = parts.map((part) => {
    const range = { offset, size: part.length };
    offset += part.length;
    return range;
  });
  return { bytes: concatenate(parts), ranges };
}

export function slice(bytes: Uint8Array, { offset, size }: Range): Uint8Array {
  if (!(offset >= 0 && size >= 0 && offset + size <= bytes.length)) {
    fail("L0502", `bytes [${offset}, ${offset + size}) lie outside their section`);
  }
  return bytes.subarray(offset, offset + size);
}
