/**
 * Quantized tensors as graph passes see them: codes, with the scales and zero points that make numbers of them.
 * Finds the decoding behind a value, and carries codes with their parameters through movement. What quantization is
 * as lane code stands in `quantized-lanes.ts`.
 */
import type { GraphBuilder } from "../../ir/builder.js";
import { dimEquals, dimProduct, type Dim } from "../../ir/dim.js";
import type { Node, PadOperation, Value, WindowOperation } from "../../ir/graph.js";
import { decodeElement } from "../../numerics/convert.js";
import { matchConversion, matchDecoding, matchPair } from "../../numerics/quantized-lanes.js";

/** The numbers (values - zero) * scale. */
export interface Codes {
  readonly values: Value;
  /** Without dims, or with those of the values, each of them 1 or whole. */
  readonly scale: Value;
  /** Likewise; absent: 0. */
  readonly zero?: Value;
}

export type Producers = ReadonlyMap<Value, Node>;

/** A value that was decoded and then moved: by `path`, first movement first. */
export interface DecodedOperand {
  readonly codes: Codes;
  /** The nodes that decode. */
  readonly decoders: readonly Node[];
  readonly path: readonly Node[];
}

const movements: ReadonlySet<string> = new Set([
  "reshape",
  "transpose",
  "broadcast",
  "slice",
  "pad",
  "window",
]);

export function isMovement({ op }: Node): boolean {
  return movements.has(op.kind);
}

/** Follows movement back to the node that decodes, if that is where the value comes from. */
export function decodedOperand(
  value: Value,
  producers: Producers,
  follow: (node: Node) => boolean = isMovement,
): DecodedOperand | undefined {
  const path: Node[] = [];
  let current = value;
  for (;;) {
    const node = producers.get(current);
    if (node === undefined) return undefined;
    if (!follow(node)) {
      const decoded = decoding(node, producers);
      return decoded && { ...decoded, path: path.reverse() };
    }
    path.push(node);
    current = node.inputs[0]!;
  }
}

/** The codes that a map decodes: in one, or as a product with integers that another one converted. */
function decoding(node: Node, producers: Producers): Omit<DecodedOperand, "path"> | undefined {
  if (node.op.kind !== "map") return undefined;
  const { inputs } = node;
  const whole = matchDecoding(node.op.program);
  if (whole !== undefined) {
    const { code, scale, zero } = whole;
    const parameters = {
      scale: inputs[scale]!,
      ...(zero !== undefined && { zero: inputs[zero]! }),
    };
    return checked(node, { values: inputs[code]!, ...parameters }, [node]);
  }
  const pair = matchPair(node.op.program, "mul") ?? [];
  for (const [x, scale] of [pair, [...pair].reverse()]) {
    const converter = x === undefined ? undefined : producers.get(inputs[x]!);
    if (converter?.op.kind !== "map" || scale === undefined) continue;
    if (matchConversion(converter.op.program) === undefined) continue;
    const values = converter.inputs[0]!;
    return checked(node, { values, scale: inputs[scale]! }, [converter, node]);
  }
  return undefined;
}

/** Codes that are repeated for several scales are none of ours. */
function checked(
  { outputs }: Node,
  codes: Codes,
  decoders: readonly Node[],
): Omit<DecodedOperand, "path"> | undefined {
  const [output] = outputs as [Value];
  const { shape } = codes.values;
  const isWhole =
    shape.length === output.shape.length &&
    shape.every((dim, axis) => dimEquals(dim, output.shape[axis]!));
  return isWhole ? { codes, decoders } : undefined;
}

/** The codes after the movement; undefined where their parameters cannot follow. */
export function moveCodes(
  b: GraphBuilder,
  { codes, path }: Pick<DecodedOperand, "codes" | "path">,
): Codes | undefined {
  const rank = codes.values.shape.length;
  let current: Codes | undefined = {
    values: codes.values,
    scale: aligned(b, codes.scale, rank),
    ...(codes.zero !== undefined && { zero: aligned(b, codes.zero, rank) }),
  };
  for (const node of path) {
    current = moveOnce(b, current, node);
    if (current === undefined) return undefined;
  }
  return current;
}

/** Without dims if it is one number, else of the given rank. */
function aligned(b: GraphBuilder, parameter: Value, rank: number): Value {
  const { shape } = parameter;
  if (shape.every((dim) => dim === 1)) return b.reshape(parameter, []);
  return b.reshape(parameter, [...new Array<number>(rank - shape.length).fill(1), ...shape]);
}

