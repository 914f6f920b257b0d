/**
 * If, Loop and Scan as core operations with bodies. What a body cannot do on the device is a host operation inside it;
 * a node none of whose bodies has work for the device is declined and stays whole on the host.
 */
import type { GraphBuilder } from "../ir/builder.js";
import { bodiesOf, samePassedType, tripResults } from "../ir/control.js";
import { type Dim, dimAdd, dimMax, dimProduct, dimSub, NeedsBinding } from "../ir/dim.js";
import { requireEqual, symbolsOf } from "../ir/graph-shapes.js";
import type { Graph, LoopOperation, Node, Origin, Value } from "../ir/graph.js";
import {
  isKnown,
  type LoopPlan,
  type LoopTrip,
  makeLoop,
  type TripResults,
  tripsMax,
  valueInBody,
} from "../ir/build/loop-builder.js";
import type { Tensor } from "../numerics/tensor.js";
import { DiagnosticError } from "../support/diagnostic.js";
import { range } from "./helpers.js";
import { Decline, type LowerContext } from "./record.js";
import { scanPlan } from "./scan-plan.js";
import { captured, requireCondition, templateOf } from "./subgraph.js";

type Results = readonly (Value | undefined)[];

/**
 * Both branches. Where the shapes of one do not fit what it is given, the condition had better be known; else that
 * branch stays a node for the host, which says so if it runs.
 */
export function lowerIf(c: LowerContext): Results {
  requireUnknown(c);
  const made = ["then_branch", "else_branch"].map((name) => branchOf(c, name));
  const types = made.find((body) => body !== undefined)?.outputs.map(({ value }) => value);
  if (types === undefined) throw new Decline("neither branch fits what it is given");
  const bodies = made.map((body, i) => body ?? hostBranch(c, i === 0, types));
  const results = () => ifOperation(c, bodies, types);
  if (!made.includes(undefined)) return results();
  throw new Decline("one of its branches does not fit what it is given", c.input(0), results);
}

function ifOperation(
  c: LowerContext,
  bodies: readonly Graph[],
  types: readonly Value[],
): readonly Value[] {
  requireDeviceWork(c, bodies);
  for (const { outputs } of bodies) {
    requireSameTypes(
      outputs.map(({ value }) => value),
      types,
      "its branches give different types",
    );
  }
  const condition = oneOf(c, c.b, c.input(0));
  const operands = [...captured(c.node.attributes, c).values()].filter((value) => !isKnown(value));
  return c.b.control({ kind: "if", bodies }, [condition, ...operands, ...operands]);
}

/** Takes what any of the node's bodies captures, whether this one reads it or not. */
function branchOf(c: LowerContext, attribute: string): Graph | undefined {
  const { b, inside } = openBranch(c);
  try {
    const outputs = inBody(c, () => templateOf(c, attribute).inline(b, inside));
    return b.finish(attribute, named(outputs));
  } catch (error) {
    if (isShapeError(error)) return undefined;
    throw error;
  }
}

function hostBranch(c: LowerContext, condition: boolean, types: readonly Value[]): Graph {
  const { b, inside } = openBranch(c);
  const captures = [...c.node.attributes.values()].flatMap((attribute) =>
    attribute.kind === "graph" ? attribute.value.captures : [],
  );
  const outputs = b.host(
    c.node,
    "the shapes in this branch do not fit what it is given",
    [b.constant(truth(condition)), ...captures.map((name) => inside.get(name))],
    types.map(({ dtype, shape, unknownShape }, i) => ({
      name: `result.${i}`,
      dtype,
      ...(unknownShape ? {} : { shape }),
    })),
  );
  return b.finish("host", named(outputs));
}

function openBranch(c: LowerContext) {
  const b = c.b.inner();
  b.setOrigins(originsOf(c));
  const outer = [...captured(c.node.attributes, c)];
  const inside = new Map(outer.map(([name, value]) => [name, valueInBody(b, name, value)]));
  return { b, inside };
}

function named(outputs: readonly Value[]): { name: string; value: Value }[] {
  return outputs.map((value, i) => ({ name: `out.${i}`, value }));
}

/** The trip number is a symbol of the body; where shapes would depend on it, a state that counts. */
export function lowerLoop(c: LowerContext): Results {
  requireUnknown(c);
  const states = c.inputs.slice(2, c.node.inputNames.length);
  if (!states.every((value) => value !== undefined)) throw new Decline("a state is left out");
  const trips = tripCount(c);
  // A body that never runs need not fit what it is given; what it stacks has its types all the same.
  if (trips === 0 && c.outputCount === states.length) return states;
  const limit = c.inputs[0]?.data === undefined && trips === undefined ? c.inputs[0] : undefined;
  const outer = captured(c.node.attributes, c);
  const plan = (counts: boolean): LoopPlan => {
    const condition = firstCondition(c, limit);
    return {
      ...loopHead(c),
      ...(trips === undefined ? {} : { trips }),
      ...(condition === undefined ? {} : { condition }),
      states: counts ? [...states, c.b.constant(int64(0))] : states,
      captured: limit === undefined ? [...outer.values()] : [...outer.values(), limit],
      body: (b, trip) => loopTrip({ c, b, trip, outer, states, counts, limit }),
    };
  };
  const { op, operands } = withIndex(
    c,
    () => makeLoop(c.b, plan(false)),
    () => makeLoop(c.b, plan(true)),
  );
  if (op.trips === undefined && !op.condition) neverEnds(c);
  requireDeviceWork(c, op.bodies);
  const results = c.b.control(counted(c, op, limit), operands);
  return [...results.slice(0, states.length), ...results.slice(op.states)];
}

