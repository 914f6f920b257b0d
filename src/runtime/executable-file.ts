/** Executables as files: ELF, with the bodies of the host's control flow in the form that the import reads. */
import { subgraphCodec } from "../compiler/1-import/subgraph-codec.js";
import { readElf, writeElf } from "../isa/elf.js";
import type { Executable } from "../isa/executable.js";

export function writeExecutable(executable: Executable): Uint8Array {
  return writeElf(executable, subgraphCodec);
}

/** L0502 if the file is damaged, cut short, of another version, or no executable. */
export function readExecutable(file: Uint8Array): Executable {
  return readElf(file, subgraphCodec);
}
