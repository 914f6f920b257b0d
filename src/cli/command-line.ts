/** The command line as a function: one file per command. Exit code 0, 1 (the work failed) or 2 (wrong usage). */
import { readFileSync } from "node:fs";
import { Command, CommanderError, type OutputConfiguration } from "@commander-js/extra-typings";
import { pc } from "./colors.js";
import { DiagnosticError, formatDiagnostic } from "../support/diagnostic.js";

/** By name, in the order of the help; whoever calls one waits for the code of no other. */
const commands: ReadonlyMap<string, Load> = new Map<string, Load>([
  ["run", async () => (await import("./run.js")).runCommand],
  ["test", async () => (await import("./test.js")).testCommand],
  ["compile", async () => (await import("./compile.js")).compileCommand],
  ["report", async () => (await import("./report.js")).reportCommand],
  ["disasm", async () => (await import("./disasm.js")).disasmCommand],
  ["asm", async () => (await import("./asm.js")).asmCommand],
  ["bench", async () => (await import("./bench.js")).benchCommand],
  ["bisect", async () => (await import("./bisect.js")).bisectCommand],
  ["machines", async () => (await import("./machines.js")).machinesCommand],
  ["ops", async () => (await import("./ops.js")).opsCommand],
  ["passes", async () => (await import("./passes.js")).passesCommand],
]);

type Load = () => Promise<() => unknown>;

export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const program = new Command("lightloom")
    .description(
      "Compile and run ONNX models on simulated accelerators joined by a photonic fabric.",
    )
    .version(packageVersion())
    .exitOverride()
    .configureOutput(usageErrors);
  const named = commands.get(argv[0] ?? "");
  for (const load of named === undefined ? commands.values() : [named]) {
    const make = await load();
    program.addCommand((make() as Command).exitOverride().configureOutput(usageErrors));
  }
  process.exitCode = 0;
  try {
    await program.parseAsync([...argv], { from: "user" });
    return Number(process.exitCode);
  } catch (error) {
    return exitCodeOf(error, argv.includes("--debug"));
  }
}

/** The library's own sentences get the code that ours have. */
const usageErrors: OutputConfiguration = {
  outputError: (text) => writeError(text.trimEnd().replace(/^error:/, "L0901:")),
};

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
