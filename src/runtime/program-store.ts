/** Where compiled executables outlive a session; `node/disk-store.ts` keeps them on disk. */
import type { Executable } from "../isa/executable.js";

export interface ProgramStore {
  /** What was put under the key, if it is there and whole. */
  get(key: string): Executable | undefined;
  put(key: string, executable: Executable): void;
}
