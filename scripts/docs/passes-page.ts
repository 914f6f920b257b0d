/** docs/passes.md: the stages of the compiler in order. */
import {
  borderPasses,
  type GraphPass,
  graphPasses,
  stageNames,
} from "../../src/compiler/pipeline.js";
import { page, table } from "./markdown.js";

const phases: Readonly<Record<string, readonly [file: string, why: string]>> = {
  import: [
    "src/compiler/1-import/import.ts",
    "an ONNX model becomes a graph of core operations, shapes and constants folded",
  ],
  partition: [
    "src/compiler/3-partition/partition.ts",
    "what the device cannot do becomes regions for the host, with the reason",
  ],
  tile: [
    "src/compiler/4-tile/tile.ts",
    "operations become groups, groups kernels, by plans that a cost model picks",
  ],
  place: ["src/compiler/5-place/place-graph.ts", "buffers get addresses in device memory"],
  emit: ["src/compiler/6-emit/schedule.ts", "kernels become programs with queues, and a schedule"],
};

export function passesPage(): string {
  const passes = new Map<string, readonly [file: string, why: string]>([
    ...rowsOf("2-optimize", graphPasses),
    ...rowsOf("3-partition", borderPasses),
  ]);
  const rows = stageNames.map((name) => {
    const [file, why] = phases[name] ?? passes.get(name)!;
    return [`\`${name}\``, `[${file}](../${file})`, why];
  });
  return page(
    "Passes",
    "src/compiler/pipeline.ts",
    "The stages of the compiler in order. `lightloom compile MODEL --print-after NAME` prints what a stage hands on, " +
      "`--stop-after NAME` stops there.",
    table(["stage", "file", "why"], rows),
  );
}

function rowsOf(phase: string, passes: readonly GraphPass[]) {
  return passes.map(
    ({ name, why }) => [name, [`src/compiler/${phase}/${name}.ts`, why] as const] as const,
  );
}
