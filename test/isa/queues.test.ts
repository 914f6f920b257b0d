import { describe, expect, it } from "vitest";
import { disassemble } from "../../src/isa/disassemble.js";
import type { Program } from "../../src/isa/program.js";
import { sitesOf } from "../../src/isa/sites.js";
import { verifyContents } from "../../src/isa/verify-contents.js";
import { verifyQueues } from "../../src/isa/verify-queues.js";
import { verifyStructure } from "../../src/isa/verify-structure.js";
import { checkQueues } from "../support/queue-checker.js";
import { randomQueues } from "../support/random-queues.js";

const launches = [
  [0, 0],
  [1, 1],
  [0, 3],
  [2, 1],
  [3, 5],
  [5, 4],
  [-7, 2],
];

function isAccepted(program: Program): boolean {
  if (verifyStructure(program, undefined).length > 0) return false;
  const sites = sitesOf(program);
  return verifyQueues(program, sites).length === 0 && verifyContents(program, sites).length === 0;
}

describe("the structural verifier of queues", () => {
  it.each([0, 1])("accepts nothing that goes wrong in plain order (part %i)", (part) => {
    let accepted = 0;
    let rejected = 0;
    for (let seed = part * 1200; seed < (part + 1) * 1200; seed++) {
      const { program } = randomQueues(seed);
      if (!isAccepted(program)) {
        rejected++;
        continue;
      }
      accepted++;
      for (const scalars of launches) {
        const wrong = checkQueues(program, scalars);
        expect(wrong, `seed ${seed}\n${wrong === undefined ? "" : disassemble(program)}`).toBe(
          undefined,
        );
      }
    }
    expect(accepted).toBeGreaterThan(200);
    expect(rejected).toBeGreaterThan(200);
  });
});
