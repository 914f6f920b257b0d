import { describe, expect, it } from "vitest";
import { timeProgram } from "../../src/sim/timing/timing.js";
import { mini } from "../../src/target/machines/mini.js";
import { randomProgram } from "../support/random-program.js";
import { slowCycles } from "../support/slow-timing.js";

describe("random programs without deliveries", () => {
  it("take as many cycles as counted one by one", () => {
    let covered = 0;
    for (let seed = 0; seed < 150; seed++) {
      const { program, scalars } = randomProgram(seed);
      const machine = {
        ...mini,
        hbm: { ...mini.hbm, bytesPerSecond: seed % 2 === 0 ? 50e9 : 3.3e9 },
        channels: { ...mini.channels, outstandingBytes: [4096, 300, 1000][seed % 3]! },
      };
      const slow = slowCycles(program, machine, scalars);
      if (slow === undefined) continue;
      covered++;
      expect(timeProgram(program, machine, scalars).cycles, `seed ${seed}`).toBe(slow);
    }
    expect(covered).toBeGreaterThan(50);
  });
});
