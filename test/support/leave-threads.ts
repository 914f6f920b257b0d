/** A process that shares launches with a worker and ends without releasing anything (test/runtime/threads.test.ts). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assemble } from "../../src/isa/assemble.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { bytesOf, launch } from "./programs.js";
import { untilShared, watchedPool } from "./threaded.js";

const pool = watchedPool(2);
const engine = createJitEngine({ pool });
const program = assemble(readFileSync(join(import.meta.dirname, "../cases/asm/long.s"), "utf8"));
const memory = engine.allocate(bytesOf(program));
await untilShared(pool, 1, () => launch(engine, program, [[3]], [], memory));
process.stdout.write("shared\n");