export function neverEnds(c: LowerContext): never {
  const hint = "Give the Loop a trip count, or a condition that its body computes.";
  return c.invalid("L0108", "the Loop never ends: its condition stays true", hint);
}

/** With a symbol for the number of its trips, where what it stacks depends on it. */
function counted(c: LowerContext, op: LoopOperation, limit: Value | undefined): LoopOperation {
  if (!op.condition || op.trips === 0 || op.scans.length === 0) return op;
  const most = op.trips === undefined ? Infinity : dimMax(op.trips);
  const parts = tripResults(op, op.bodies[0]!.outputs).scanned;
  const sizes = parts.map(({ value }) => most * dimMax(dimProduct(value.shape)));
  const fits = sizes.every((elements) => elements <= stackedElementsMax);
  const count = fits ? c.b.openCount("trips", most) : undefined;
  if (count === undefined) throw new Decline("how many parts it stacks depends on data", limit);
  return { ...op, count };
}

/** Memory is laid out for all trips that there can be, of which a run may make few. */
const stackedElementsMax = 2 ** 24;

interface LoopBody {
  readonly c: LowerContext;
  readonly b: GraphBuilder;
  readonly trip: LoopTrip;
  readonly outer: ReadonlyMap<string, Value>;
  readonly states: readonly Value[];
  /** Whether the last state is the number of the trip. */
  readonly counts: boolean;
  /** Trips at most, where only the run shows it; the last captured value is it. */
  readonly limit: Value | undefined;
}

function loopTrip({ c, b, trip, outer, states, counts, limit }: LoopBody): TripResults {
  const template = templateOf(c, "body");
  const number = counts ? trip.states.at(-1)! : b.dims([trip.index], { scalar: true });
  const inputs = [number, b.constant(truth(true)), ...trip.states];
  const inside = new Map([...outer.keys()].map((name, i) => [name, trip.captured[i]!]));
  template.inputNames.forEach((name, i) => inside.set(name, inputs[i]!));
  const [condition, ...results] = template.inline(b, inside);
  const next = results.slice(0, states.length);
  requireSameTypes(next, states, "a state changes its type or shape");
  const own = counts ? [...next, increment(b, number)] : next;
  const after = counts ? own.at(-1)! : b.dims([dimAdd(trip.index, 1)], { scalar: true });
  return {
    condition:
      limit === undefined
        ? oneOf(c, b, condition!)
        : isBelow(b, after, trip.captured.at(-1)!, oneOf(c, b, condition!)),
    states: own,
    scanned: results.slice(states.length).map((x) => {
      void rankOf(x);
      return { part: b.unsqueeze(x, [0]), axis: 0, reverse: false };
    }),
  };
}

function increment(b: GraphBuilder, number: Value): Value {
  const one = b.constant(int64(1));
  return b.map("i64", [number, one], (l, x, y) => l.addI(x!, y!));
}

/** One bool, whatever its rank. */
function oneOf(c: LowerContext, b: GraphBuilder, condition: Value): Value {
  if (condition.unknownShape) throw new Decline("the shape of its condition depends on data");
  requireCondition(c, condition);
  return b.reshape(condition, []);
}

function isBelow(b: GraphBuilder, number: Value, limit: Value, condition: Value): Value {
  const inputs = [b.reshape(number, []), b.reshape(limit, []), condition];
  return b.map("bool", inputs, (l, n, most, go) => l.and(l.ltI(n!, most!), go!));
}

/** Undefined where it goes on in any case. */
function firstCondition(c: LowerContext, limit: Value | undefined): Value | undefined {
  const first = c.inputs[1] === undefined ? undefined : oneOf(c, c.b, c.inputs[1]);
  if (limit === undefined) return first;
  return isBelow(c.b, c.b.constant(int64(0)), limit, first ?? c.b.constant(truth(true)));
}

/** Trips at most as far as that is known; undefined: that depends on data, or there is no limit. */
function tripCount(c: LowerContext): Dim | undefined {
  const [trips] = c.dims(0) ?? [];
  if (typeof trips !== "number") return trips;
  return trips > tripsMax ? undefined : Math.max(0, trips);
}

