/** `lightloom asm`: assembly text is checked, encoded, and run on made-up memory if asked. */
import { writeAtomically } from "../runtime/node/atomic-write.js";
import { readFileBytes } from "../runtime/node/files.js";
import { bytesFromData, dataFromBytes, decodeNumbers, encodeArray } from "../numerics/convert.js";
import { byteLength } from "../numerics/dtype.js";
import { assemble } from "../isa/assemble.js";
import { encodeProgram } from "../isa/encode.js";
import type { Program, ProgramBinding } from "../isa/program.js";
import { requireSafe } from "../isa/verify.js";
import { createSimulatedDevice } from "../runtime/device.js";
import type { Engine } from "../sim/engine.js";
import { fail, inFile } from "../support/diagnostic.js";
import { engineNamed, engineOption } from "./engine-options.js";
import { command } from "./options.js";
import { print, printJson, printTable } from "./output.js";

export function asmCommand() {
  return command("asm", "assemble and verify a program")
    .argument("<file>", "assembly text, as `lightloom disasm` prints it")
    .option("-o, --output <file>", "write the encoded program")
    .option("--run", "run it: bindings that it may read hold 0, 1, 2, .. modulo 16")
    .option("--scalars <values>", "run-time scalars, separated by commas", "")
    .addOption(engineOption)
    .action((path, options) => {
      const program = inFile(path, () => assembled(readFileBytes(path)));
      const bytes = encodeProgram(program);
      if (options.output !== undefined) writeAtomically(options.output, bytes);
      const scalars = scalarsOf(options.scalars, program);
      const results = options.run ? runProgram(program, engineNamed(options.engine), scalars) : [];
      if (options.json) {
        printJson({ name: program.name, bytes: bytes.length, bindings: results });
        return;
      }
      print(`${program.name}: ${bytes.length} bytes, verified`);
      if (options.run) {
        printTable(
          ["binding", "type", "elements", "first values afterwards"],
          results.map((r) => [r.name, r.dtype, r.elements, shown(r.values)]),
        );
      }
    });
}

/** Throws L0503 and L0501. */
function assembled(text: Uint8Array): Program {
  const program = assemble(new TextDecoder().decode(text));
  requireSafe(program);
  return program;
}

function scalarsOf(text: string, { scalarCount }: Program): Int32Array {
  const values = text === "" ? [] : text.split(",").map(Number);
  if (values.some((value) => !Number.isInteger(value))) {
    fail("L0901", `--scalars takes integers, not "${text}"`);
  }
  if (values.length > scalarCount) {
    fail("L0901", `the program takes ${scalarCount} scalars, not ${values.length}`);
  }
  return Int32Array.from({ length: scalarCount }, (_, i) => values[i] ?? 0);
}

interface BindingResult {
  readonly name: string;
  readonly dtype: string;
  readonly elements: number;
  readonly values: readonly number[];
}

/** Bindings are aligned to this, as the compiler lays them out. */
const alignBytes = 64;

function runProgram(program: Program, engine: Engine, scalars: Int32Array): BindingResult[] {
  const offsets: number[] = [];
  let end = 0;
  for (const { dtype, elements } of program.bindings) {
    offsets.push(end);
    end += Math.ceil(byteLength(dtype, elements) / alignBytes) * alignBytes;
  }
  const region = createSimulatedDevice(engine).allocate(end);
  program.bindings.forEach((binding, i) => {
    if (binding.access !== "write") region.write(offsets[i]!, counting(binding));
  });
  const { faults } = region.load(program).launch(offsets, scalars);
  const [fault] = faults;
  if (fault !== undefined) fail("L0604", `instruction ${fault.instruction}: index out of range`);
  return program.bindings.map(({ name, dtype, elements }, i) => {
    const bytes = region.read(offsets[i]!, byteLength(dtype, elements));
    const values = decodeNumbers(dtype, dataFromBytes(dtype, bytes, elements));
    return { name, dtype, elements, values: [...values] };
  });
}

function counting({ dtype, elements }: ProgramBinding): Uint8Array {
  const values = Float32Array.from({ length: elements }, (_, i) => i % 16);
  return bytesFromData(dtype, encodeArray(dtype, values));
}

function shown(values: readonly number[]): string {
  const text = values.slice(0, 8).map((value) => `${Number(value.toPrecision(6))}`);
  return text.join(" ") + (values.length > 8 ? " .." : "");
}
