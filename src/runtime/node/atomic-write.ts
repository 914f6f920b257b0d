/** Files that are whole or not there: written beside their place under another name, then renamed. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../../support/diagnostic.js";
import { systemReason } from "./system-reason.js";

/** Throws L0101 where the file cannot be written. */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  const draft = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(draft, bytes);
    renameSync(draft, path);
  } catch (error) {
    if (existsSync(draft)) rmSync(draft);
    fail("L0101", `the file cannot be written: ${systemReason(error)}`, { place: { file: path } });
  }
}
