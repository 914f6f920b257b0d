/**
 * A second opinion: what ONNX Runtime makes of every node, from the very values that the node has read. So errors do
 * not pile up over a graph, and a difference is that node's. ONNX Runtime may crash its process on a model that is not
 * valid, so it is never asked in a test's process.
 */
import * as ort from "onnxruntime-node";
import { type DType, isFloat } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import type { Model } from "../../src/onnx/model.js";
import { isTensor } from "../../src/ops/context.js";
import { itemsOf } from "../../src/ops/host-value.js";
import type { HostValue } from "../../src/ops/record.js";
import { describeDifference, type Tolerance } from "../../src/runtime/compare.js";
import { tensorFromOrt, type TensorLike } from "../../src/runtime/ort-tensors.js";
import { reasonNotToAsk } from "./peer-exceptions.js";
import { allowingCancellation } from "./tolerance.js";
import { type ModelNode, nameInFile, standalone, type Values } from "./nodes.js";

export type Opinion =
  | { readonly kind: "equal" }
  /** It does not take the node, or a type that its JavaScript API does not have. */
  | { readonly kind: "none"; readonly why: string }
  | { readonly kind: "different"; readonly what: string };

export async function opinionOfPeer(
  model: Model,
  nodes: readonly ModelNode[],
  node: ModelNode,
  values: Values,
): Promise<Opinion> {
  const read = node.uses.flatMap((name) => tensorsIn(values.get(name)));
  const made = node.outputNames.flatMap((name) => tensorsIn(values.get(name)));
  const inputs = node.proto.input.map((name) => {
    const value = values.get(name);
    return value !== undefined && isTensor(value) ? value : undefined;
  });
  const why = reasonNotToAsk({ ...node, opset: opsetOf(model, node), inputs, read, made });
  if (why !== undefined) return { kind: "none", why };
  const file = standalone(model, nodes, node, values);
  if (file === undefined) return { kind: "none", why: "an input that is no tensor" };
  let results: ort.InferenceSession.ReturnType;
  try {
    results = await run(file);
  } catch (error) {
    return { kind: "none", why: (error as Error).message.split("\n")[0]! };
  }
  const isEmpty = read.some(({ data }) => data.length === 0);
  for (const name of node.outputNames) {
    const mine = values.get(name);
    const theirs = results[nameInFile(name, values)] as unknown as TensorLike | undefined;
    if (theirs === undefined || mine === undefined || !isTensor(mine)) continue;
    const expected = tensorFromOrt(theirs, { name, dtype: mine.dtype });
    const difference = isEmpty
      ? typeDifference(mine, expected)
      : differenceOf(node, mine, expected, read);
    if (difference !== undefined) return { kind: "different", what: `${name}: ${difference}` };
  }
  return { kind: "equal" };
}

function opsetOf({ opsetImport }: Model, { proto }: ModelNode): number {
  const { domain = "" } = proto;
  return opsetImport.find((one) => (one.domain ?? "") === domain)?.version ?? 1;
}

async function run(file: Uint8Array): Promise<ort.InferenceSession.ReturnType> {
  const session = await ort.InferenceSession.create(file, {
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  try {
    return await session.run({});
  } finally {
    await session.release();
  }
}

function tensorsIn(value: HostValue | undefined): readonly Tensor[] {
  if (value === undefined) return [];
  if (isTensor(value)) return [value];
  return itemsOf(value).flatMap(tensorsIn);
}

/** What it computes from nothing is not always written. */
function typeDifference(mine: Tensor, expected: Tensor): string | undefined {
  const typeOf = ({ dtype, shape }: Tensor): string => `${dtype}[${shape}]`;
  if (typeOf(mine) === typeOf(expected)) return undefined;
  return `the result is ${typeOf(mine)}, not ${typeOf(expected)}`;
}

/** As for conformance. */
const tolerance: Tolerance = { rtol: 1e-3, atol: 1e-4 };
/** Where 16 bits are computed with: its kernels round more often than ours. */
const coarse: Tolerance = { rtol: 2e-2, atol: 2e-2 };
const coarseTypes: ReadonlySet<DType> = new Set(["f16", "bf16"]);

function differenceOf(
  { operator }: ModelNode,
  mine: Tensor,
  expected: Tensor,
  read: readonly Tensor[],
): string | undefined {
  if (isRounding(operator, read) && areNeighbours(mine, expected)) return undefined;
  const isCoarse = [mine, ...read].some(({ dtype }) => coarseTypes.has(dtype));
  const allowed = allowingCancellation(isCoarse ? coarse : tolerance, mine);
  return describeDifference(mine, expected, allowed);
}

/** Whether codes are the rounding of a sum that may lie between two. */
function isRounding(operator: string, read: readonly Tensor[]): boolean {
  return operator !== "Cast" && read.some(({ dtype }) => isFloat(dtype));
}

/** Codes that differ by one at most. */
function areNeighbours(a: Tensor, b: Tensor): boolean {
  const isCode = (x: Tensor): boolean => ["u8", "i8", "u16", "i16"].includes(x.dtype);
  const isAlike = isCode(a) && a.dtype === b.dtype && a.shape.join() === b.shape.join();
  return (
    isAlike &&
    Array.from(a.data as ArrayLike<number>).every(
      (value, i) => Math.abs(value - Number(b.data[i])) <= 1,
    )
  );
}
