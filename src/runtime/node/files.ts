/** Files on disk: whole ones of any size, folders as a {@link FileSource}, `.tar.gz` archives. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { DiagnosticError, fail } from "../../support/diagnostic.js";
import type { FileSource } from "../files.js";
import { tarFiles } from "../tar.js";
import { systemReason } from "./system-reason.js";

/** Most that one system call reads: Linux and Node both stop short of 2 GiB. */
const chunkBytes = 2 ** 30;

/** A pipe that nobody writes to would hold a plain open for ever; Windows has neither. */
const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** The whole file, in memory of its own whose start is aligned for any tensor. Throws L0101. */
export function readFileBytes(path: string): Uint8Array {
  return withFile(path, (descriptor, { size }) => readRange(descriptor, 0, size));
}

/** `length` bytes from `offset` on, which the caller has checked to be in the file. */
export function readRange(descriptor: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = Math.min(chunkBytes, length - done);
    const read = readSync(descriptor, bytes, done, count, offset + done);
    if (read === 0) throw new Error("the file ended while it was read");
    done += read;
  }
  return bytes;
}

export function withFile<T>(path: string, use: (descriptor: number, stats: Stats) => T): T {
  try {
    const descriptor = openSync(path, openFlags);
    try {
      const stats = fstatSync(descriptor);
      if (!stats.isFile()) fail("L0101", "this is not a file", { place: { file: path } });
      return use(descriptor, stats);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    return unreadable(path, error);
  }
}

/** A folder with everything under it, or a `.tar.gz`, `.tgz` or `.tar` archive. Throws L0101. */
export function openFiles(path: string): FileSource {
  if (/\.(tar\.gz|tgz|tar)$/.test(path)) {
    const bytes = readFileBytes(path);
    return tarFiles(path.endsWith(".tar") ? bytes : gunzip(bytes, path), path);
  }
  return { paths: listFolder(path), read: (inner) => readFileBytes(join(path, inner)) };
}

function gunzip(bytes: Uint8Array, path: string): Uint8Array {
  try {
    return gunzipSync(bytes);
  } catch (error) {
    return unreadable(path, error);
  }
}

function listFolder(path: string): readonly string[] {
  try {
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(path, "x").length - 1))
      .map((name) => name.replaceAll("\\", "/"))
      .sort();
  } catch (error) {
    return unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): never {
  if (error instanceof DiagnosticError) throw error;
  fail("L0101", `the file cannot be read: ${systemReason(error)}`, { place: { file: path } });
}
