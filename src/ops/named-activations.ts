/**
 * Activation functions that a node names by a string: the gates of recurrent layers and what is fused into a
 * convolution. The operators of the same names are in `activations.ts`.
 */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import { elu, hardSigmoid, softplus } from "./activations.js";
import { atLeast, atMost } from "./helpers.js";

export type Activation = (l: LaneBuilder, x: Lane) => Lane;

interface ActivationRow {
  /** Values of alpha and beta where the node gives none. */
  readonly alpha?: number;
  readonly beta?: number;
  readonly lane: (l: LaneBuilder, x: Lane, alpha: number, beta: number) => Lane;
}

const rows = {
  relu: { lane: (l, x) => atLeast(l, x, l.constF(0)) },
  tanh: { lane: (l, x) => l.tanh(x) },
  sigmoid: { lane: (l, x) => l.sigmoid(x) },
  affine: {
    alpha: 1,
    beta: 0,
    lane: (l, x, alpha, beta) => l.add(l.mul(x, l.constF(alpha)), l.constF(beta)),
  },
  leakyrelu: {
    alpha: 0.01,
    lane: (l, x, alpha) => l.select(l.lt(x, l.constF(0)), l.mul(x, l.constF(alpha)), x),
  },
  thresholdedrelu: {
    alpha: 1,
    lane: (l, x, alpha) => l.select(l.lt(x, l.constF(alpha)), l.constF(0), x),
  },
  scaledtanh: {
    alpha: 1,
    beta: 1,
    lane: (l, x, alpha, beta) => l.mul(l.tanh(l.mul(x, l.constF(beta))), l.constF(alpha)),
  },
  hardsigmoid: { alpha: 0.2, beta: 0.5, lane: hardSigmoid },
  elu: { alpha: 1, lane: elu },
  softsign: { lane: (l, x) => l.div(x, l.add(l.abs(x), l.constF(1))) },
  softplus: { lane: softplus },
  clip: {
    alpha: -3.4028234663852886e38,
    beta: 3.4028234663852886e38,
    lane: (l, x, low, high) => atMost(l, atLeast(l, x, l.constF(low)), l.constF(high)),
  },
} satisfies Record<string, ActivationRow>;

/** The function of that name (case does not matter); undefined if there is none. */
export function namedActivation(
  name: string,
  alpha?: number,
  beta?: number,
): Activation | undefined {
  const row = (rows as Record<string, ActivationRow | undefined>)[name.toLowerCase()];
  if (row === undefined) return undefined;
  return (l, x) => row.lane(l, x, alpha ?? row.alpha ?? 0, beta ?? row.beta ?? 0);
}

/** How many of alpha and beta the function takes: recurrent layers list them one after the other. */
export function takesAlpha(name: string): { readonly alpha: boolean; readonly beta: boolean } {
  const row = (rows as Record<string, ActivationRow | undefined>)[name.toLowerCase()];
  return { alpha: row?.alpha !== undefined, beta: row?.beta !== undefined };
}
