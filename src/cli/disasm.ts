/** `lightloom disasm`: the programs of an executable as assembly, with the ONNX nodes that they came from. */
import { disassemble } from "../isa/disassemble.js";
import type { Executable } from "../isa/executable.js";
import { readExecutable } from "../runtime/executable-file.js";
import { readFileBytes } from "../runtime/node/files.js";
import { fail, inFile } from "../support/diagnostic.js";
import { command } from "./options.js";
import { print, printJson } from "./output.js";

export function disasmCommand() {
  return command("disasm", "print the programs of a compiled executable")
    .argument("<file>", "an executable made by `lightloom compile -o`")
    .option("-k, --kernel <name>", "only the program of this name or number")
    .action((path, options) => {
      const executable = inFile(path, () => readExecutable(readFileBytes(path)));
      const wanted = options.kernel;
      const programs = executable.programs.flatMap((program, number) => {
        if (wanted !== undefined && wanted !== program.name && wanted !== `${number}`) return [];
        const origins = originsOf(executable, number);
        return [{ number, name: program.name, origins, text: disassemble(program, { origins }) }];
      });
      if (programs.length === 0 && wanted !== undefined) {
        fail("L0901", `the executable has no program "${wanted}"`, { place: { file: path } });
      }
      if (options.json) printJson(programs);
      for (const { number, text } of options.json ? [] : programs) {
        print(`# program ${number}\n${text}`);
      }
    });
}

/** Per role of a program: the ONNX nodes that its launches do this for, `Conv "conv1"`, each once. */
function originsOf({ programs, steps }: Executable, number: number): readonly string[] {
  const launches = steps.filter((step) => step.kind === "launch" && step.program === number);
  return programs[number]!.roles.map((_, role) => {
    const nodes = launches.flatMap((step) => (step.kind === "launch" ? step.origins[role]! : []));
    return [...new Set(nodes.map(({ operator, node }) => `${operator} "${node}"`))].join(", ");
  });
}
