/** What the builder makes of a gather: a slice where its indices are a progression, else a gather that transfers can walk. */
import { reshape, sliceAxis } from "./movement.js";
import { type Dim, dimAdd, dimMax, dimMin, dimProduct, dimSub } from "../dim.js";
import type { GraphAssembly } from "./assembly.js";
import * as shapes from "../graph-shapes.js";
import type { Value } from "../graph.js";

/** Transfers with indices walk so many axes; more of them can be merged, which changes nothing in memory. */
const gatheredRankMax = 4;

export function gather(graph: GraphAssembly, data: Value, indices: Value, axis: number): Value {
  const at = shapes.resolveAxis(axis, shapes.requireKnownShape(data).shape.length);
  const { dtype, shape } = shapes.gatherType(data, shapes.requireKnownShape(indices), at);
  const extent = data.shape[at]!;
  const walk = progression(indices) ?? openIndex(indices, extent);
  if (walk !== undefined) {
    const start = dimMin(walk.start) < 0 ? dimAdd(extent, walk.start) : walk.start;
    const picked = sliceAxis(graph, data, at, start, walk.count, walk.step);
    return reshape(graph, picked, shape);
  }
  if (shape.length > gatheredRankMax) {
    return reshape(graph, gatherFlat(graph, data, indices, at), shape);
  }
  return graph.emit({ kind: "gather", axis: at }, [data, indices], dtype, shape);
}

/** The gather with at most one axis before the gathered one, one of indices, and one behind. */
function gatherFlat(graph: GraphAssembly, data: Value, indices: Value, axis: number): Value {
  const merged = (dims: readonly Dim[]): Dim[] => [dimProduct(dims)].filter((dim) => dim !== 1);
  const before = merged(data.shape.slice(0, axis));
  const behind = merged(data.shape.slice(axis + 1));
  const flat = reshape(graph, indices, [dimProduct(indices.shape)]);
  const table = reshape(graph, data, [...before, data.shape[axis]!, ...behind]);
  return gather(graph, table, flat, before.length);
}

/** Indices that a strided slice could read, all from one end. */
interface Progression {
  readonly start: Dim;
  readonly step: number;
  readonly count: number;
}

/** One index that is known as a dim, if it is inside whatever the dims are. */
function openIndex({ dims }: Value, extent: Dim): Progression | undefined {
  const [start, ...more] = dims ?? [];
  if (start === undefined || more.length > 0) return undefined;
  const isInside = dimMin(start) >= 0 && dimMax(dimSub(start, extent)) < 0;
  return isInside ? { start, step: 1, count: 1 } : undefined;
}

function progression({ data }: Value): (Progression & { readonly start: number }) | undefined {
  const values = data?.data;
  if (values === undefined || values.length === 0 || values.length > 4096) return undefined;
  const start = Number(values[0]);
  const step = values.length === 1 ? 1 : Number(values[1]) - start;
  if (step === 0) return undefined;
  for (let i = 0; i < values.length; i++) {
    const index = Number(values[i]);
    if (index !== start + i * step || index < 0 !== start < 0) return undefined;
  }
  return { start, step, count: values.length };
}
