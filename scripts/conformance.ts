/**
 * Runs ONNX's conformance tests in ../shared and writes docs/conformance.md: by operator, how many cases pass on the
 * accelerator or with help of the host, what is refused, and why.
 *
 *   npm run conformance
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runConformance } from "./conformance/run.js";
import { conformancePage } from "./docs/conformance-page.js";

const path = fileURLToPath(new URL("../docs/conformance.md", import.meta.url));
writeFileSync(path, conformancePage(await runConformance()));
console.log(`wrote ${path}`);
