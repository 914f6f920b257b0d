/** Lifetimes of a tiled graph's storage roots, and their placement. */
import type { DeviceMachine } from "../../target/machine.js";
import type { Value } from "../../ir/graph.js";
import { fail, InternalError } from "../../support/diagnostic.js";
import type { PlacedGraph, StorageRoot, TiledGraph, TiledStep } from "../tiled.js";
import { checkPlacement } from "./check.js";
import { place, type PlacementRequest, sizeBytes } from "./place.js";

export function placeGraph(tiled: TiledGraph, machine: DeviceMachine): PlacedGraph {
  const lives = lifetimes(tiled);
  // An input is written before the first step, even if it lies in what a step will write the rest of.
  const ends = [...tiled.graph.inputs, ...tiled.graph.outputs.map((output) => output.value)];
  const held = new Set(ends.map((value) => tiled.storage(value)?.root));
  const requests = tiled.roots.map((root): PlacementRequest => {
    const life = root.kind === "temporary" && !held.has(root) ? lives.get(root) : undefined;
    return { ...root, ...(life === undefined ? {} : { life }) };
  });
  const placement = place(requests);
  const problems = checkPlacement(requests, placement);
  if (problems.length > 0) throw new InternalError(`placement: ${problems.join("; ")}`);
  if (placement.totalBytes > machine.hbm.capacityBytes)
    tooLarge(tiled, placement.totalBytes, machine);
  return {
    tiled,
    offsetsBytes: placement.offsetsBytes,
    sizesBytes: requests.map(sizeBytes),
    memoryBytes: placement.totalBytes,
  };
}

/** From the first step that touches a root to after the last. */
function lifetimes(tiled: TiledGraph): Map<StorageRoot, { begin: number; end: number }> {
  const lives = new Map<StorageRoot, { begin: number; end: number }>();
  tiled.steps.forEach((step, at) => {
    for (const root of touched(tiled, step)) {
      const life = lives.get(root);
      if (life === undefined) lives.set(root, { begin: at, end: at + 1 });
      else life.end = at + 1;
    }
  });
  return lives;
}

function touched(tiled: TiledGraph, step: TiledStep): StorageRoot[] {
  const rootsOf = (values: readonly Value[]): StorageRoot[] =>
    values.map((v) => tiled.storage(v)?.root).filter((root) => root !== undefined);
  switch (step.kind) {
    case "launch":
      return step.written.bindings.map((binding) => binding.storage.root);
    case "host":
      return rootsOf(step.node.inputs);
    case "upload":
      return rootsOf([step.value]);
    default:
      return step satisfies never;
  }
}

function tooLarge(tiled: TiledGraph, totalBytes: number, machine: DeviceMachine): never {
  const largest = [...tiled.roots].sort((a, b) => b.elements - a.elements).slice(0, 3);
  return fail(
    "L0401",
    `the model needs ${totalBytes} bytes of device memory, machine "${machine.name}" has ${machine.hbm.capacityBytes}`,
    {
      notes: largest.map(
        (root) => `"${root.name}" (${root.kind}) has ${root.elements} ${root.dtype} elements`,
      ),
      hint: "lower the maximum of symbolic dimensions, use --precision bf16, or a machine with more memory",
    },
  );
}
