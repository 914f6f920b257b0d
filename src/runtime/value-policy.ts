/**
 * Which inputs a session lets the compiler make programs for a value of: few elements, as sizes, axes and counts
 * have, and few values in a session. An input that takes a new value at every run is data after all; what needs
 * it known is then left to the host.
 */
import type { BoundInput, Executable } from "../isa/executable.js";
import type { Tensor } from "../numerics/tensor.js";
import { elementCount } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";

const boundElementsMax = 64;
const boundValuesMax = 3;

/** How many values each input has been bound to. */
export type BoundValues = Map<string, number>;

/** Values to offer the compiler, as copies: the caller may write to its own later. */
export function offeredValues(
  inputs: ReadonlyMap<string, HostValue>,
  bound: BoundValues,
): ReadonlyMap<string, Tensor> {
  const offered = new Map<string, Tensor>();
  for (const [name, value] of inputs) {
    if (!isTensor(value) || value.dtype === "string") continue;
    if (elementCount(value.shape) > boundElementsMax) continue;
    if ((bound.get(name) ?? 0) < boundValuesMax) {
      offered.set(name, { ...value, data: value.data.slice() as Tensor["data"] });
    }
  }
  return offered;
}

/** True if one of the inputs counts as data from now on: what follows from its values holds no longer. */
export function noteBound({ boundInputs }: Executable, bound: BoundValues): boolean {
  for (const { name } of boundInputs) bound.set(name, (bound.get(name) ?? 0) + 1);
  return boundInputs.some(({ name }) => bound.get(name) === boundValuesMax);
}

/** Whether these are the values that a program was made for. */
export function takesValues(
  { boundInputs }: Executable,
  inputs: ReadonlyMap<string, HostValue>,
): boolean {
  return boundInputs.every((input) => isSame(input, inputs.get(input.name)));
}

function isSame({ value }: BoundInput, given: HostValue | undefined): boolean {
  if (given === undefined || !isTensor(given)) return false;
  const { data } = value;
  return (
    given.dtype === value.dtype &&
    given.shape.join() === value.shape.join() &&
    data.every((element: unknown, i: number) => Object.is(element, given.data[i]))
  );
}
