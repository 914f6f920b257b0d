/** The command line as a function: one file per command. Exit code 0, 1 (the work failed) or 2 (wrong usage). */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { pc } from "./colors.js";
import { DiagnosticError, formatDiagnostic } from "../support/diagnostic.js";
import { asmCommand } from "./asm.js";
import { benchCommand } from "./bench.js";
import { bisectCommand } from "./bisect.js";
import { compileCommand } from "./compile.js";
import { disasmCommand } from "./disasm.js";
import { machinesCommand } from "./machines.js";
import { opsCommand } from "./ops.js";
import { passesCommand } from "./passes.js";
import { reportCommand } from "./report.js";
import { runCommand } from "./run.js";
import { testCommand } from "./test.js";

const commands = [
  runCommand,
  testCommand,
  compileCommand,
  reportCommand,
  disasmCommand,
  asmCommand,
  benchCommand,
  bisectCommand,
  machinesCommand,
  opsCommand,
  passesCommand,
];

export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const program = new Command("lightloom")
    .description(
      "Compile and run ONNX models on simulated accelerators joined by a photonic fabric.",
    )
    .version(packageVersion())
    .exitOverride();
  for (const make of commands) {
    const made = make();
    made.exitOverride();
    program.addCommand(made as unknown as Command);
  }
  process.exitCode = 0;
  try {
    await program.parseAsync([...argv], { from: "user" });
    return Number(process.exitCode);
  } catch (error) {
    return exitCodeOf(error, argv.includes("--debug"));
  }
}

/** Tells the user what went wrong; a stack only of our own mistakes, and only if asked. */
function exitCodeOf(error: unknown, isDebug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof DiagnosticError) {
    for (const diagnostic of error.diagnostics) writeError(formatDiagnostic(diagnostic));
    return error.exitCode;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  writeError(`internal error ${message}`);
  writeError(isDebug ? (stack ?? "") : "  hint: --debug shows where it happened");
  return 1;
}

function writeError(text: string): void {
  process.stderr.write(`${pc.isColorSupported ? text.replace(/^L\d+/, pc.red) : text}\n`);
}

function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
