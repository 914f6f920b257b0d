/** Loops whose body is written with a builder of its own; what it reads from outside is said beforehand. */
import type { GraphBuilder } from "../builder.js";
import { type Dim, dimMax, dimSymbols, type DimSymbol, NeedsBinding, symbolDim } from "../dim.js";
import { symbolsOf } from "../graph-shapes.js";
import type { Graph, LoopOperation, LoopScan, Origin, Value } from "../graph.js";
import { valuesOf } from "../verify.js";

export interface LoopPlan {
  readonly name: string;
  readonly origins: readonly Origin[];
  /** Absent: as long as the condition holds. */
  readonly trips?: Dim;
  /** The condition before the first trip; absent: it holds. */
  readonly condition?: Value;
  /** What the first trip takes; states keep their types. */
  readonly states: readonly Value[];
  readonly captured: readonly Value[];
  body(b: GraphBuilder, trip: LoopTrip): TripResults;
}

export interface LoopTrip {
  readonly index: Dim;
  readonly states: readonly Value[];
  readonly captured: readonly Value[];
}

export interface TripResults {
  /** Absent: it goes on. */
  readonly condition?: Value;
  readonly states: readonly Value[];
  readonly scanned: readonly ScannedPart[];
}

export interface ScannedPart extends LoopScan {
  readonly part: Value;
}

/** The last states, and what was scanned, joined along the axes of the scans. */
export function buildLoop(
  b: GraphBuilder,
  plan: LoopPlan,
): { readonly states: readonly Value[]; readonly scanned: readonly Value[] } {
  const { op, operands } = makeLoop(b, plan);
  const values = b.control(op, operands);
  return { states: values.slice(0, op.states), scanned: values.slice(op.states) };
}

/** The operation and its operands. Throws NeedsBinding of the index where the body's shapes depend on it. */
export function makeLoop(
  b: GraphBuilder,
  plan: LoopPlan,
): { readonly op: LoopOperation; readonly operands: readonly Value[] } {
  const { name, trips, origins, states, captured } = plan;
  const index = indexSymbol(trips, [...states, ...captured]);
  const inner = b.inner();
  inner.setOrigins(origins);
  const taken = states.map(({ dtype, shape, unknownShape }, i) =>
    inner.input(`state.${i}`, dtype, unknownShape ? undefined : shape),
  );
  const read = captured.map((value, i) => valueInBody(inner, `captured.${i}`, value));
  const results = plan.body(inner, { index: symbolDim(index), states: taken, captured: read });
  const { condition } = results;
  const isConditional = [condition, plan.condition].some((value) => value && !isTrue(value));
  const first = isConditional ? [plan.condition ?? trueValue(b)] : [];
  const goesOn = isConditional ? [condition ?? trueValue(inner)] : [];
  const parts = results.scanned.map(({ part }) => part);
  const outputs = [...goesOn, ...results.states, ...parts];
  const body = inner.finish(
    name,
    outputs.map((value, i) => ({ name: `out.${i}`, value })),
  );
  requireFixedShapes(body, index);
  return {
    op: {
      kind: "loop",
      index,
      ...(trips === undefined ? {} : { trips }),
      condition: isConditional,
      states: taken.length,
      scans: results.scanned.map(({ axis, reverse }) => ({ axis, reverse })),
      bodies: [body],
    },
    operands: [...first, ...states, ...captured.filter((value) => !isKnown(value))],
  };
}

function isTrue({ data }: Value): boolean {
  return data !== undefined && Number(data.data[0]) !== 0;
}

function trueValue(b: GraphBuilder): Value {
  return b.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
}

function requireFixedShapes(body: Graph, index: DimSymbol): void {
  for (const { shape, name } of valuesOf(body)) {
    const varies = shape.some((dim) => [...dimSymbols(dim)].some((s) => s.name === index.name));
    if (varies) throw new NeedsBinding([index.name], `the shape of "${name}" changes in a loop`);
  }
}

/** A symbol for the number of a trip that none of the values mentions. */
function indexSymbol(trips: Dim | undefined, values: readonly Value[]): DimSymbol {
  const dims = values.flatMap(({ shape, dims = [] }) => [...shape, ...dims]);
  const taken = new Set([...symbolsOf(dims)].map((symbol) => symbol.name));
  let name = "trip";
  for (let i = 2; taken.has(name); i++) name = `trip.${i}`;
  const last = (trips === undefined ? tripsMax : dimMax(trips)) - 1;
  return { name, min: 0, max: Math.max(0, last), multipleOf: 1 };
}

/** Numbers of trips are int32 on the device. */
export const tripsMax = 2 ** 31 - 1;

/** What is known of a value is known in a body too; everything else is an input of it. */
export function valueInBody(b: GraphBuilder, name: string, value: Value): Value {
  if (value.data !== undefined) return b.constant(value.data, name);
  if (value.dims !== undefined) return b.dims(value.dims, { scalar: value.shape.length === 0 });
  return b.input(name, value.dtype, value.unknownShape ? undefined : value.shape);
}

export function isKnown({ data, dims }: Value): boolean {
  return data !== undefined || dims !== undefined;
}
