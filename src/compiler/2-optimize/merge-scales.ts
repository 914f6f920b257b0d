/**
 * Between an integer sum and the codes of a result stands one multiplication. Dividing by a positive step keeps the
 * order of numbers, so it moves over bounds exactly; bounds that saturation implies are dropped.
 *
 *   encode(clamp(sum * s, low, high) / t)   ->   encode(clamp(sum * (s / t), low / t, high / t))
 */
import type { GraphBuilder, Lane, LaneBuilder } from "../../ir/builder.js";
import type { Graph, MapOperation, Node, Value } from "../../ir/graph.js";
import type { DType } from "../../numerics/dtype.js";
import {
  type Bound,
  type Encoding,
  encodeSteps,
  integerLimits,
  matchClamping,
  matchEncoding,
} from "../../numerics/quantized-lanes.js";
import { type DecodedOperand, decodedOperand, moveCodes, onlyElement } from "./codes.js";
import { buildReplacement, type Replacement, rewriteNodes } from "./rewrite.js";

export function mergeScales(graph: Graph): Graph {
  const producers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)),
  );
  const uses = countUses(graph);
  return rewriteNodes(graph, (node) =>
    node.op.kind === "map" ? merge(node, node.op, producers, uses) : undefined,
  );
}

function countUses(graph: Graph): ReadonlyMap<Value, number> {
  const uses = new Map<Value, number>();
  const values = [...graph.nodes.flatMap((n) => n.inputs), ...graph.outputs.map((o) => o.value)];
  for (const value of values) uses.set(value, (uses.get(value) ?? 0) + 1);
  return uses;
}

const moves: ReadonlySet<string> = new Set(["reshape", "transpose", "slice"]);

function merge(
  node: Node,
  { program }: MapOperation,
  producers: ReadonlyMap<Value, Node>,
  uses: ReadonlyMap<Value, number>,
): Replacement | undefined {
  const [output] = node.outputs as [Value];
  if (output.dtype !== "i8" && output.dtype !== "u8") return undefined;
  const encoding = matchEncoding(program, output.dtype);
  if (encoding === undefined) return undefined;
  const number = node.inputs[encoding.number]!;
  // What others read too is computed in any case, and then as the number it is.
  const follows = (between: Node): boolean =>
    uses.get(between.outputs[0]!) === 1 && (moves.has(between.op.kind) || isClamp(between));
  const sum = decodedOperand(number, producers, follows);
  if (sum === undefined || sum.codes.values.dtype !== "i32" || sum.codes.zero !== undefined)
    return undefined;
  if (sum.decoders.some((decoder) => uses.get(decoder.outputs[0]!) !== 1)) return undefined;
  const step = stepOf(node, encoding, output.dtype);
  const bounds = sum.path.flatMap((between) => boundsOf(between) ?? []);
  if (bounds.length > 0 && !(step.size !== undefined && step.size > 0)) return undefined;
  const origins = [...new Set([...sum.decoders, ...sum.path, node].flatMap((n) => n.origins))];
  return buildReplacement(node, "scale", origins, (b) => encodeSum(b, sum, step, bounds));
}

/** What numbers are divided by and moved by. */
interface Step {
  readonly scale: Value;
  readonly zero?: Value;
  readonly dtype: DType;
  /** The scale where it is one known number. */
  readonly size?: number;
}

function stepOf({ inputs }: Node, { scale, zero }: Encoding, dtype: DType): Step {
  const size = onlyElement(inputs[scale]!);
  return {
    scale: inputs[scale]!,
    ...(zero !== undefined && { zero: inputs[zero]! }),
    dtype,
    ...(size !== undefined && { size }),
  };
}

function isClamp(node: Node): boolean {
  return boundsOf(node) !== undefined;
}

interface KnownBound {
  readonly side: Bound["side"];
  readonly value: number;
}

/** The bounds of a map that does nothing else, if they are known numbers. */
function boundsOf({ op, inputs }: Node): readonly KnownBound[] | undefined {
  const clamping = op.kind === "map" ? matchClamping(op.program) : undefined;
  // The path of movement goes through the first operand.
  if (clamping === undefined || clamping.number !== 0) return undefined;
  const known = clamping.bounds.map(({ side, constant, operand }) => {
    const value = constant ?? onlyElement(inputs[operand!]!);
    return value === undefined || Number.isNaN(value) ? undefined : { side, value };
  });
  return known.includes(undefined) ? undefined : (known as readonly KnownBound[]);
}

function encodeSum(
  b: GraphBuilder,
  sum: DecodedOperand,
  step: Step,
  bounds: readonly KnownBound[],
): Value | undefined {
  const path = sum.path.filter((node) => moves.has(node.op.kind));
  const moved = moveCodes(b, { codes: sum.codes, path });
  if (moved === undefined) return undefined;
  const factor = b.map("f32", [moved.scale, step.scale], (l, s, t) => l.div(s!, t!));
  const kept = bounds
    .map(({ side, value }) => ({ side, value: Math.fround(value / (step.size ?? 1)) }))
    .filter((bound) => !isImplied(bound, step));
  const inputs = [moved.values, factor, ...(step.zero === undefined ? [] : [step.zero])];
  return b.map(step.dtype, inputs, (l, y, f, z) => {
    const steps = kept.reduce((x, bound) => hold(l, x, bound), l.mul(l.toF(y!), f!));
    return encodeSteps(l, steps, z?.type === "i32" ? l.toF(z) : z, step.dtype);
  });
}

/** Whether all that lies beyond the bound saturates to the code of the bound. */
function isImplied({ side, value }: KnownBound, { zero, dtype }: Step): boolean {
  const offset = zero === undefined ? 0 : onlyElement(zero);
  if (offset === undefined) return false;
  const { low, high } = integerLimits(dtype);
  return side === "low" ? Math.ceil(value) + offset <= low : Math.floor(value) + offset >= high;
}

function hold(l: LaneBuilder, x: Lane, { side, value }: KnownBound): Lane {
  const limit = l.constF(value);
  return side === "low" ? l.select(l.lt(x, limit), limit, x) : l.select(l.lt(limit, x), limit, x);
}
