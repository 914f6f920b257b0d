/** Compares what two engines leave in memory. NaNs are equal whatever their bits: those are unspecified. */
import type { Launched } from "./programs.js";

/** The first difference in words; undefined if there is none. */
export function differenceOf(a: Launched, b: Launched): string | undefined {
  if (JSON.stringify(a.faults) !== JSON.stringify(b.faults)) {
    return `faults ${JSON.stringify(a.faults)} and ${JSON.stringify(b.faults)}`;
  }
  for (const [binding, elements] of a.memory.entries()) {
    const other = b.memory[binding]!;
    const at = elements.findIndex((value, i) => !Object.is(value, other[i]));
    if (at >= 0) return `binding ${binding}, element ${at}: ${elements[at]} and ${other[at]}`;
  }
  return undefined;
}
