/**
 * What the partition weighs, in seconds and from the machine file alone: a node on the device, the same on the host,
 * a copy between them. Rough on purpose: peak rates and full bandwidths, so that a difference says something only
 * where it is large. Dims count at their maximum.
 */
import { type Dim, dimMax } from "../../ir/dim.js";
import type { Node, Value } from "../../ir/graph.js";
import { byteLength, deviceDTypes } from "../../numerics/dtype.js";
import {
  type DeviceMachine,
  peakOperationsPerSecond,
  tensorTypeOf,
  tileCount,
} from "../../target/machine.js";

/** Without launching. */
export function deviceSeconds(node: Node, machine: DeviceMachine): number {
  const operations = operationsOf(node) / deviceRate(node, machine);
  return Math.max(operations, bytesOf(node) / machine.hbm.bytesPerSecond);
}

export function hostSeconds(node: Node, { host }: DeviceMachine): number {
  const operations = operationsOf(node) / host.operationsPerSecond;
  return Math.max(operations, bytesOf(node) / host.memoryBytesPerSecond);
}

/** One copy, in either direction. */
export function copySeconds(value: Value, { host }: DeviceMachine): number {
  return host.latencyNs * 1e-9 + valueBytes(value) / host.bytesPerSecond;
}

export function launchSeconds({ launch }: DeviceMachine): number {
  return launch.overheadNs * 1e-9;
}

/** Rows that data decide upon: boxes, tokens, frames. */
const rowsAssumed = 256;

/**
 * Constant elements for which what follows a data-dependent shape is worth a part of its own: a product with so many
 * takes the host as long as the two copies that the cut costs.
 */
export function weightsWorthCutting({ host }: DeviceMachine): number {
  const copies = 2 * host.latencyNs * 1e-9;
  return (copies * host.operationsPerSecond) / (2 * rowsAssumed);
}

function deviceRate({ op, inputs }: Node, machine: DeviceMachine): number {
  const dtype = inputs[0]?.dtype;
  const stored = deviceDTypes.find((known) => known === dtype);
  if (op.kind === "contract" && stored !== undefined)
    return peakOperationsPerSecond(machine, tensorTypeOf(stored))!;
  return tileCount(machine) * machine.vector.lanes * machine.clock.frequencyHz;
}

/** Two per position of a contraction, the length of the lane program per element of a map, else one per element. */
function operationsOf(node: Node): number {
  const { op, inputs, outputs } = node;
  if (op.kind === "contract") return 2 * positions(op, inputs);
  const perElement = op.kind === "map" ? op.program.instructions.length : 1;
  return perElement * Math.max(0, ...[...inputs, ...outputs].map(elementsOf));
}

function positions(
  op: { readonly a: string; readonly b: string },
  [a, b]: readonly Value[],
): number {
  const extents = new Map<string, Dim>();
  [...op.a].forEach((label, axis) => extents.set(label, a!.shape[axis]!));
  [...op.b].forEach((label, axis) => extents.set(label, b!.shape[axis]!));
  return count([...extents.values()]);
}

function bytesOf({ inputs, outputs }: Node): number {
  return [...inputs, ...outputs].reduce((sum, value) => sum + valueBytes(value), 0);
}

function valueBytes(value: Value): number {
  return byteLength(value.dtype, elementsOf(value));
}

/** Of a value whose shape only the run shows, none: there is nothing to go by. */
function elementsOf({ shape, unknownShape }: Value): number {
  return unknownShape === true ? 0 : count(shape);
}

function count(dims: readonly Dim[]): number {
  return dims.reduce((n: number, dim) => n * dimMax(dim), 1);
}
