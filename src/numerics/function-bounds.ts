/**
 * How far each function of `functions.ts` may be from the true value: in units in the last place of the fp32
 * result, over the arguments from `from` to `to`. Outside (sin, cos, tan of large arguments) the result is
 * that of an argument some ulps away. The maxima over every seventh fp32 number are at most these (of pow: over
 * random pairs); tests find them again on fewer.
 */
import type { FunctionName } from "./lane.js";

export interface FunctionBound {
  readonly ulps: number;
  readonly from: number;
  readonly to: number;
}

const everywhere = { from: -Infinity, to: Infinity };

export const functionBounds: { readonly [F in FunctionName]: FunctionBound } = {
  exp: { ulps: 1.1, ...everywhere },
  log: { ulps: 1, ...everywhere },
  sin: { ulps: 2.5, from: -12_800, to: 12_800 },
  cos: { ulps: 2.5, from: -12_800, to: 12_800 },
  tan: { ulps: 3.5, from: -12_800, to: 12_800 },
  asin: { ulps: 2.5, ...everywhere },
  acos: { ulps: 1.5, ...everywhere },
  atan: { ulps: 3, ...everywhere },
  sinh: { ulps: 2.5, ...everywhere },
  cosh: { ulps: 1.5, ...everywhere },
  tanh: { ulps: 2.75, ...everywhere },
  asinh: { ulps: 2.5, ...everywhere },
  acosh: { ulps: 2.5, ...everywhere },
  atanh: { ulps: 2.1, ...everywhere },
  sigmoid: { ulps: 2.5, ...everywhere },
  erf: { ulps: 2.6, ...everywhere },
  pow: { ulps: 6.5, ...everywhere },
};
