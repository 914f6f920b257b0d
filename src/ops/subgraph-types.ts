/** Types of what control flow gives: its bodies are imported for the types of their inputs, not run. */
import { dimEquals, NeedsBinding } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import type { HostType, LowerContext } from "./record.js";
import { captured, templateOf } from "./subgraph.js";

/** Outputs of a body for inputs of these types; undefined where that needs a dim that is open. */
export function bodyTypes(
  c: LowerContext,
  attribute: string,
  inputs: readonly Value[],
): readonly Value[] | undefined {
  const template = templateOf(c, attribute);
  const values = new Map(captured(c.node.attributes, c));
  template.inputNames.forEach((name, i) => {
    if (inputs[i] !== undefined) values.set(name, inputs[i]);
  });
  try {
    return template.instantiate(values).outputs.map((output) => output.value);
  } catch (error) {
    if (error instanceof NeedsBinding) return undefined;
    throw error;
  }
}

export interface StateRule {
  /** Outputs of the body that come before its states. */
  readonly outputsBefore: number;
  slices(body: readonly Value[]): HostShape[number] | undefined;
  axis(scan: number): number;
}

type HostShape = NonNullable<HostType["shape"]>;

/**
 * Types of states and stacked outputs: states whose shape the body changes are of unknown shape, and with
 * that the body is typed again, until no further one changes.
 */
export function inferStates(
  c: LowerContext,
  initial: readonly Value[],
  inputs: (states: readonly Value[]) => readonly Value[],
  rule: StateRule,
): readonly (HostType | undefined)[] {
  let states = initial.map(typeOnly);
  for (;;) {
    const body = bodyTypes(c, "body", inputs(states));
    if (body === undefined) return [];
    const after = body.slice(rule.outputsBefore, rule.outputsBefore + states.length);
    const next = states.map((state, i) => (sameShape(state, after[i]!) ? state : unknown(state)));
    if (next.every((state, i) => state === states[i])) {
      const scans = body.slice(rule.outputsBefore + states.length);
      const extent = rule.slices(body);
      return [
        ...states.map(hostType),
        ...scans.map((v, i) => stackedType(v, extent, rule.axis(i))),
      ];
    }
    states = next;
  }
}

function typeOnly({ name, dtype, shape, unknownShape }: Value): Value {
  return { name, dtype, shape, ...(unknownShape ? { unknownShape } : {}) };
}

function unknown(value: Value): Value {
  return value.unknownShape ? value : { ...value, shape: [], unknownShape: true };
}

export function hostType({ dtype, shape, unknownShape }: Value): HostType {
  return unknownShape ? { dtype } : { dtype, shape };
}

function sameShape(a: Value, b: Value): boolean {
  if (a.unknownShape) return true;
  if (b.unknownShape || a.shape.length !== b.shape.length) return false;
  return a.shape.every((dim, axis) => dimEquals(dim, b.shape[axis]!));
}

/** What two types agree on. */
export function commonType(a: Value, b: Value): HostType {
  return a.unknownShape || b.unknownShape || !sameShape(a, b) ? { dtype: a.dtype } : hostType(a);
}

function stackedType(slice: Value, extent: HostShape[number] | undefined, axis: number): HostType {
  if (slice.unknownShape || extent === undefined) return { dtype: slice.dtype };
  const at = fromEnd(axis, slice.shape.length + 1);
  return { dtype: slice.dtype, shape: slice.shape.toSpliced(at, 0, extent) };
}

function fromEnd(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
