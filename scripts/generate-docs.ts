/**
 * Writes the pages of docs/ that derive from tables: operators, differences, errors, passes, instruction set. With
 * `--check` it writes nothing and fails where a page is not what it would write.
 *
 *   npm run docs            npm run docs:check
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { differencesPage } from "./docs/differences-page.js";
import { errorsPage } from "./docs/errors-page.js";
import { isaPage } from "./docs/isa-page.js";
import { operatorsPage } from "./docs/operators-page.js";
import { passesPage } from "./docs/passes-page.js";

const pages: Readonly<Record<string, () => string>> = {
  "docs/differences.md": differencesPage,
  "docs/errors.md": errorsPage,
  "docs/isa.md": isaPage,
  "docs/operators.md": operatorsPage,
  "docs/passes.md": passesPage,
};

const isCheck = process.argv.includes("--check");
const stale = Object.entries(pages).filter(([name, page]) => {
  const path = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const text = page();
  const isStale = !existsSync(path) || readFileSync(path, "utf8") !== text;
  if (isStale && !isCheck) writeFileSync(path, text);
  return isStale;
});

for (const [name] of stale)
  console.log(isCheck ? `${name} is stale: npm run docs` : `wrote ${name}`);
process.exitCode = isCheck && stale.length > 0 ? 1 : 0;
