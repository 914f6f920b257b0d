/** Files that are whole or not there: written beside their place under another name, then renamed. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../../support/diagnostic.js";

/** Throws L0101 where the file cannot be written. */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  const draft = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(draft, bytes);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    fail("L0101", `the file cannot be written: ${(error as Error).message}`, {
      place: { file: path },
    });
  }
}
