/**
 * Control flow in phase 4: bodies become steps within a step, and what they give is written to where the results
 * belong. A state has two storages that change places after every trip: a trip reads one and writes the other. What is
 * scanned is written to its part of the whole, which begins at a dim that the index gives.
 */
import { bodyOperands, conditionOf, tripResults, tripsOf } from "../../ir/control.js";
import { type Dim, dimAdd, dimMul, dimSub, symbolDim } from "../../ir/dim.js";
import type { Graph, IfOperation, LoopOperation, LoopScan, Node, Value } from "../../ir/graph.js";
import type { Storage, TiledLoop, TiledStep } from "../tiled.js";
import { isStored, like, natural, type StorageMap } from "./storage.js";

/** What tiling a body needs of the tiling around it; `tile.ts` has it. */
export interface ControlTiling {
  readonly storages: StorageMap;
  readonly hostValues: Set<Value>;
  push(step: TiledStep): void;
  /** Copies a value into a storage. */
  copy(value: Value, to: Storage): void;
  openBody(body: Graph, options: BodyOptions): BodyTiling;
}

export interface BodyOptions {
  /** Inputs of the body as what they are outside. */
  readonly captured: ReadonlyMap<Value, Value>;
  /** Where results are written, unless the host makes them. */
  readonly places: ReadonlyMap<Value, Storage>;
}

export interface BodyTiling {
  readonly steps: readonly TiledStep[];
  /** Where the value is in memory; brings it there if need be. */
  storageOf(value: Value): Storage;
  isOnHost(value: Value): boolean;
  /** Sees to it that a result is where it belongs. */
  settle(value: Value, place: Storage): void;
}

export function tileIf(tiling: ControlTiling, node: Node, op: IfOperation): void {
  const results = node.outputs.map((result) => resultStorage(tiling, result));
  const operands = bodyOperands(op, node.inputs);
  const bodies = op.bodies.map((body, i) => {
    const given = body.outputs.map((output) => output.value);
    const inner = tiling.openBody(body, {
      captured: pairs(body.inputs, operands[i]!),
      places: firstPlaces(given, results),
    });
    settleAll(inner, given, results);
    return inner.steps;
  });
  tiling.push({ kind: "if", node, bodies });
}

export function tileLoop(tiling: ControlTiling, node: Node, op: LoopOperation): void {
  const body = op.bodies[0]!;
  const operands = bodyOperands(op, node.inputs)[0]!;
  const results = tripResults({ ...op, condition: false }, node.outputs);
  const states = results.states.map((result, i) => {
    if (!isStored(result)) {
      tiling.hostValues.add(result).add(body.inputs[i]!);
      return undefined;
    }
    return openState(tiling, { first: operands[i]!, taken: body.inputs[i]!, result });
  });
  const scans = results.scanned.map((whole) => resultStorage(tiling, whole));
  const given = tripResults(
    op,
    body.outputs.map((output) => output.value),
  );
  const parts = given.scanned.map((part, i) => {
    const whole = scans[i];
    return whole && partOf(tiling, part, whole, partStart(op, part, op.scans[i]!), op.scans[i]!);
  });
  const values = [...given.states, ...given.scanned];
  const places = [...states.map((state) => state?.[1]), ...parts];
  const inner = tiling.openBody(body, {
    captured: pairs(body.inputs.slice(op.states), operands.slice(op.states)),
    places: firstPlaces(values, places),
  });
  settleAll(inner, values, places);
  const condition = conditionOf(
    op,
    body.outputs.map((output) => output.value),
  );
  if (op.condition && !inner.isOnHost(condition!)) inner.storageOf(condition!);
  tiling.push({
    kind: "loop",
    node,
    bodies: [inner.steps],
    states: states.map(
      (state): TiledLoop["states"][number] => state && [state[0].root, state[1].root],
    ),
    scans: scans.map((scan) => scan?.root),
  });
}

/** Storage of a result of control flow; undefined where the host has it. */
function resultStorage(tiling: ControlTiling, result: Value): Storage | undefined {
  if (isStored(result)) {
    return tiling.storages.get(result) ?? tiling.storages.allocate(result, natural(result));
  }
  tiling.hostValues.add(result);
  return undefined;
}

interface State {
  readonly first: Value;
  /** As the body's input. */
  readonly taken: Value;
  readonly result: Value;
}

/** The storages of a state: the one to read, which the result has in the end, and the one to write. */
function openState(
  { storages, copy }: ControlTiling,
  { first, taken, result }: State,
): readonly [Storage, Storage] {
  const front = storages.allocate(result, natural(result));
  const { dtype, shape, name } = result;
  const back = storages.allocate({ name: `${name}.next`, dtype, shape }, natural(result));
  storages.alias(taken, front);
  copy(first, front);
  return [front, back];
}

export function partStart(op: LoopOperation, part: Value, { axis, reverse }: LoopScan): Dim {
  const index = symbolDim(op.index);
  const number = reverse ? dimSub(dimAdd(tripsOf(op), -1), index) : index;
  return dimMul(number, part.shape[axis]!);
}

export function partOf(
  { storages }: Pick<ControlTiling, "storages">,
  value: Value,
  whole: Storage,
  start: Dim,
  { axis }: LoopScan,
): Storage {
  return storages.part(like(value), whole, axis, start).storage;
}

/** One place per value: what is given twice is copied to the second. */
function firstPlaces(
  values: readonly Value[],
  places: readonly (Storage | undefined)[],
): ReadonlyMap<Value, Storage> {
  const first = new Map<Value, Storage>();
  values.forEach((value, i) => {
    const place = places[i];
    if (place !== undefined && !first.has(value)) first.set(value, place);
  });
  return first;
}

function settleAll(
  inner: BodyTiling,
  values: readonly Value[],
  places: readonly (Storage | undefined)[],
): void {
  values.forEach((value, i) => {
    const place = places[i];
    if (place !== undefined) inner.settle(value, place);
  });
}

function pairs(inner: readonly Value[], outer: readonly Value[]): ReadonlyMap<Value, Value> {
  return new Map(inner.map((value, i) => [value, outer[i]!]));
}
