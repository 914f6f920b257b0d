/** `lightloom disasm`: the programs of an executable as assembly, with the ONNX nodes that they came from. */
import { disassemble } from "../isa/disassemble.js";
import { readElf } from "../isa/elf.js";
import type { Executable } from "../isa/executable.js";
import { readFileBytes } from "../runtime/node/files.js";
import { fail } from "../support/diagnostic.js";
import { command } from "./options.js";
import { print, printJson } from "./output.js";

export function disasmCommand() {
  return command("disasm", "print the programs of a compiled executable")
    .argument("<file>", "an executable made by `lightloom compile -o`")
    .option("-k, --kernel <name>", "only the program of this name or number")
    .action((path, options) => {
      const executable = readElf(readFileBytes(path));
      const wanted = options.kernel;
      const programs = executable.programs.flatMap((program, number) => {
        if (wanted !== undefined && wanted !== program.name && wanted !== `${number}`) return [];
        return [{ number, name: program.name, text: disassemble(program) }];
      });
      if (programs.length === 0 && wanted !== undefined) {
        fail("L0901", `the executable has no program "${wanted}"`, { place: { file: path } });
      }
      const described = programs.map((p) => ({ ...p, launches: launchesOf(executable, p.number) }));
      if (options.json) printJson(described);
      for (const { number, text, launches } of options.json ? [] : described) {
        print(`// program ${number}`);
        for (const { origins } of launches) print(`// ${origins.join(", ")}`);
        print(text);
      }
    });
}

interface LaunchOrigins {
  readonly step: number;
  readonly plan: string;
  /** `Conv "conv1"`, each once. */
  readonly origins: readonly string[];
}

function launchesOf(executable: Executable, program: number): readonly LaunchOrigins[] {
  return executable.steps.flatMap((step, i) => {
    if (step.kind !== "launch" || step.program !== program) return [];
    const names = step.origins.flat().map(({ operator, node }) => `${operator} "${node}"`);
    return [{ step: i, plan: step.plan, origins: [...new Set(names)] }];
  });
}
