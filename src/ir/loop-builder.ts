/** Counted loops whose body is written with a builder of its own; what it reads from outside is said beforehand. */
import type { GraphBuilder } from "./builder.js";
import { type Dim, dimMax, type DimSymbol, symbolDim } from "./dim.js";
import { createGraphBuilder } from "./graph-builder.js";
import { symbolsOf } from "./graph-shapes.js";
import type { LoopScan, Origin, Value } from "./graph.js";

export interface CountedLoop {
  readonly name: string;
  readonly trips: Dim;
  readonly origins: readonly Origin[];
  /** What the first trip takes; states keep their types. */
  readonly states: readonly Value[];
  readonly captured: readonly Value[];
  readonly scans: readonly LoopScan[];
  body(b: GraphBuilder, trip: LoopTrip): TripResults;
}

export interface LoopTrip {
  readonly index: Dim;
  readonly states: readonly Value[];
  readonly captured: readonly Value[];
}

export interface TripResults {
  readonly states: readonly Value[];
  readonly scanned: readonly Value[];
}

/** The last states, and what was scanned, joined along the axes of the scans. */
export function buildLoop(b: GraphBuilder, loop: CountedLoop): TripResults {
  const { name, trips, origins, scans } = loop;
  const index = indexSymbol(trips, [...loop.states, ...loop.captured]);
  const inner = createGraphBuilder();
  inner.setOrigins(origins);
  const taken = loop.states.map(({ dtype, shape }, i) => inner.input(`state.${i}`, dtype, shape));
  const captured = loop.captured.map((value, i) => valueInBody(inner, `captured.${i}`, value));
  const results = loop.body(inner, { index: symbolDim(index), states: taken, captured });
  const outputs = [...results.states, ...results.scanned];
  const body = inner.finish(
    name,
    outputs.map((value, i) => ({ name: `out.${i}`, value })),
  );
  const op = { kind: "loop", index, trips, condition: false, states: taken.length, scans } as const;
  const operands = [...loop.states, ...loop.captured.filter((value) => !isKnown(value))];
  const values = b.control({ ...op, bodies: [body] }, operands);
  return { states: values.slice(0, taken.length), scanned: values.slice(taken.length) };
}

/** A symbol for the number of a trip that none of the values mentions. */
export function indexSymbol(trips: Dim | undefined, values: readonly Value[]): DimSymbol {
  const dims = values.flatMap(({ shape, dims = [] }) => [...shape, ...dims]);
  const taken = new Set([...symbolsOf(dims)].map((symbol) => symbol.name));
  let name = "trip";
  for (let i = 2; taken.has(name); i++) name = `trip.${i}`;
  const last = trips === undefined ? tripsMax : dimMax(trips) - 1;
  return { name, min: 0, max: Math.max(0, last), multipleOf: 1 };
}

/** Numbers of trips are int32 on the device. */
const tripsMax = 2 ** 31 - 1;

/** What is known of a value is known in a body too; everything else is an input of it. */
export function valueInBody(b: GraphBuilder, name: string, value: Value): Value {
  if (value.data !== undefined) return b.constant(value.data, name);
  if (value.dims !== undefined) return b.dims(value.dims, { scalar: value.shape.length === 0 });
  return b.input(name, value.dtype, value.unknownShape ? undefined : value.shape);
}

export function isKnown({ data, dims }: Value): boolean {
  return data !== undefined || dims !== undefined;
}
