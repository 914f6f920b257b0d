/**
 * Sequences and optionals. They hold several tensors or none, so they live on the host; where an optional is
 * a tensor that is simply there, it passes through. SequenceMap, which has a body, is in `control-flow.ts`.
 */
import { concatTensors } from "../ir/evaluate/movement.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { dtypeFromOnnx } from "../onnx/dtypes.js";
import { isTensor } from "./context.js";
import { range } from "./helpers.js";
import {
  hostAxis,
  hostOperator,
  hostScalar,
  int64Tensor,
  numbersOf,
  positionsAlong,
  takeElements,
} from "./host.js";
import type { EvaluateContext, HostValue, OperatorRecord } from "./record.js";
import { stackTensors } from "./tensor-stack.js";

export const sequenceOperators: readonly OperatorRecord[] = [
  hostOperator("SequenceEmpty", { since: 11 }, (c) => {
    const elementType = dtypeFromOnnx(c.int("dtype", 1)) ?? c.invalid("L0108", "unknown dtype");
    return [{ kind: "sequence", elementType, items: [] }];
  }),
  hostOperator("SequenceConstruct", { since: 11 }, (c) => {
    const items = c.inputs.map((_, i) => c.tensorInput(i));
    return [{ kind: "sequence", elementType: items[0]?.dtype ?? "f32", items }];
  }),
  hostOperator("SequenceInsert", { since: 11 }, (c) => {
    const sequence = sequenceInput(c);
    const at = positionIn(c, 2, sequence.items.length + 1) ?? sequence.items.length;
    return [{ ...sequence, items: sequence.items.toSpliced(at, 0, c.tensorInput(1)) }];
  }),
  hostOperator("SequenceErase", { since: 11 }, (c) => {
    const sequence = sequenceInput(c);
    const at = positionIn(c, 1, sequence.items.length) ?? sequence.items.length - 1;
    return [{ ...sequence, items: sequence.items.toSpliced(at, 1) }];
  }),
  hostOperator("SequenceAt", { since: 11 }, (c) => {
    const { items } = sequenceInput(c);
    return [items[positionIn(c, 1, items.length) ?? 0]];
  }),
  hostOperator(
    "SequenceLength",
    { since: 11 },
    (c) => [int64Tensor([], [sequenceInput(c).items.length])],
    () => [{ dtype: "i64", shape: [] }],
  ),
  hostOperator("SplitToSequence", { since: 11 }, splitToSequence),
  hostOperator("ConcatFromSequence", { since: 11 }, concatFromSequence),
  hostOperator("Optional", { since: 15 }, (c) => [{ kind: "optional", item: c.inputs[0] }]),
  {
    name: "OptionalHasElement",
    domain: "",
    since: 15,
    lower: (c) => [c.b.full("bool", c.inputs[0] === undefined ? 0 : 1)],
    evaluate: (c) => {
      const has = contents(c.inputs[0]) !== undefined;
      return [{ dtype: "bool", shape: [], data: Uint8Array.of(has ? 1 : 0) }];
    },
    infer: () => [{ dtype: "bool", shape: [] }],
  },
  {
    name: "OptionalGetElement",
    domain: "",
    since: 15,
    lower: (c) => [c.input(0)],
    evaluate: (c) => [contents(c.inputs[0]) ?? c.invalid("L0201", "the optional is empty")],
  },
];

type Sequence = Extract<HostValue, { kind: "sequence" }>;

function sequenceInput(c: EvaluateContext): Sequence {
  const value = contents(c.inputs[0]);
  if (value !== undefined && !isTensor(value) && value.kind === "sequence") return value;
  return c.invalid("L0202", "the first input is not a sequence");
}

/** What an optional holds; any other value is itself. */
function contents(value: HostValue | undefined): HostValue | undefined {
  if (value === undefined || isTensor(value) || value.kind !== "optional") return value;
  return value.item;
}

/** The position that an input gives, counted from the end where negative, below `count`. */
function positionIn(c: EvaluateContext, index: number, count: number): number | undefined {
  const given = hostScalar(c, index);
  if (given === undefined) return undefined;
  const length = index === 2 ? count - 1 : count;
  const position = given < 0 ? given + length : given;
  if (position >= 0 && position < count) return position;
  return c.invalid("L0201", `position ${given} is outside a sequence of ${length}`);
}

function splitToSequence(c: EvaluateContext): readonly HostValue[] {
  const x = c.tensorInput(0);
  const axis = hostAxis(c, c.int("axis", 0), x.shape.length);
  const extent = x.shape[axis]!;
  const split = c.optionalTensor(1);
  const sizes = split === undefined ? evenSizes(extent, 1) : splitSizes(c, split, extent);
  if (sizes.reduce((sum, size) => sum + size, 0) !== extent) {
    c.invalid("L0201", `parts [${sizes.join(", ")}] do not add up to ${extent}`);
  }
  const dropsAxis = split === undefined && c.int("keepdims", 1) === 0;
  let start = 0;
  const items = sizes.map((size): Tensor => {
    const positions = slicePositions(x, axis, start, size);
    start += size;
    const shape = dropsAxis ? x.shape.toSpliced(axis, 1) : x.shape.with(axis, size);
    return takeElements(x, positions, shape);
  });
  return [{ kind: "sequence", elementType: x.dtype, items }];
}

function splitSizes(c: EvaluateContext, split: Tensor, extent: number): readonly number[] {
  const sizes = Array.from(numbersOf(split));
  const [size] = sizes;
  if (split.shape.length > 0) return sizes;
  return size! >= 1 ? evenSizes(extent, size!) : c.invalid("L0201", `parts of ${size} elements`);
}

function evenSizes(extent: number, size: number): readonly number[] {
  return range(0, Math.ceil(extent / size)).map((i) => Math.min(size, extent - i * size));
}

function slicePositions(x: Tensor, axis: number, start: number, size: number): readonly number[] {
  const inner = elementCount(x.shape.slice(axis + 1));
  const firsts = positionsAlong(x.shape, axis, 0).filter((_, i) => i % inner === 0);
  return firsts.flatMap((first) =>
    range(0, size * inner).map((offset) => first + start * inner + offset),
  );
}

function concatFromSequence(c: EvaluateContext): readonly HostValue[] {
  const items = sequenceInput(c).items as readonly Tensor[];
  const [first] = items;
  if (first === undefined) return c.invalid("L0201", "the sequence is empty");
  const given = c.int("axis") ?? c.invalid("L0108", "the axis is missing");
  if (c.int("new_axis", 0) !== 0) return [stackTensors(items, { axis: given, reverse: false })];
  const axis = hostAxis(c, given, first.shape.length);
  const extent = items.reduce((sum, item) => sum + item.shape[axis]!, 0);
  return [concatTensors(items, axis, first.dtype, first.shape.with(axis, extent))];
}
