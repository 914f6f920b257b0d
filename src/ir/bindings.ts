/** Values of symbols from the extents of actual tensors. */
import { fail } from "../support/diagnostic.js";
import { type Dim, type DimSymbol, dimText, evaluateDim } from "./dim.js";
import type { Value } from "./graph.js";

/** A value and the extents of the tensor at hand for it. */
export interface ShapeAtHand {
  readonly value: Value;
  readonly shape: readonly number[];
}

/**
 * Binds every symbol that stands alone as a dim, or as a multiple plus a constant, and then checks all dims
 * against what is bound; L0602 where the extents break a declared shape.
 */
export function bindShapes(given: readonly ShapeAtHand[], bindings: Map<string, number>): void {
  for (const { value, shape } of given) {
    const text = mismatchText(value, shape);
    if (shape.length !== value.shape.length) fail("L0602", text);
    value.shape.forEach((dim, axis) => {
      const found = solveSymbol(dim, shape[axis]!);
      if (found !== undefined && !bindings.has(found.symbol.name))
        bindSymbol(found, text, bindings);
    });
  }
  for (const { value, shape } of given) {
    const fits = value.shape.every((dim, axis) => evaluateDim(dim, bindings) === shape[axis]);
    if (!fits) fail("L0602", mismatchText(value, shape));
  }
}

function mismatchText(value: Value, shape: readonly number[]): string {
  const declared = `[${value.shape.map(dimText).join(", ")}]`;
  return `"${value.name}" has shape [${shape.join(", ")}], the model wants ${declared}`;
}

function bindSymbol(
  { symbol, extent }: { readonly symbol: DimSymbol; readonly extent: number },
  given: string,
  bindings: Map<string, number>,
): void {
  const { name, min, max, multipleOf } = symbol;
  if (!Number.isInteger(extent) || extent < min || extent > max || extent % multipleOf !== 0) {
    const step = multipleOf === 1 ? "" : ` in steps of ${multipleOf}`;
    fail("L0602", given, { notes: [`${name} lies in ${min}..${max}${step}`] });
  }
  bindings.set(name, extent);
}

/** The symbol s and its value where dim is coefficient * s + constant. */
function solveSymbol(
  dim: Dim,
  extent: number,
): { readonly symbol: DimSymbol; readonly extent: number } | undefined {
  if (typeof dim === "number") return undefined;
  const constant = dim.terms.find((term) => term.atoms.length === 0)?.coefficient ?? 0;
  const [term, ...more] = dim.terms.filter((t) => t.atoms.length > 0);
  const [atom, ...others] = term?.atoms ?? [];
  if (more.length > 0 || others.length > 0 || atom?.kind !== "symbol") return undefined;
  return { symbol: atom.symbol, extent: (extent - constant) / term!.coefficient };
}
