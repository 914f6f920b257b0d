/**
 * How the bodies of control flow fit the node around them: which operand is which input of a body, what the results
 * are, and the one place where passes step into bodies.
 */
import { InternalError } from "../support/diagnostic.js";
import { type Dim, dimMul, type DimSymbol, symbolDim } from "./dim.js";
import { shapeText, symbolsOf } from "./graph-shapes.js";
import {
  type ControlOperation,
  type Graph,
  isControl,
  type LoopOperation,
  type Node,
  type Operation,
  type Value,
} from "./graph.js";
import { sameType } from "./operation-types.js";

/** Type of a value that control flow passes on: what core operations take none of may pass too. */
export type PassedType = Pick<Value, "dtype" | "shape" | "unknownShape">;

/** The condition among the operands, or among what a loop's body gives. */
export function conditionOf<T>(op: ControlOperation, values: readonly T[]): T | undefined {
  return op.kind === "if" || op.condition ? values[0] : undefined;
}

/** Operands by the body that takes them, in the order of its inputs. */
export function bodyOperands<T>(
  op: ControlOperation,
  operands: readonly T[],
): readonly (readonly T[])[] {
  if (op.kind === "loop") return [operands.slice(op.condition ? 1 : 0)];
  const middle = 1 + op.bodies[0]!.inputs.length;
  return [operands.slice(1, middle), operands.slice(middle)];
}

/** What one trip of a loop gives besides its condition. */
export function tripResults<T>(
  op: LoopOperation,
  outputs: readonly T[],
): { readonly states: readonly T[]; readonly scanned: readonly T[] } {
  const passed = outputs.slice(op.condition ? 1 : 0);
  return { states: passed.slice(0, op.states), scanned: passed.slice(op.states) };
}

/** How many trips the joined results come from. */
export function tripsOf(op: LoopOperation): Dim {
  if (op.count !== undefined) return symbolDim(op.count);
  if (op.trips !== undefined && !op.condition) return op.trips;
  throw new InternalError("how many parts a loop scans is not known");
}

/** Types of the results. Throws where a body does not take what it is given, or gives something else. */
export function controlTypes(
  op: ControlOperation,
  operands: readonly PassedType[],
): readonly PassedType[] {
  const condition = conditionOf(op, operands);
  if (condition !== undefined) requireCondition(condition);
  bodyOperands(op, operands).forEach((given, i) =>
    requireTypes(given, op.bodies[i]!.inputs, "takes"),
  );
  const [first, second] = op.bodies.map((body) => body.outputs.map(({ value }) => value));
  if (op.kind === "if") {
    requireTypes(first!, second!, "of the other branch gives");
    return first!.map(passedType);
  }
  const gives = conditionOf(op, first!);
  if (gives !== undefined) requireCondition(gives);
  const { states, scanned } = tripResults(op, first!);
  requireTypes(bodyOperands(op, operands)[0]!.slice(0, op.states), states, "gives as a state");
  if (scanned.length !== op.scans.length) throw new InternalError("a scan without its axis");
  return [
    ...states.map(passedType),
    ...scanned.map((part, i) => joinedType(op, part, op.scans[i]!.axis)),
  ];
}

/** What a body knows of a value holds for the body: another branch or trip gives another. */
function passedType({ dtype, shape, unknownShape }: PassedType): PassedType {
  return { dtype, shape, ...(unknownShape ? { unknownShape } : {}) };
}

function joinedType(op: LoopOperation, part: PassedType, axis: number): PassedType {
  const extent = part.shape[axis];
  if (extent === undefined) throw new InternalError(`a scan along axis ${axis} of what has none`);
  return { dtype: part.dtype, shape: part.shape.with(axis, dimMul(extent, tripsOf(op))) };
}

function requireCondition(value: PassedType): void {
  const isOne = value.unknownShape !== true && value.shape.every((dim) => dim === 1);
  if (value.dtype !== "bool" || !isOne) {
    throw new InternalError(`a condition cannot be ${typeText(value)}`);
  }
}

function requireTypes(
  given: readonly PassedType[],
  wanted: readonly PassedType[],
  verb: string,
): void {
  if (given.length !== wanted.length) {
    throw new InternalError(`${given.length} values for ${wanted.length} that a body ${verb}`);
  }
  given.forEach((value, i) => {
    if (samePassedType(value, wanted[i]!)) return;
    throw new InternalError(`${typeText(value)} for ${typeText(wanted[i]!)} that a body ${verb}`);
  });
}

export function samePassedType(a: PassedType, b: PassedType): boolean {
  const unknown = a.unknownShape === true;
  return unknown || b.unknownShape === true
    ? unknown === b.unknownShape && a.dtype === b.dtype
    : sameType(a, b);
}

function typeText({ dtype, shape, unknownShape }: PassedType): string {
  return `${dtype}${unknownShape ? "[?]" : shapeText(shape)}`;
}

/** Graphs inside an operation. */
export function bodiesOf(op: Operation): readonly Graph[] {
  return isControl(op) ? op.bodies : [];
}

/** Symbols that an operation mentions or its bodies take from outside. */
export function operationSymbols(op: Operation): ReadonlySet<DimSymbol> {
  if (op.kind === "slice") return symbolsOf(op.starts);
  if (!isControl(op)) return new Set();
  const inside = op.bodies.flatMap((body) => body.symbols);
  if (op.kind === "if") return new Set(inside);
  const own = symbolsOf(op.trips === undefined ? [] : [op.trips]);
  const outer = inside.filter((symbol) => symbol.name !== op.index.name);
  return new Set([...own, ...outer, ...(op.count === undefined ? [] : [op.count])]);
}

/** The graph with every body changed; the same graph if none was. */
export function mapBodies(graph: Graph, change: (body: Graph) => Graph): Graph {
  const nodes = graph.nodes.map((node): Node => {
    const { op } = node;
    if (!isControl(op)) return node;
    const bodies = op.bodies.map(change);
    if (bodies.every((body, i) => body === op.bodies[i])) return node;
    return { ...node, op: { ...op, bodies } };
  });
  return nodes.every((node, i) => node === graph.nodes[i]) ? graph : { ...graph, nodes };
}