function moveOnce(b: GraphBuilder, codes: Codes, node: Node): Codes | undefined {
  const values = moveValues(b, codes, node);
  const scale = moveParameter(b, codes.scale, codes.values, node);
  if (values === undefined || scale === undefined) return undefined;
  if (codes.zero === undefined) return { values, scale };
  const zero = moveParameter(b, codes.zero, codes.values, node);
  return zero && { values, scale, zero };
}

function moveValues(b: GraphBuilder, { values, zero }: Codes, node: Node): Value | undefined {
  const { op, outputs } = node;
  const { shape } = outputs[0]!;
  switch (op.kind) {
    case "reshape":
      return b.reshape(values, shape);
    case "transpose":
      return b.transpose(values, op.perm);
    case "broadcast":
      return b.broadcast(values, shape);
    case "slice":
      return b.slice(values, op.starts, shape, op.steps);
    case "window":
      return b.window(values, op.axes);
    case "pad": {
      const fill = zero === undefined ? 0 : onlyElement(zero);
      // What is padded is the number 0, which the zero point stands for.
      if (op.value !== 0 || fill === undefined) return undefined;
      return b.pad(values, op.low, op.high, fill);
    }
    default:
      return undefined;
  }
}

/** The one element of a constant. */
export function onlyElement({ dtype, data }: Value): number | undefined {
  return data?.data.length === 1 ? decodeElement(dtype, data.data, 0) : undefined;
}

/** A parameter moved as the codes are, whose axes it has. Dims of 1 stay 1. */
function moveParameter(
  b: GraphBuilder,
  parameter: Value,
  values: Value,
  { op, outputs }: Node,
): Value | undefined {
  if (parameter.shape.length === 0) return parameter;
  const varies = parameter.shape.map((dim) => dim !== 1);
  switch (op.kind) {
    case "reshape":
      return reshapeParameter(b, parameter, values.shape, outputs[0]!.shape);
    case "transpose":
      return b.transpose(parameter, op.perm);
    case "broadcast":
      return parameter;
    case "slice": {
      const sizes = parameter.shape.map((dim, i) => (varies[i] ? outputs[0]!.shape[i]! : dim));
      const starts = op.starts.map((start, i) => (varies[i] ? start : 0));
      const steps = op.steps.map((step, i) => (varies[i] ? step : 1));
      return b.slice(parameter, starts, sizes, steps);
    }
    case "pad":
      return isPadded(op, varies) ? undefined : parameter;
    case "window":
      return windowParameter(b, parameter, op, varies);
    default:
      return undefined;
  }
}

function isPadded({ low, high }: PadOperation, varies: readonly boolean[]): boolean {
  return varies.some((is, axis) => is && (low[axis] !== 0 || high[axis] !== 0));
}

function windowParameter(
  b: GraphBuilder,
  parameter: Value,
  { axes }: WindowOperation,
  varies: readonly boolean[],
): Value | undefined {
  if (axes.some(({ axis }) => varies[axis])) return undefined;
  return b.reshape(parameter, [...parameter.shape, ...axes.map(() => 1)]);
}

/** The axes that a parameter varies along, which must be a run of the dims, as the run that they become. */
function reshapeParameter(
  b: GraphBuilder,
  parameter: Value,
  from: readonly Dim[],
  to: readonly Dim[],
): Value | undefined {
  const varying = [...from.keys()].filter((axis) => parameter.shape[axis] !== 1);
  const [first, last] = [varying[0]!, varying.at(-1)!];
  const isRun = from
    .slice(first, last + 1)
    .every((dim, i) => dim === 1 || varying.includes(first + i));
  if (!isRun) return undefined;
  const before = dimProduct(from.slice(0, first));
  const count = dimProduct(from.slice(first, last + 1));
  for (let start = 0; start < to.length; start++) {
    if (!dimEquals(dimProduct(to.slice(0, start)), before)) continue;
    for (let end = start + 1; end <= to.length; end++) {
      if (!dimEquals(dimProduct(to.slice(start, end)), count)) continue;
      const shape = to.map((dim, axis) => (axis >= start && axis < end ? dim : 1));
      return b.reshape(parameter, shape);
    }
  }
  return undefined;
}
