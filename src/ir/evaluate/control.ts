/** What control flow means, given how a body is run: `graph.ts` has the rules. */
import { decodeElement } from "../../numerics/convert.js";
import type { Tensor } from "../../numerics/tensor.js";
import { InternalError } from "../../support/diagnostic.js";
import { bodyOperands, conditionOf, tripResults } from "../control.js";
import { evaluateDim } from "../dim.js";
import { concatTensors } from "./movement.js";
import type { ControlOperation, Graph, IfOperation, LoopOperation, Value } from "../graph.js";

/** Runs a body on values for its inputs, in order: its outputs, in order. */
export type RunBody<V> = (
  body: Graph,
  inputs: readonly V[],
  bindings: ReadonlyMap<string, number>,
) => readonly V[];

/** Operands are tensors, or whatever host operations pass one another. */
type Operand = Tensor | { readonly kind: string };

export interface ControlRun<V> {
  readonly inputs: readonly V[];
  readonly outputs: readonly Value[];
  /** A loop binds the number of its trips here. */
  readonly bindings: Map<string, number>;
  readonly run: RunBody<V>;
}

export function evaluateControl<V extends Operand>(
  op: ControlOperation,
  control: ControlRun<V>,
): readonly V[] {
  return op.kind === "if" ? evaluateIf(op, control) : evaluateLoop(op, control);
}

function evaluateIf<V extends Operand>(
  op: IfOperation,
  { inputs, bindings, run }: ControlRun<V>,
): readonly V[] {
  const taken = isTrue(conditionOf(op, inputs)!) ? 0 : 1;
  return run(op.bodies[taken]!, bodyOperands(op, inputs)[taken]!, bindings);
}

function evaluateLoop<V extends Operand>(op: LoopOperation, control: ControlRun<V>): readonly V[] {
  const { inputs, outputs, bindings, run } = control;
  const limit = op.trips === undefined ? Infinity : evaluateDim(op.trips, bindings);
  const operands = bodyOperands(op, inputs)[0]!;
  const captured = operands.slice(op.states);
  let states = operands.slice(0, op.states);
  let goesOn = isTrue(conditionOf(op, inputs) ?? truth);
  const parts = op.scans.map((): Tensor[] => []);
  let trip = 0;
  for (; trip < limit && goesOn; trip++) {
    const own = new Map(bindings).set(op.index.name, trip);
    const results = run(op.bodies[0]!, [...states, ...captured], own);
    goesOn = isTrue(conditionOf<Operand>(op, results) ?? truth);
    const { states: next, scanned } = tripResults(op, results);
    states = [...next];
    scanned.forEach((part, i) => parts[i]!.push(tensorOf(part)));
  }
  if (op.count !== undefined) bindings.set(op.count.name, trip);
  const joined = op.scans.map(({ axis, reverse }, i) => {
    const { dtype, shape } = outputs[op.states + i]!;
    const extents = shape.map((dim) => evaluateDim(dim, bindings));
    return concatTensors(reverse ? parts[i]!.toReversed() : parts[i]!, axis, dtype, extents);
  });
  return [...states, ...(joined as Operand[] as V[])];
}

const truth: Tensor = { dtype: "bool", shape: [], data: Uint8Array.of(1) };

function isTrue(value: Operand): boolean {
  const { dtype, data } = tensorOf(value);
  return decodeElement(dtype, data, 0) !== 0;
}

function tensorOf(value: Operand): Tensor {
  if ("data" in value) return value;
  throw new InternalError(`a ${value.kind} where control flow needs a tensor`);
}
