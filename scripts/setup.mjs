/**
 * Brings a fresh clone to where it runs: installs what package-lock.json names and builds dist/, each only if it
 * is missing or out of date. Run by `npm test` and by the launcher `./lightloom`. Uses Node and npm alone, since
 * nothing else is there yet.
 *
 *   node scripts/setup.mjs            says what it does, if there is something to do
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const builtPath = join(root, "dist/cli/main.js");

export function setUp() {
  if (!isInstalled()) {
    // The GPU libraries that onnxruntime-node would download are not needed: it only checks results.
    run("npm", ["install", "--no-audit", "--no-fund"], { ONNXRUNTIME_NODE_INSTALL: "skip" });
  }
  if (isBuilt()) return;
  run("npm", ["run", "--silent", "build"], {});
  // The compiler leaves files alone that would not change.
  utimesSync(builtPath, new Date(), new Date());
}

/** Whether every package of the lock file is there in its version (optional ones are for other systems). */
function isInstalled() {
  const installedPath = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installedPath)) return false;
  const wanted = packagesOf(join(root, "package-lock.json"));
  const installed = packagesOf(installedPath);
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === "" || entry.optional === true || installed[path]?.version === entry.version,
  );
}

function packagesOf(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}

/** Whether dist/ is newer than everything that it is made of. */
function isBuilt() {
  if (!existsSync(builtPath)) return false;
  const sources = [...filesUnder(join(root, "src")), join(root, "tsconfig.build.json")];
  const builtMs = statSync(builtPath).mtimeMs;
  return sources.every((path) => statSync(path).mtimeMs <= builtMs);
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** Everything it prints goes to stderr: stdout belongs to the command that follows. */
function run(command, args, variables) {
  process.stderr.write(`lightloom: ${command} ${args.join(" ")}\n`);
  const { status } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...variables },
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    process.stderr.write(`lightloom: ${command} ${args.join(" ")} failed\n`);
    process.exit(1);
  }
}

if (resolve(process.argv[1] ?? "") === fileURLToPath(import.meta.url)) setUp();
