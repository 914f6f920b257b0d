import { describe, expect, test } from "vitest";
import { DiagnosticError, formatDiagnostic } from "../../src/support/diagnostic.js";
import { type Machine, peakOperationsPerSecond, tileCount } from "../../src/target/machine.js";
import { findDevice, findMachine, machines } from "../../src/target/machines.js";
import { mini, mini32 } from "../../src/target/machines/mini.js";
import { pf1 } from "../../src/target/machines/pf1.js";
import { pf1Pod16 } from "../../src/target/machines/pf1-pod16.js";
import { parseMachine } from "../../src/target/schema.js";
import { validateMachine } from "../../src/target/validate.js";

const messages = (machine: Machine) => validateMachine(machine).map((d) => d.message);

function thrown(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics.map(formatDiagnostic).join("\n");
    throw error;
  }
  return "nothing";
}

describe.each(machines.map((machine) => [machine.name, machine] as const))(
  "%s",
  (name, machine) => {
    test("is consistent", () => expect(messages(machine)).toEqual([]));
    test("is found by its name", () => expect(findMachine(name)).toBe(machine));
    test("survives its own JSON", () => {
      expect(parseMachine(JSON.parse(JSON.stringify(machine)))).toEqual(machine);
    });
  },
);

test("names are unique", () => {
  expect(new Set(machines.map((machine) => machine.name)).size).toBe(machines.length);
});

test("pf1 has the peak of an H100, within 1 %", () => {
  expect(Math.abs(peakOperationsPerSecond(pf1, "bf16")! / 989e12 - 1)).toBeLessThan(0.01);
  expect(Math.abs(peakOperationsPerSecond(pf1, "f8")! / 1979e12 - 1)).toBeLessThan(0.01);
  expect(peakOperationsPerSecond(pf1, "f32")).toBe(peakOperationsPerSecond(pf1, "bf16")! / 4);
  expect(peakOperationsPerSecond(findMachine("a100"), "f8")).toBeUndefined();
});

test("the test twins are small and do not divide evenly", () => {
  expect(tileCount(mini)).toBe(4);
  expect(tileCount(mini32)).toBe(6);
});

test("an unknown machine is refused with the nearest name", () => {
  expect(thrown(() => findMachine("pf1-pod61"))).toBe(
    [
      'L0701: there is no machine "pf1-pod61"',
      "  note: machines: pf1, pf1-pod16, pf1-pod256, mini, mini32, dgx-h100, dgx-h200, a100",
      '  hint: Did you mean "pf1-pod16"?',
    ].join("\n"),
  );
  expect(thrown(() => findMachine("tensorflow"))).not.toContain("Did you mean");
});

test("no code is made for a roofline machine", () => {
  expect(thrown(() => findDevice("a100"))).toBe(
    [
      'L0701: machine "a100" is described for planning only, no code can be made for it',
      "  hint: choose one of pf1, pf1-pod16, pf1-pod256, mini, mini32",
    ].join("\n"),
  );
  expect(findDevice("mini")).toBe(mini);
});

describe("contradictions are named", () => {
  test.each<[string, Machine, string]>([
    [
      "scratchpad too small",
      { ...mini, l1: { ...mini.l1, bytes: 16384 } },
      "mini: l1.bytes is 16384, but double-buffering two operands and a result of 32 x 32 fp32 takes 24576 bytes",
    ],
    [
      "accumulators too small",
      { ...mini, accumulators: { ...mini.accumulators, bytes: 8192 } },
      "mini: accumulators.bytes is 8192, but two blocks of 32 x 32 cells of 8 bytes take 16384",
    ],
    [
      "vector port too narrow",
      { ...mini, vector: { ...mini.vector, lanes: 64 } },
      "mini: l1.portBytesPerCycle is 128, but 64 lanes read 256 bytes per cycle",
    ],
    [
      "too few load channels",
      { ...mini, channels: { ...mini.channels, load: 1 } },
      "mini: channels.load is 1, but both operands need one of their own",
    ],
    [
      "memory out of reach",
      { ...pf1, channels: { ...pf1.channels, outstandingBytes: 8192 } },
      "pf1: 4 load channels with 8192 bytes outstanding over 320 ns reach 102.4 GB/s, less than a tile's share of memory (209.4 GB/s)",
    ],
    [
      "devices without a port",
      { ...pf1Pod16, topology: { ...pf1Pod16.topology, devices: 17 } },
      "pf1-pod16: topology has 17 devices, but 1 x 16 ports of appliances",
    ],
    [
      "no fabric",
      { ...pf1Pod16, fabric: { ...pf1.fabric, ports: 0 } },
      "pf1-pod16: topology needs the fabric, but fabric.ports is 0",
    ],
    [
      "devices out of reach",
      { ...findMachine("a100"), devices: 16 } as Machine,
      "a100: 16 devices, but the links join 4",
    ],
    [
      "curve out of order",
      {
        ...findMachine("a100"),
        efficiency: {
          memory: [[1, 1]],
          contraction: [
            [2, 1],
            [1, 1],
          ],
        },
      } as unknown as Machine,
      "a100: efficiency.contraction: sizes do not ascend",
    ],
  ])("%s", (_, machine, message) => {
    expect(messages(machine)).toEqual([message]);
  });

  test("fields that are missing, unknown or out of range are all reported", () => {
    const { clock: _, ...rest } = mini;
    const broken = { ...rest, color: "blue", tile: { rows: 0, columns: 2.5 } };
    expect(thrown(() => parseMachine(broken, "mine.json")).split("\n")).toEqual([
      "L0702: the machine description lacks fields or has wrong ones",
      "  file: mine.json",
      expect.stringMatching(/note: clock: .*expected object/),
      expect.stringMatching(/note: tile.rows: /),
      expect.stringMatching(/note: tile.columns: .*expected int/),
      expect.stringMatching(/note: machine: .*"color"/),
    ]);
  });
});