/** Sequences are captured whole; a trip reads its slice of them. */
export function lowerScan(c: LowerContext): Results {
  requireUnknown(c);
  const plan = scanPlan(c, c.outputCount);
  const states = range(0, plan.stateCount).map((i) => c.input(i));
  const sequences = range(0, plan.scanCount).map((i) => c.input(plan.stateCount + i));
  const axes = sequences.map((x, i) => c.axis(plan.inputAxes[i] ?? 0, x.shape.length));
  const [trips, ...others] = sequences.map((x, i) => x.shape[axes[i]!]!);
  for (const other of others) requireEqual(trips!, other, "the scanned inputs differ in length");
  if (trips === 0) throw new Decline("it scans nothing");
  const outer = captured(c.node.attributes, c);
  const template = templateOf(c, "body");
  const elements = (b: GraphBuilder, { index, captured: [...read] }: LoopTrip): Value[] =>
    sequences.map((_, i) => {
      const at = plan.inputDirections[i] === 1 ? dimSub(dimSub(trips!, 1), index) : index;
      return b.squeeze(b.sliceAxis(read[i]!, axes[i]!, at, 1), [axes[i]!]);
    });
  const make = () =>
    makeLoop(c.b, {
      ...loopHead(c),
      trips: trips!,
      states,
      captured: [...sequences, ...outer.values()],
      body(b, trip) {
        const inputs = [...trip.states, ...elements(b, trip)];
        const read = trip.captured.slice(sequences.length);
        const inside = new Map([...outer.keys()].map((name, i) => [name, read[i]!]));
        template.inputNames.forEach((name, i) => inside.set(name, inputs[i]!));
        const results = template.inline(b, inside);
        const next = results.slice(0, states.length);
        requireSameTypes(next, states, "a state changes its type or shape");
        const scanned = results.slice(states.length).map((x, i) => {
          const axis = c.axis(plan.outputAxes[i] ?? 0, rankOf(x) + 1);
          return { part: b.unsqueeze(x, [axis]), axis, reverse: plan.outputDirections[i] === 1 };
        });
        return { states: next, scanned };
      },
    });
  const { op, operands } = inBody(c, make);
  requireDeviceWork(c, op.bodies);
  return c.b.control(op, operands);
}

function rankOf({ shape, unknownShape }: Value): number {
  if (unknownShape) throw new Decline("the shape of what it stacks depends on data");
  return shape.length;
}

function loopHead(c: LowerContext): Pick<LoopPlan, "name" | "origins"> {
  return { name: c.node.name, origins: originsOf(c) };
}

function originsOf({ node }: LowerContext): readonly Origin[] {
  return [{ node: node.name, operator: node.operator }];
}

/** What is known in full is evaluated at once. */
function requireUnknown(c: LowerContext): void {
  const isConstant = c.inputs.every((value) => value === undefined || value.data !== undefined);
  if (isConstant) throw new Decline("all that it reads is known");
}

function requireSameTypes(given: readonly Value[], wanted: readonly Value[], reason: string): void {
  if (given.length !== wanted.length) throw new Decline(reason);
  given.forEach((value, i) => {
    if (!samePassedType(value, wanted[i]!)) throw new Decline(reason);
  });
}

function requireDeviceWork({ b }: LowerContext, bodies: readonly Graph[]): void {
  if (!bodies.some((body) => hasDeviceWork(b, body)))
    throw new Decline("nothing in its body runs on the device");
}

function hasDeviceWork(b: GraphBuilder, body: Graph): boolean {
  return body.nodes.some(
    (node) => computes(b, node) || bodiesOf(node.op).some((inner) => hasDeviceWork(b, inner)),
  );
}

const computing: ReadonlySet<string> = new Set([
  "map",
  "reduce",
  "contract",
  "gather",
  "scatter",
  "scan",
]);

function computes(b: GraphBuilder, { op, inputs, outputs }: Node): boolean {
  return computing.has(op.kind) && [...inputs, ...outputs].every(({ dtype }) => b.computes(dtype));
}

function isShapeError(error: unknown): boolean {
  return error instanceof DiagnosticError && error.diagnostics.every((d) => d.code === "L0201");
}

/**
 * A dim that a body needs as a number is bound as one outside of bodies is, where it comes from there. What only the
 * body knows cannot be bound: such a node runs on the host.
 */
function inBody<T>(c: LowerContext, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof NeedsBinding)) throw error;
    const outer = outerSymbols(c);
    if (error.symbols.every((name) => outer.has(name))) throw error;
    throw new Decline(`in its body ${error.reason}`);
  }
}

function outerSymbols(c: LowerContext): ReadonlySet<string> {
  const values = [...c.inputs, ...captured(c.node.attributes, c).values()];
  const dims = values.flatMap((value) => [...(value?.shape ?? []), ...(value?.dims ?? [])]);
  return new Set([...symbolsOf(dims)].map(({ name }) => name));
}

/** Made with the trip number as a symbol, or where that cannot be, in the other way. */
function withIndex<T>(c: LowerContext, make: () => T, otherwise: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof NeedsBinding) return inBody(c, otherwise);
    throw error;
  }
}

function truth(value: boolean): Tensor {
  return { dtype: "bool", shape: [], data: Uint8Array.of(value ? 1 : 0) };
}

function int64(value: number): Tensor {
  return { dtype: "i64", shape: [], data: BigInt64Array.of(BigInt(value)) };
}
