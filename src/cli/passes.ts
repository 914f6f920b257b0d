/** `lightloom passes`: the stages of the compiler in order, by the names that --print-after takes. */
import { borderPasses, graphPasses, stageNames } from "../compiler/pipeline.js";
import { command } from "./options.js";
import { printJson, printTable } from "./output.js";

const phases: Readonly<Record<string, string>> = {
  import: "the ONNX model becomes a graph of core operations, shapes and constants folded",
  partition: "what the device cannot do becomes regions for the host",
  tile: "groups of operations become kernels, by plans that a cost model picks",
  place: "buffers get addresses in device memory",
  emit: "kernels become programs with queues, and a schedule",
};

export function passesCommand() {
  return command("passes", "list the compiler's stages in order").action((options) => {
    const reasons = new Map<string, string>([
      ...Object.entries(phases),
      ...[...graphPasses, ...borderPasses].map(({ name, why }) => [name, why] as const),
    ]);
    const rows = stageNames.map((name) => ({ name, why: reasons.get(name) ?? "" }));
    if (options.json) printJson(rows);
    else
      printTable(
        ["stage", "why"],
        rows.map(({ name, why }) => [name, why]),
      );
  });
}
