/**
 * What a vec does: its lane program at every position of its axes in row-major order. At a position all inputs
 * are read before any output is written. A vec has reduce axes or a scan axis, not both.
 */
import { isFloat } from "../../numerics/dtype.js";
import type { RegisterType } from "../../numerics/lane.js";
import { undefinedBehaviour, type Operand } from "./cells.js";
import { reducer, registerValue, type Reducer } from "./reduce.js";
import { laneRunner, type LaneSources } from "./lanes.js";
import {
  evaluateAffine,
  evaluateCounts,
  forEachPosition,
  offsetAt,
  type Environment,
} from "./semantics.js";
import type { VecBody } from "../tile.js";

type AnyVecBody = VecBody<unknown, unknown, unknown>;

export interface VecOperands {
  readonly inputs: readonly Operand[];
  /** `init` counts for reduced outputs. */
  readonly outputs: readonly { readonly dest: Operand; readonly init: boolean }[];
  /** Where each carry is kept, if it is. */
  readonly carries: readonly ({ readonly state: Operand; readonly init: boolean } | undefined)[];
  readonly environment: Environment;
}

export function executeVec(body: AnyVecBody, operands: VecOperands): void {
  checkTypes(body, operands);
  const counts = evaluateCounts(body.axes, operands.environment);
  const parallel = parallelAxes(body);
  const position = new Array<number>(counts.length).fill(0);
  const carried = body.carries.map(() => 0);
  const run = laneRunner(body.program, laneSources(body, operands, position, carried));
  const emit = outputWriter(body, operands);
  const carries = carryKeeper(body, operands, carried);
  forEachPosition(counts.slice(0, parallel), (outer) => {
    for (let axis = 0; axis < parallel; axis++) position[axis] = outer[axis]!;
    position.fill(0, parallel);
    emit.begin(position);
    carries.begin(position);
    let number = 0;
    forEachPosition(counts.slice(parallel), (inner) => {
      for (let axis = 0; axis < inner.length; axis++) position[parallel + axis] = inner[axis]!;
      const results = run();
      emit.write(position, results, number++);
      carries.advance(results);
    });
    position.fill(0, parallel);
    emit.end(position);
    carries.end(position);
  });
}

function checkTypes(body: AnyVecBody, { inputs, outputs, carries }: VecOperands): void {
  for (const { op, imm, type } of body.program.instructions) {
    if (op === "input" || op === "lookup") requireType(type, inputs[imm!]!);
  }
  const typeOf = (result: number): RegisterType =>
    body.program.instructions[body.program.results[result]!]!.type;
  outputs.forEach(({ dest }, i) => requireType(typeOf(i), dest));
  body.carries.forEach((carry, i) => {
    if (typeOf(carry.next) !== carry.type) undefinedBehaviour(`carry ${i} changes its type`);
    const kept = carries[i];
    if (kept !== undefined) requireType(carry.type, kept.state);
  });
}

function requireType(type: RegisterType, { cells }: Operand): void {
  if (isFloat(cells.dtype) === (type === "f32")) return;
  undefinedBehaviour(`a register of ${type} meets ${cells.label} of ${cells.dtype}`);
}

/** Number of parallel axes; they come first, and reduce axes or one scan axis follow. */
function parallelAxes(body: AnyVecBody): number {
  const first = body.axes.findIndex((axis) => axis.kind !== "parallel");
  if (first < 0) return body.axes.length;
  const inner = body.axes.slice(first);
  const kind = inner[0]!.kind;
  if (inner.some((axis) => axis.kind !== kind) || (kind === "scan" && inner.length > 1)) {
    undefinedBehaviour("the axes of a vec are parallel axes, then reduce axes or one scan axis");
  }
  return first;
}

function laneSources(
  body: AnyVecBody,
  { inputs, environment }: VecOperands,
  position: readonly number[],
  carried: readonly number[],
): LaneSources {
  const bases = body.axes.map((axis) => evaluateAffine(axis.base, environment));
  const strides = body.inputs.map((input) => input.strides);
  const read = (operand: number, more: number): number => {
    const { cells, offset } = inputs[operand]!;
    return registerValue(cells, offset + offsetAt(position, strides[operand]!) + more);
  };
  return {
    input: (operand) => read(operand, 0),
    lookup: read,
    index: (axis) => (bases[axis]! + position[axis]!) | 0,
    scalar: (id) =>
      environment.scalars[id] ?? undefinedBehaviour(`runtime scalar ${id} was not given`),
    carry: (register) => carried[register]!,
  };
}

interface OutputWriter {
  begin(position: readonly number[]): void;
  write(position: readonly number[], results: ArrayLike<number>, number: number): void;
  end(position: readonly number[]): void;
}

function outputWriter(body: AnyVecBody, operands: VecOperands): OutputWriter {
  const outputs = body.outputs.map((output, i) => {
    const { dest, init } = operands.outputs[i]!;
    const type = body.program.instructions[body.program.results[i]!]!.type;
    const { environment } = operands;
    const reduced: Reducer | undefined =
      output.reduce && reducer({ reduce: output.reduce, type, dest, init, environment });
    return { dest, strides: output.strides, reduced };
  });
  const element = (output: (typeof outputs)[number], position: readonly number[]): number =>
    output.dest.offset + offsetAt(position, output.strides);
  return {
    begin(position) {
      for (const output of outputs) output.reduced?.begin(element(output, position));
    },
    write(position, results, number) {
      outputs.forEach((output, i) => {
        if (output.reduced !== undefined) output.reduced.add(results[i]!, number);
        else output.dest.cells.set(element(output, position), results[i]!);
      });
    },
    end(position) {
      for (const output of outputs) output.reduced?.end(element(output, position));
    },
  };
}

interface CarryKeeper {
  begin(position: readonly number[]): void;
  advance(results: ArrayLike<number>): void;
  end(position: readonly number[]): void;
}

/** Keeps `carried`, the carried registers, from position to position and from instruction to instruction. */
function carryKeeper(body: AnyVecBody, operands: VecOperands, carried: number[]): CarryKeeper {
  const kept = body.carries.map((carry, i) => {
    const place = operands.carries[i];
    if (place === undefined || carry.state === undefined) return undefined;
    const { strides } = carry.state;
    const { cells, offset } = place.state;
    const element = (position: readonly number[]) => offset + offsetAt(position, strides);
    return { init: place.init, cells, element };
  });
  return {
    begin(position) {
      body.carries.forEach((carry, i) => {
        const state = kept[i];
        const fresh = state === undefined || state.init;
        carried[i] = fresh ? carry.initial : registerValue(state.cells, state.element(position));
      });
    },
    advance(results) {
      for (let i = 0; i < carried.length; i++) carried[i] = results[body.carries[i]!.next]!;
    },
    end(position) {
      kept.forEach((state, i) => state?.cells.set(state.element(position), carried[i]!));
    },
  };
}
