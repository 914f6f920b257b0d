/** Ranges under which a dim stays within a limit, for the sizes at hand and as many others as there is room for. */
import { type Dim, dimSymbols, type DimSymbol, evaluateDim } from "../../ir/dim.js";
import type { DimRange } from "./symbols.js";

/**
 * New ranges of the dim's symbols, such that the dim is `most` at most; undefined where the sizes at hand do not
 * allow it, or the ranges do already. The symbol that is largest now gets the room, as the past of a decoder does:
 * the others keep little above what they are.
 */
export function narrowedRanges(
  dim: Dim,
  most: number,
  actual: ReadonlyMap<string, number>,
): ReadonlyMap<string, DimRange> | undefined {
  const symbols = [...dimSymbols(dim)];
  if (!symbols.every(({ name }) => actual.has(name))) return undefined;
  const now = ({ name }: DimSymbol): number => actual.get(name)!;
  const [longest, ...others] = symbols.sort((a, b) => now(b) - now(a));
  if (longest === undefined) return undefined;
  for (const room of [nextPowerOfTwo, (value: number) => value]) {
    const tops = new Map(others.map((s) => [s, Math.min(s.max, room(now(s)))]));
    const fits = (top: number): boolean => {
      const values = [...tops, [longest, top] as const].map(([s, x]) => [s.name, x] as const);
      return evaluateDim(dim, new Map(values)) <= most;
    };
    if (!fits(now(longest))) continue;
    tops.set(longest, largest(now(longest), longest.max, fits));
    const isNarrower = [...tops].some(([s, top]) => top < s.max);
    return isNarrower ? new Map([...tops].map(([s, top]) => [s.name, upTo(s, top)])) : undefined;
  }
  return undefined;
}

/** Never the value alone: a dim that was to stay open does. */
function nextPowerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, value)));
}

function upTo({ min, multipleOf }: DimSymbol, top: number): DimRange {
  return { min, max: top - (top % multipleOf), multipleOf };
}

/** The largest number up to `high` that fits; `low` does, and what lies below one that fits. */
function largest(low: number, high: number, fits: (value: number) => boolean): number {
  if (fits(high)) return high;
  const middle = Math.floor((low + high) / 2);
  if (middle === low) return low;
  return fits(middle) ? largest(middle, high, fits) : largest(low, middle, fits);
}
