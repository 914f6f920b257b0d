/** Values of symbols from the extents of actual tensors. */
import { fail } from "../support/diagnostic.js";
import { type Dim, type DimSymbol, dimText, evaluateDim } from "./dim.js";
import type { Value } from "./graph.js";

/**
 * Binds every symbol that stands alone as a dim of `value`, or as a multiple plus a constant, and checks the other
 * dims against what is bound; L0602 where the extents break the declared shape.
 */
export function bindDims(
  value: Value,
  shape: readonly number[],
  bindings: Map<string, number>,
): void {
  const declared = `[${value.shape.map(dimText).join(", ")}]`;
  const given = `"${value.name}" has shape [${shape.join(", ")}], the model wants ${declared}`;
  if (shape.length !== value.shape.length) fail("L0602", given);
  value.shape.forEach((dim, axis) => {
    const found = solveSymbol(dim, shape[axis]!);
    if (found !== undefined && !bindings.has(found.symbol.name)) bindSymbol(found, given, bindings);
  });
  value.shape.forEach((dim, axis) => {
    if (evaluateDim(dim, bindings) !== shape[axis]) fail("L0602", given);
  });
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
