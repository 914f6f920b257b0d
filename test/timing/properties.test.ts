/** What must hold for every program: random ones, of all forms that the machine has. */
import { describe, expect, it } from "vitest";
import { operationsOf } from "../../src/sim/timing/operation.js";
import { type KernelTiming, type TimingOptions, timeProgram } from "../../src/sim/timing/timing.js";
import { macsOf } from "../../src/sim/timing/tally.js";
import type { TraceEvent } from "../../src/sim/timing/trace.js";
import type { DeviceMachine } from "../../src/target/machine.js";
import { mini } from "../../src/target/machines/mini.js";
import { pf1 } from "../../src/target/machines/pf1.js";
import { plainOrder } from "../support/plain-order.js";
import { randomProgram } from "../support/random-program.js";

const seeds = Array.from({ length: 250 }, (_, seed) => seed);
const programs = seeds.map((seed) => randomProgram(seed));

function timed(seed: number, options?: TimingOptions, machine: DeviceMachine = mini): KernelTiming {
  const { program, scalars } = programs[seed]!;
  return timeProgram(program, machine, scalars, options);
}

function nameOf(seed: number): string {
  return `seed ${seed}`;
}

function outcome({ cycles, engines, tally }: KernelTiming) {
  return { cycles, engines, tally };
}

describe("random programs", () => {
  it("end, and every engine's cycles add up to all cycles of all members", () => {
    for (const seed of seeds) {
      const { cycles, members, engines } = timed(seed);
      expect(Number.isSafeInteger(cycles)).toBe(true);
      for (const { cycles: causes, busiest } of engines) {
        const sum = Object.values(causes).reduce((a, b) => a + b, 0);
        expect(sum, nameOf(seed)).toBe(cycles * members);
        expect(busiest.moving).toBeLessThanOrEqual(cycles);
        expect(Object.values(causes).every((n) => Number.isInteger(n) && n >= 0)).toBe(true);
      }
    }
  });

  it("take the same time when members are stepped one by one", () => {
    let merged = 0;
    for (const seed of seeds) {
      const whole = timed(seed, { merge: false });
      const timing = timed(seed);
      expect(outcome(timing), nameOf(seed)).toEqual(outcome(whole));
      if (timing.effort.classes < whole.effort.classes) merged++;
    }
    // Periods are multiplied in `periods.test.ts`: programs as short as these hardly have any.
    expect(merged).toBeGreaterThan(50);
  });

  it("run as many instructions as plain order, and as many multiply-accumulates on any machine", () => {
    for (const seed of seeds) {
      const { program, scalars } = programs[seed]!;
      const issues = plainOrder(program, scalars);
      const instances = issues.reduce((n, { members }) => n + members.size, 0);
      const timing = timed(seed);
      expect(timing.tally.instructions, nameOf(seed)).toBe(instances);
      expect(macsOf(timed(seed, {}, pf1).tally)).toBe(macsOf(timing.tally));
    }
  });

  it("are traced: each instruction once per member, none before its engine's last has left", () => {
    for (const seed of seeds.slice(0, 150)) {
      const events: TraceEvent[] = [];
      const timing = timed(seed, { onEvent: (event) => void events.push(event) });
      const instances = events.reduce((n, { members }) => n + members.length, 0);
      expect(instances).toBe(timing.tally.instructions);
      expect(Math.max(0, ...events.map(({ done }) => done))).toBe(timing.cycles);
      const { program } = programs[seed]!;
      expect(operationsOf(program).length).toBeGreaterThan(
        Math.max(...events.map((e) => e.instruction)),
      );
      const ends = new Map<string, number>();
      for (const { engine, members, issue, start, end, done } of events) {
        for (const member of members) {
          const key = `${member} ${JSON.stringify(engine)}`;
          expect(start, nameOf(seed)).toBeGreaterThanOrEqual(ends.get(key) ?? 0);
          ends.set(key, end);
        }
        expect(issue <= start && start <= end && end <= done).toBe(true);
      }
    }
  });

  /**
   * Where streams share the memory, one that begins earlier may slow another down that more depends on, so a faster
   * part may cost a few cycles. Where nothing is shared nothing gets slower.
   */
  it("are no slower with faster parts, and fastest where memory and links are no limit", () => {
    const limitless: DeviceMachine = {
      ...mini,
      hbm: { ...mini.hbm, bytesPerSecond: 1e15 },
      network: { ...mini.network, bytesPerCycle: 1e6 },
    };
    const { channels, hbm, vector, network } = limitless;
    const faster: readonly DeviceMachine[] = [
      { ...limitless, hbm: { ...hbm, latencyNs: 20 } },
      { ...limitless, channels: { ...channels, outstandingBytes: 65_536 } },
      { ...limitless, channels: { ...channels, elementsPerCycle: 64, runOverheadBytes: 0 } },
      { ...limitless, vector: { ...vector, lanes: 64, startCycles: 4 } },
      { ...limitless, network: { ...network, hopCycles: 1 } },
    ];
    for (const seed of seeds) {
      const { cycles } = timed(seed, {}, limitless);
      expect(cycles, nameOf(seed)).toBeLessThanOrEqual(timed(seed).cycles);
      for (const machine of faster) {
        expect(timed(seed, {}, machine).cycles, nameOf(seed)).toBeLessThanOrEqual(cycles);
      }
    }
  });
});
