/** Lifetimes of a tiled graph's storage roots, and their placement. */
import type { DeviceMachine } from "../../target/machine.js";
import type { Value } from "../../ir/graph.js";
import { fail, InternalError } from "../../support/diagnostic.js";
import {
  everyTiledStep,
  type PlacedGraph,
  type StorageRoot,
  type TiledGraph,
  type TiledLoop,
  type TiledStep,
} from "../tiled.js";
import { checkPlacement } from "./check.js";
import { place, type PlacementRequest, sizeBytes } from "./place.js";

export function placeGraph(tiled: TiledGraph, machine: DeviceMachine): PlacedGraph {
  const lives = lifetimes(tiled);
  // An input is written before the first step, even if it lies in what a step will write the rest of.
  const ends = [...tiled.graph.inputs, ...tiled.graph.outputs.map((output) => output.value)];
  const held = new Set(ends.map((value) => tiled.storage(value)?.root));
  for (const pair of exchangedRoots(tiled)) {
    const isHeld = pair.some((root) => held.has(root) || root.kind !== "temporary");
    if (isHeld) for (const root of pair) held.add(root);
  }
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

interface Life {
  begin: number;
  end: number;
}

/**
 * From the first step that touches a root to after the last, steps numbered as they stand, those of bodies too. What
 * is alive at the beginning or at the end of a loop is alive all through it. Roots that change places live alike.
 */
function lifetimes(tiled: TiledGraph): Map<StorageRoot, Life> {
  const lives = new Map<StorageRoot, Life>();
  let at = 0;
  const touch = (roots: readonly (StorageRoot | undefined)[]): void => {
    for (const root of roots) {
      if (root === undefined) continue;
      const life = lives.get(root);
      if (life === undefined) lives.set(root, { begin: at, end: at + 1 });
      else life.end = at + 1;
    }
    at++;
  };
  const visit = (step: TiledStep): void => {
    const begin = at;
    touch(touched(tiled, step));
    if (step.kind !== "if" && step.kind !== "loop") return;
    for (const body of step.bodies) for (const inner of body) visit(inner);
    if (step.kind === "if") return;
    touch(heldBy(tiled, step));
    for (const life of lives.values()) {
      const isInside = life.begin >= begin && life.end < at;
      if (life.end <= begin || isInside) continue;
      life.begin = Math.min(life.begin, begin);
      life.end = Math.max(life.end, at);
    }
  };
  for (const step of tiled.steps) visit(step);
  for (const [one, other] of exchangedRoots(tiled)) {
    const [a, b] = [lives.get(one)!, lives.get(other)!];
    const life = { begin: Math.min(a.begin, b.begin), end: Math.max(a.end, b.end) };
    lives.set(one, life).set(other, life);
  }
  return lives;
}

function exchangedRoots(tiled: TiledGraph): readonly (readonly [StorageRoot, StorageRoot])[] {
  return everyTiledStep(tiled.steps).flatMap((step) =>
    step.kind === "loop" ? step.states.filter((pair) => pair !== undefined) : [],
  );
}

/** What a loop needs from one trip to the next. */
function heldBy(
  tiled: TiledGraph,
  { node, states, scans }: TiledLoop,
): (StorageRoot | undefined)[] {
  const { op } = node;
  const body = op.kind === "loop" ? op.bodies[0]! : undefined;
  const given = body?.outputs.map((output) => output.value) ?? [];
  const condition = op.kind === "loop" && op.condition ? given[0] : undefined;
  return [
    ...states.flat(),
    ...scans,
    ...rootsOf(tiled, condition === undefined ? [] : [condition]),
  ];
}

function rootsOf(tiled: TiledGraph, values: readonly Value[]): (StorageRoot | undefined)[] {
  return values.map((value) => tiled.storage(value)?.root);
}

function touched(tiled: TiledGraph, step: TiledStep): (StorageRoot | undefined)[] {
  switch (step.kind) {
    case "launch":
      return step.written.bindings.map((binding) => binding.storage.root);
    case "host":
      return rootsOf(tiled, step.node.inputs);
    case "upload":
    case "download":
      return rootsOf(tiled, [step.value]);
    case "if":
      return rootsOf(tiled, [...step.node.inputs.slice(0, 1), ...step.node.outputs]);
    case "loop":
      return [...rootsOf(tiled, step.node.inputs.slice(0, 1)), ...heldBy(tiled, step)];
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
