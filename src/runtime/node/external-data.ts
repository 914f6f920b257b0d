/**
 * External tensor data from files beside a model. A model is untrusted: what it names must be a plain file
 * under the model's folder, reached through no symbolic link and known by no second name, and the range must
 * lie inside it. Where the path leads to before it is opened is checked in `onnx/external.ts`.
 */
import { realpathSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { ExternalData } from "../../onnx/external.js";
import { DiagnosticError, fail } from "../../support/diagnostic.js";
import { readRange, withFile } from "./files.js";

export function externalDataBeside(modelPath: string): ExternalData {
  const folder = dirname(resolve(modelPath));
  return {
    read(location, offset, length) {
      const path = plainPath(folder, location);
      return withDataFile(path, location, (descriptor, size) => {
        const end = length === undefined ? size : offset + length;
        if (offset > size || end > size) {
          reject(location, `bytes ${offset} to ${end} lie outside its ${size} bytes`);
        }
        return readRange(descriptor, offset, end - offset);
      });
    },
  };
}

/** The path that opening leads to; refused if links make it differ from the one that is written. */
function plainPath(folder: string, location: string): string {
  const base = canonical(folder, location);
  const path = join(base, location);
  const inside = relative(base, path);
  if (inside.startsWith("..") || isAbsolute(inside))
    reject(location, "it leaves the model's folder");
  if (canonical(path, location) !== path) reject(location, "it is reached through a symbolic link");
  return path;
}

function canonical(path: string, location: string): string {
  try {
    return realpathSync(path);
  } catch {
    return reject(location, "it does not exist");
  }
}

function withDataFile(
  path: string,
  location: string,
  read: (descriptor: number, size: number) => Uint8Array,
): Uint8Array {
  try {
    return withFile(path, (descriptor, stats) => {
      if (stats.nlink > 1) reject(location, "it has a second name (a hard link)");
      return read(descriptor, stats.size);
    });
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const [first] = error.diagnostics;
    if (first?.code !== "L0101") throw error;
    return reject(location, first.message);
  }
}

function reject(location: string, why: string): never {
  fail("L0106", `the external data file "${location}" cannot be used: ${why}`);
}
