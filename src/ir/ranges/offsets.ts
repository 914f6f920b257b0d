/**
 * What is counted: by how much the elements of a value differ from elements of the one input of a graph that they
 * come from. `n + 1` is n and 1, whatever n is, so that a loop of ten trips counts to ten.
 */
import { dtypes } from "../../numerics/dtype.js";
import type { LaneInstruction } from "../../numerics/lane.js";
import { dimMin, dimProduct } from "../dim.js";
import type { Graph, MapOperation, Node, Value } from "../graph.js";
import { difference, interval, type Interval, sum, union, within } from "./intervals.js";
import type { RegisterRange } from "./lane-ranges.js";
import { mapRegisterRanges, typeRange } from "./map-ranges.js";

/** Every element is one of `from`, plus a number in `by`. */
export interface Offset {
  readonly from: Value;
  readonly by: Interval;
}

/** Of the values for which there is one. `ranges` are those of the graph's values. */
export function offsetsOf(
  graph: Graph,
  ranges: ReadonlyMap<Value, Interval>,
): ReadonlyMap<Value, Offset> {
  const offsets = new Map<Value, Offset>();
  for (const input of graph.inputs) {
    if (isInteger(input)) offsets.set(input, { from: input, by: interval(0, 0) });
  }
  for (const node of graph.nodes) {
    const offset = offsetOf(node, offsets, ranges);
    if (offset !== undefined) offsets.set(node.outputs[0]!, offset);
  }
  return offsets;
}

function isInteger({ dtype }: Value): boolean {
  const { kind } = dtypes[dtype];
  return kind === "int" || kind === "uint";
}

function offsetOf(
  { op, inputs, outputs }: Node,
  offsets: ReadonlyMap<Value, Offset>,
  ranges: ReadonlyMap<Value, Interval>,
): Offset | undefined {
  const operands = inputs.map((value) => offsets.get(value));
  switch (op.kind) {
    case "reshape":
    case "transpose":
    case "broadcast":
    case "slice":
    case "window":
    case "gather":
      return operands[0];
    case "concat":
      return operands.reduce(joined);
    case "reduce": {
      const count = dimProduct(op.axes.map((axis) => inputs[0]!.shape[axis]!));
      const picks = op.reduction === "max" || op.reduction === "min";
      return picks && dimMin(count) > 0 ? operands[0] : undefined;
    }
    case "map":
      return isInteger(outputs[0]!)
        ? mapOffset(op, { inputs, operands, output: outputs[0]!, ranges })
        : undefined;
    default:
      return undefined;
  }
}

function joined(a: Offset | undefined, b: Offset | undefined): Offset | undefined {
  return a !== undefined && a.from === b?.from ? shifted(a, union(a.by, b.by)) : undefined;
}

function shifted({ from }: Offset, by: Interval): Offset {
  return { from, by };
}

interface MapValues {
  readonly inputs: readonly Value[];
  readonly operands: readonly (Offset | undefined)[];
  readonly output: Value;
  readonly ranges: ReadonlyMap<Value, Interval>;
}

/** Only where no register wraps, nor the result when it is stored. */
function mapOffset(op: MapOperation, values: MapValues): Offset | undefined {
  const { inputs, operands, output, ranges } = values;
  const { instructions, results } = op.program;
  const known = mapRegisterRanges(
    op,
    inputs,
    output,
    inputs.map((value) => ranges.get(value)!),
  );
  const offsets: (Offset | undefined)[] = [];
  instructions.forEach((instruction, i) => {
    const computed = registerOffset(instruction, { offsets, known, operands });
    offsets.push(known[i]!.exact ? computed : undefined);
  });
  const result = results[0]!;
  return within(known[result]!, typeRange(output.dtype)) ? offsets[result] : undefined;
}

interface Registers {
  readonly offsets: readonly (Offset | undefined)[];
  readonly known: readonly RegisterRange[];
  readonly operands: MapValues["operands"];
}

function registerOffset(
  { op, args, imm }: LaneInstruction,
  { offsets, known, operands }: Registers,
): Offset | undefined {
  const [a, b, c] = args.map((register) => offsets[register]);
  const [left, right] = args.map((register) => known[register]!);
  switch (op) {
    case "input":
      return operands[imm!];
    case "addI":
      if (a !== undefined) return shifted(a, sum(a.by, right!));
      return b && shifted(b, sum(b.by, left!));
    case "subI":
      return a && shifted(a, difference(a.by, right!));
    case "minI":
    case "maxI":
      return joined(a, b);
    case "selectI":
      return within(left!, interval(-1, 0)) ? joined(b, c) : undefined;
    default:
      return undefined;
  }
}
