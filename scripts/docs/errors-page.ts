/** docs/errors.md: every diagnostic code with what it means. */
import { type CodeRow, diagnosticCodes } from "../../src/support/codes.js";
import { page } from "./markdown.js";

export function errorsPage(): string {
  const codes = Object.entries<CodeRow>(diagnosticCodes).map(
    ([code, { title, explain, usage }]) =>
      `## ${code}: ${title}\n\n${explain}\n\nExit code of the command line: ${usage === true ? 2 : 1}.`,
  );
  return page(
    "Diagnostics",
    "src/support/codes.ts",
    "What Lightloom says about a model, an option or a file: a code, one sentence, the place, notes and a hint. " +
      "The first two digits group the codes: 01 files and graphs, 02 shapes and dims, 03 support, 04 capacity, " +
      "05 programs, 06 inputs and sessions, 07 machines, 09 the command line.",
    ...codes,
  );
}
