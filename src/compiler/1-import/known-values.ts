/**
 * Inputs that decide shapes: a Reshape's target, the sizes of a Resize, the k of a TopK. Where an operator can be
 * lowered only with such a value, and the inputs at hand give it, the graph is made for that value; the result says
 * for which. Data never becomes part of a graph: only values that an operator asked for do.
 */
import type { GraphBuilder } from "../../ir/builder.js";
import { dimMax } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";
import type { Tensor } from "../../numerics/tensor.js";

/** An input whose value the graph is made for, and why. */
export interface BoundInput {
  readonly name: string;
  readonly value: Tensor;
  readonly reason: string;
}

/** Caught by {@link withKnownValues}, which starts the import again with the inputs known. */
class NeedsValues extends Error {
  readonly inputs: readonly string[];
  readonly reason: string;

  constructor(inputs: readonly string[], reason: string) {
    super(`the values of ${inputs.join(", ")} must be known: ${reason}`);
    this.inputs = inputs;
    this.reason = reason;
  }
}

/** Runs `attempt` again with the values of more inputs bound, until it needs no further one. */
export function withKnownValues<T>(
  offered: ReadonlyMap<string, Tensor>,
  attempt: (bound: ReadonlyMap<string, Tensor>) => T,
): { readonly result: T; readonly boundInputs: readonly BoundInput[] } {
  const bound = new Map<string, Tensor>();
  const boundInputs: BoundInput[] = [];
  for (;;) {
    try {
      return { result: attempt(bound), boundInputs };
    } catch (error) {
      if (!(error instanceof NeedsValues)) throw error;
      for (const name of error.inputs) {
        const value = offered.get(name)!;
        bound.set(name, value);
        boundInputs.push({ name, value, reason: error.reason });
      }
    }
  }
}

/** Elements of a value that shapes are worked out with; what is larger is data, or weights. */
const elementsMax = 64;

/**
 * Asks for the inputs that `needed` is computed from, if the values of all of them are offered. What a network
 * computes (how long a text is spoken) is no such value, however few tokens it comes from: for every text there would
 * be a program.
 */
export function requestValue(
  b: GraphBuilder,
  offered: ReadonlySet<string>,
  needed: Value,
  reason: string,
): void {
  const ancestors = b.ancestorsOf(needed);
  if (![...ancestors].every(isSmall)) return;
  const inputs = b.inputs.filter((input) => ancestors.has(input)).map(({ name }) => name);
  if (inputs.length > 0 && inputs.every((name) => offered.has(name))) {
    throw new NeedsValues(inputs, reason);
  }
}

function isSmall({ shape, unknownShape }: Value): boolean {
  return !unknownShape && shape.reduce((n: number, dim) => n * dimMax(dim), 1) <= elementsMax;
}
