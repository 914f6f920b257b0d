/** `lightloom machines`: what code can be compiled for, and what is described for planning. */
import {
  type Machine,
  peakOperationsPerSecond,
  tensorTypes,
  tileCount,
} from "../target/machine.js";
import { machines } from "../target/machines.js";
import { command, machineNamed } from "./options.js";
import { print, printJson, printTable } from "./output.js";

export function machinesCommand() {
  return command("machines", "list the machines, or show one as data")
    .argument("[name]", "a machine's name or a .json file")
    .action(async (name, options) => {
      if (name !== undefined) {
        const machine = await machineNamed(name);
        if (options.json) printJson(machine);
        else print(JSON.stringify(machine, undefined, 2));
      } else if (options.json) printJson(machines);
      else printTable(["name", "tiles", "TFLOPS", "kind", "about"], machines.map(rowOf));
    });
}

function rowOf(machine: Machine): readonly (string | number)[] {
  const peaks = tensorTypes.flatMap((type) => peakOperationsPerSecond(machine, type) ?? []);
  const tiles = machine.kind === "device" ? `${tileCount(machine)}` : "-";
  const tera = `${Number((Math.max(...peaks) / 1e12).toPrecision(3))}`;
  const kind = machine.kind === "device" ? "compiles" : "planning";
  return [machine.name, tiles, tera, kind, machine.about];
}
