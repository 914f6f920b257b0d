/** A body with its operands and spans replaced: from a kernel's to a program's, or back. */
import type { LoadBody, MmaBody, StoreBody, VecBody } from "../tile.js";

export type AnyBody<S, D, C> = LoadBody<S, D> | StoreBody<S> | MmaBody<S, D, C> | VecBody<S, D, C>;

export interface BodyMap<S, D, C, S2, D2, C2> {
  source(operand: S): S2;
  /** `began` is where the destination's accumulation begins, if it accumulates. */
  dest(operand: D, began: C | undefined): D2;
  /** `clear` and `init`. */
  begins(span: C): C2;
  /** `fold`. */
  ends(span: C): C2;
}

export function mapBody<S, D, C, S2, D2, C2>(
  body: AnyBody<S, D, C>,
  map: BodyMap<S, D, C, S2, D2, C2>,
): AnyBody<S2, D2, C2> {
  const sourced = <T extends { readonly source: S }>(part: T) => ({
    ...part,
    source: map.source(part.source),
  });
  switch (body.op) {
    case "load": {
      const { index, ...rest } = body;
      const dest = map.dest(body.dest, undefined);
      return { ...rest, ...(index && { index: sourced(index) }), dest };
    }
    case "store": {
      const { index, ...rest } = body;
      return { ...rest, ...(index && { index: sourced(index) }), source: map.source(body.source) };
    }
    case "mma": {
      const { zeroA, zeroB, ...rest } = body;
      return {
        ...rest,
        a: map.source(body.a),
        b: map.source(body.b),
        ...(zeroA && { zeroA: sourced(zeroA) }),
        ...(zeroB && { zeroB: sourced(zeroB) }),
        dest: map.dest(body.dest, body.clear),
        clear: map.begins(body.clear),
        fold: map.ends(body.fold),
      };
    }
    case "vec":
      return {
        ...body,
        inputs: body.inputs.map(sourced),
        outputs: body.outputs.map(({ dest, strides, reduce }) => ({
          dest: map.dest(dest, reduce?.init),
          strides,
          ...(reduce && { reduce: { ...reduce, init: map.begins(reduce.init) } }),
        })),
        carries: body.carries.map(({ state, ...carry }) => ({
          ...carry,
          ...(state && {
            state: {
              ...state,
              dest: map.dest(state.dest, state.init),
              init: map.begins(state.init),
            },
          }),
        })),
      };
    default:
      return body satisfies never;
  }
}
