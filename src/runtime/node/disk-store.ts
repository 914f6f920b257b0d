/**
 * Compiled programs on disk, one ELF file each, named by the hash of everything they depend on: the model, the
 * machine, precision, dims, and the code of the compiler itself. A damaged file is reported and made again.
 */
import { existsSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readExecutable, writeExecutable } from "../executable-file.js";
import type { Executable } from "../../isa/executable.js";
import { DiagnosticError } from "../../support/diagnostic.js";
import { contentHash } from "../../support/hash.js";
import type { ProgramStore } from "../program-store.js";
import { writeAtomically } from "./atomic-write.js";
import { readFileBytes } from "./files.js";

export interface DiskStoreOptions {
  readonly folder: string;
  readonly modelBytes: Uint8Array;
  /** Told of a damaged file or of a folder that cannot be written, once each. */
  readonly warn?: (message: string) => void;
}

/** Least recently used files go when the folder holds more. */
const storeBytesMax = 2 ** 30;

/** LIGHTLOOM_CACHE, else the user's cache folder by the XDG convention. */
export function defaultCacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { LIGHTLOOM_CACHE: own = "", XDG_CACHE_HOME: shared = "" } = env;
  if (own !== "") return own;
  return join(shared === "" ? join(homedir(), ".cache") : shared, "lightloom");
}

export function createDiskStore({ folder, modelBytes, warn }: DiskStoreOptions): ProgramStore {
  const report = warn ?? ((message) => process.emitWarning(message, "LightloomCache"));
  const model = contentHash(modelBytes);
  const pathOf = (key: string): string => {
    const text = JSON.stringify([model, codeStamp(), key]);
    return join(folder, `${contentHash(new TextEncoder().encode(text))}.elf`);
  };
  let canWrite = true;
  return {
    get(key) {
      const path = pathOf(key);
      if (!existsSync(path)) return undefined;
      try {
        const executable = readExecutable(readFileBytes(path));
        touch(path);
        return executable;
      } catch (error) {
        if (!(error instanceof DiagnosticError)) throw error;
        report(`compiling again, the kept program is damaged: ${error.message}`);
        rmSync(path, { force: true });
        return undefined;
      }
    },
    put(key, executable) {
      const bytes = fileOf(executable);
      if (!canWrite || bytes === undefined) return;
      try {
        writeAtomically(pathOf(key), bytes);
        prune(folder);
      } catch (error) {
        canWrite = false;
        report(`programs are not kept: ${(error as Error).message}`);
      }
    },
  };
}

/** Undefined for an executable that the format cannot hold: more descriptors than words can refer to. */
function fileOf(executable: Executable): Uint8Array | undefined {
  try {
    return writeExecutable(executable);
  } catch (error) {
    if (error instanceof DiagnosticError) return undefined;
    throw error;
  }
}

let stamp: string | undefined;

/** Changes with every change of our own code, installed or built from a checkout. */
function codeStamp(): string {
  stamp ??= contentHash(new TextEncoder().encode(codeFiles().join("\n")));
  return stamp;
}

function codeFiles(): string[] {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[jt]s$/.test(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return `${path} ${size} ${mtimeMs}`;
    })
    .sort();
}

/** So that pruning knows what is in use; a folder that is only readable stays as it is. */
function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    return;
  }
}

function prune(folder: string): void {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".elf"))
    .flatMap((name) => {
      const path = join(folder, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats === undefined ? [] : [{ path, size: stats.size, usedMs: stats.mtimeMs }];
    })
    .sort((a, b) => b.usedMs - a.usedMs);
  let total = 0;
  for (const { path, size } of files) {
    total += size;
    if (total > storeBytesMax) rmSync(path, { force: true });
  }
}
