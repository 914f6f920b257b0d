/**
 * Packs the package, installs the tarball in an empty folder as a user would, and uses it from there: the command
 * line and the API. Needs dist/ to be built.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "lightloom-package-"));

try {
  const packed = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder], root));
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  const flags = ["--no-audit", "--no-fund", "--prefer-offline"];
  run("npm", ["install", ...flags, join(folder, packed[0].filename)], folder);
  expectText("machines", run("npx", ["--no-install", "lightloom", "machines"], folder), "pf1");
  writeFileSync(
    join(folder, "use.js"),
    'import { InferenceSession, Tensor } from "lightloom";\n' +
      "console.log(typeof InferenceSession.create, typeof Tensor);\n",
  );
  expectText("import", run("node", ["use.js"], folder), "function function");
  console.log(`${packed[0].filename}: ${packed[0].entryCount} files, ${packed[0].size} bytes`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(command, args, cwd) {
  return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", 2] });
}

function expectText(what, output, text) {
  if (!output.includes(text)) throw new Error(`${what}: "${text}" is not in\n${output}`);
}
