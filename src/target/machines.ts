/** The machines that come with Lightloom, and how a name finds one. */
import { fail } from "../support/diagnostic.js";
import { didYouMean } from "../support/suggest.js";
import type { DeviceMachine, Machine } from "./machine.js";
import { a100 } from "./machines/a100.js";
import { dgxH100 } from "./machines/dgx-h100.js";
import { dgxH200 } from "./machines/dgx-h200.js";
import { mini, mini32 } from "./machines/mini.js";
import { pf1Pod16 } from "./machines/pf1-pod16.js";
import { pf1Pod256 } from "./machines/pf1-pod256.js";
import { pf1 } from "./machines/pf1.js";

export const machines: readonly Machine[] = [
  pf1,
  pf1Pod16,
  pf1Pod256,
  mini,
  mini32,
  dgxH100,
  dgxH200,
  a100,
];

export function findMachine(name: string): Machine {
  const machine = machines.find((candidate) => candidate.name === name);
  if (machine !== undefined) return machine;
  const names = machines.map((candidate) => candidate.name);
  fail("L0701", `there is no machine "${name}"`, {
    notes: [`machines: ${names.join(", ")}`],
    ...didYouMean(name, names),
  });
}

/** A machine that code can be compiled for. */
export function findDevice(name: string): DeviceMachine {
  const machine = findMachine(name);
  if (machine.kind === "device") return machine;
  const devices = machines.filter(({ kind }) => kind === "device").map((device) => device.name);
  fail("L0701", `machine "${name}" is described for planning only, no code can be made for it`, {
    hint: `choose one of ${devices.join(", ")}`,
  });
}
