/**
 * What a user is told when a model, an option or a file is wrong, or when something is not supported.
 * A diagnostic is never our bug: for that see {@link InternalError}.
 * The codes and their explanations stand in `codes.ts`, the only place where one is defined.
 */
import { type CodeRow, type DiagnosticCode, diagnosticCodes } from "./codes.js";

export interface Diagnostic {
  readonly code: DiagnosticCode;
  /** One plain sentence; quoted values are the user's own strings. */
  readonly message: string;
  /** Where: file, and the ONNX node and tensor as the user named them. */
  readonly place?: Place;
  readonly notes?: readonly string[];
  /** What the user can do about it. */
  readonly hint?: string;
}

export interface Place {
  readonly file?: string;
  readonly node?: string;
  readonly operator?: string;
  readonly tensor?: string;
}

/** Thrown for anything the user can act on; carries every diagnostic of the stage that failed. */
export class DiagnosticError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
    this.name = "DiagnosticError";
    this.diagnostics = diagnostics;
  }

  /** Exit code of the command line: 2 for wrong usage, 1 for work that failed. */
  get exitCode(): 1 | 2 {
    return this.diagnostics.some((d) => rowOf(d.code).usage === true) ? 2 : 1;
  }
}

function rowOf(code: DiagnosticCode): CodeRow {
  return diagnosticCodes[code];
}

/** Our own mistake: an invariant that does not hold. Never thrown for bad input. */
export class InternalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "InternalError";
  }
}

export function fail(
  code: DiagnosticCode,
  message: string,
  rest: Omit<Diagnostic, "code" | "message"> = {},
): never {
  throw new DiagnosticError([{ code, message, ...rest }]);
}

/** Does `work`; what it says is wrong names the file, unless it names another. */
export function inFile<T>(file: string | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (file === undefined || !(error instanceof DiagnosticError)) throw error;
    throw new DiagnosticError(
      error.diagnostics.map((d) => ({ ...d, place: { file, ...d.place } })),
    );
  }
}

/** `code Operator "node": sentence (file)`, then notes and hint, one per line, indented. */
export function formatDiagnostic(d: Diagnostic): string {
  const node = d.place?.node === undefined ? "" : `"${d.place.node}"`;
  const subject = [d.place?.operator, node].filter((s) => s !== undefined && s !== "").join(" ");
  const head = [d.code, subject === "" ? "" : ` ${subject}`, ": ", d.message].join("");
  const lines = [head];
  if (d.place?.tensor !== undefined) lines.push(`  tensor: "${d.place.tensor}"`);
  if (d.place?.file !== undefined) lines.push(`  file: ${d.place.file}`);
  for (const note of d.notes ?? []) lines.push(`  note: ${note}`);
  if (d.hint !== undefined) lines.push(`  hint: ${d.hint}`);
  return lines.join("\n");
}
