/** How the points of an iteration space find their elements in memory. */
import { type Dim, dimAdd } from "../../ir/dim.js";
import type { Storage } from "../tiled.js";
import type { IndexMap } from "./index-map.js";

/** One dim of an access in memory: a stride and the coordinate along it. */
export interface AccessDim {
  readonly stride: number;
  readonly origin: Dim;
  readonly terms: readonly { readonly axis: number; readonly coefficient: number }[];
  readonly limit?: Dim;
}

/** How a group reads or writes a storage at each point of its axes. */
export interface Access {
  readonly storage: Storage;
  readonly dims: readonly AccessDim[];
  readonly fill: number;
}

export function makeAccess(storage: Storage, map: IndexMap): Access {
  const dims = map.expressions.map((e, i): AccessDim => {
    const origin = dimAdd(e.origin, storage.origins?.[i] ?? 0);
    // A start that is known only at run time is kept inside by a clip, so that no scalar can lead outside.
    const limit = e.limit ?? (typeof origin === "number" ? undefined : storage.extents[i]!);
    return {
      stride: storage.strides[i]!,
      origin,
      terms: e.terms.filter((t) => t.coefficient !== 0),
      ...(limit === undefined ? {} : { limit }),
    };
  });
  return { storage, dims, fill: map.fill ?? 0 };
}

/** Stride in memory along an iteration axis. */
export function axisStride(access: Access, axis: number): number {
  let stride = 0;
  for (const dim of access.dims) {
    for (const t of dim.terms) if (t.axis === axis) stride += t.coefficient * dim.stride;
  }
  return stride;
}

export function usesAxis(access: Access, axis: number): boolean {
  return access.dims.some((dim) => dim.terms.some((t) => t.axis === axis));
}
