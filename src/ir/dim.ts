/**
 * Extents of tensors: a number, or an expression over symbols that are bound at run time.
 * Expressions are polynomials over atoms (symbols and floor divisions), kept in a canonical text, so two
 * dims are the same expression exactly if their `text` is the same.
 *
 * A symbol is one of the model's dim_params ("batch", "T") with a static range. Whatever needs a number
 * calls {@link staticDim}; on a symbol that throws {@link NeedsBinding}, and the import starts again with
 * that symbol bound, recording the reason. So code that never heard of symbols is still right.
 */
import { InternalError } from "../support/diagnostic.js";

export interface DimSymbol {
  readonly name: string;
  /** Inclusive range within which the compiled program is valid. */
  readonly min: number;
  readonly max: number;
  /** The value is always a multiple of this. */
  readonly multipleOf: number;
}

export interface DimExpression {
  readonly kind: "dim";
  /** Canonical text, for example `2*T + 3` or `floor((W - 1) / 2) + 1`. */
  readonly text: string;
  /** Sum of terms: coefficient times a product of atoms (the empty product is 1). */
  readonly terms: readonly DimTerm[];
  readonly min: number;
  readonly max: number;
}

export interface DimTerm {
  readonly coefficient: number;
  readonly atoms: readonly DimAtom[];
}

export type DimAtom =
  | { readonly kind: "symbol"; readonly symbol: DimSymbol }
  | { readonly kind: "floorDiv"; readonly numerator: DimExpression; readonly divisor: number };

export type Dim = number | DimExpression;

export interface DimLimit {
  readonly dim: Dim;
  readonly most: number;
}

/** Thrown where a number is needed and a symbolic dim was found. Caught by the import, which binds it. */
export class NeedsBinding extends Error {
  readonly symbols: readonly string[];
  readonly reason: string;
  /** Two dims that would have to be equal: where one is a symbol, it may be declared to be the other instead. */
  readonly equal?: readonly [Dim, Dim];
  /** A dim whose symbols may stay open after all where it is `most` at most. */
  readonly limit?: DimLimit;

  constructor(
    symbols: readonly string[],
    reason: string,
    cure: { readonly equal?: readonly [Dim, Dim]; readonly limit?: DimLimit } = {},
  ) {
    super(`dimension ${symbols.join(", ")} must be bound: ${reason}`);
    this.symbols = symbols;
    this.reason = reason;
    if (cure.equal !== undefined) this.equal = cure.equal;
    if (cure.limit !== undefined) this.limit = cure.limit;
  }
}

/** The number behind a dim that must be static; throws {@link NeedsBinding} with `reason` otherwise. */
export function staticDim(dim: Dim, reason: string): number {
  if (typeof dim === "number") return dim;
  throw new NeedsBinding(
    [...dimSymbols(dim)].map((s) => s.name),
    reason,
  );
}

export function staticShape(shape: readonly Dim[], reason: string): number[] {
  return shape.map((dim) => staticDim(dim, reason));
}

/** Largest value the dim can take: what buffers are laid out for. */
export function dimMax(dim: Dim): number {
  return typeof dim === "number" ? dim : dim.max;
}

export function dimMin(dim: Dim): number {
  return typeof dim === "number" ? dim : dim.min;
}

export function dimText(dim: Dim): string {
  return typeof dim === "number" ? String(dim) : dim.text;
}

export function dimEquals(a: Dim, b: Dim): boolean {
  return dimText(a) === dimText(b);
}

export function symbolDim(symbol: DimSymbol): Dim {
  if (symbol.min === symbol.max) return symbol.min;
  return fromTerms([{ coefficient: 1, atoms: [{ kind: "symbol", symbol }] }]);
}

export function dimAdd(a: Dim, b: Dim): Dim {
  return fromTerms([...termsOf(a), ...termsOf(b)]);
}

export function dimSub(a: Dim, b: Dim): Dim {
  return dimAdd(a, dimMul(b, -1));
}

export function dimMul(a: Dim, b: Dim): Dim {
  const product: DimTerm[] = [];
  for (const left of termsOf(a)) {
    for (const right of termsOf(b)) {
      product.push({
        coefficient: left.coefficient * right.coefficient,
        atoms: [...left.atoms, ...right.atoms],
      });
    }
  }
  return fromTerms(product);
}

/** floor(a / divisor). Terms whose coefficient the divisor divides, with multiples of symbols, come out. */
export function dimFloorDiv(a: Dim, divisor: number): Dim {
  if (divisor === 1) return a;
  if (typeof a === "number") return Math.floor(a / divisor);
  const outside: DimTerm[] = [];
  const inside: DimTerm[] = [];
  for (const term of a.terms) {
    const scale = term.coefficient * multipleOf(term);
    if (scale % divisor === 0) outside.push(...divideTerm(term, divisor));
    else inside.push(term);
  }
  return dimAdd(fromTerms(outside), floorOf(fromTerms(inside), divisor));
}

/** A floor inside, plus whole numbers, joins in: floor((floor(n / d) + t) / e) = floor((n + d t) / (d e)). */
function floorOf(rest: Dim, divisor: number): Dim {
  if (typeof rest === "number") return Math.floor(rest / divisor);
  for (const term of rest.terms) {
    const [atom] = term.atoms;
    if (term.coefficient !== 1 || term.atoms.length !== 1 || atom?.kind !== "floorDiv") continue;
    const others = fromTerms(rest.terms.filter((other) => other !== term));
    const joined = dimAdd(atom.numerator, dimMul(others, atom.divisor));
    return dimFloorDiv(joined, atom.divisor * divisor);
  }
  return fromTerms([{ coefficient: 1, atoms: [{ kind: "floorDiv", numerator: rest, divisor }] }]);
}

export function dimCeilDiv(a: Dim, divisor: number): Dim {
  return dimFloorDiv(dimAdd(a, divisor - 1), divisor);
}

export function dimProduct(shape: readonly Dim[]): Dim {
  return shape.reduce<Dim>((product, dim) => dimMul(product, dim), 1);
}

/**
 * a / b where that is known to be exact, for every binding; undefined where it is not.
 * Decides what -1 in a Reshape stands for.
 */
export function dimExactDiv(a: Dim, b: Dim): Dim | undefined {
  if (typeof b === "number") {
    if (b === 0) return undefined;
    if (typeof a === "number") return a % b === 0 ? a / b : undefined;
    if (a.terms.every((t) => (t.coefficient * multipleOf(t)) % b === 0)) return dimFloorDiv(a, b);
    return undefined;
  }
  if (dimEquals(a, b)) return 1;
  if (typeof a === "number" || b.terms.length !== 1) return undefined;
  return divideByTerm(a, b.terms[0]!);
}

/** Value under a binding of every symbol. */
export function evaluateDim(dim: Dim, bindings: ReadonlyMap<string, number>): number {
  if (typeof dim === "number") return dim;
  let sum = 0;
  for (const term of dim.terms) {
    let product = term.coefficient;
    for (const atom of term.atoms) product *= evaluateAtom(atom, bindings);
    sum += product;
  }
  return sum;
}

export function dimSymbols(dim: Dim, into = new Set<DimSymbol>()): Set<DimSymbol> {
  if (typeof dim === "number") return into;
  for (const term of dim.terms) {
    for (const atom of term.atoms) {
      if (atom.kind === "symbol") into.add(atom.symbol);
      else dimSymbols(atom.numerator, into);
    }
  }
  return into;
}

function evaluateAtom(atom: DimAtom, bindings: ReadonlyMap<string, number>): number {
  if (atom.kind === "floorDiv") {
    return Math.floor(evaluateDim(atom.numerator, bindings) / atom.divisor);
  }
  const value = bindings.get(atom.symbol.name);
  if (value === undefined) throw new InternalError(`symbol ${atom.symbol.name} has no value`);
  return value;
}

function termsOf(dim: Dim): readonly DimTerm[] {
  if (typeof dim !== "number") return dim.terms;
  return dim === 0 ? [] : [{ coefficient: dim, atoms: [] }];
}

function atomText(atom: DimAtom): string {
  return atom.kind === "symbol"
    ? atom.symbol.name
    : `floor((${atom.numerator.text}) / ${atom.divisor})`;
}

function atomRange(atom: DimAtom): readonly [number, number] {
  if (atom.kind === "symbol") return [atom.symbol.min, atom.symbol.max];
  const { numerator, divisor } = atom;
  return [Math.floor(numerator.min / divisor), Math.floor(numerator.max / divisor)];
}

function multipleOf(term: DimTerm): number {
  return term.atoms.reduce((m, atom) => m * multipleOfAtom(atom), 1);
}

function multipleOfAtom(atom: DimAtom): number {
  if (atom.kind === "symbol") return atom.symbol.multipleOf;
  return isExact(atom) ? multipleOf(atom.numerator.terms[0]!) / atom.divisor : 1;
}

/** A product of symbols divided by a number that divides it, whatever they are bound to. */
function isExact(atom: DimAtom & { readonly kind: "floorDiv" }): boolean {
  const { terms } = atom.numerator;
  return (
    terms.length === 1 && terms[0]!.coefficient === 1 && multipleOf(terms[0]!) % atom.divisor === 0
  );
}

/** A term divided exactly: by its coefficient as far as that goes, the rest by a floorDiv atom that is exact. */
function divideTerm(term: DimTerm, divisor: number): readonly DimTerm[] {
  const common = gcd(term.coefficient, divisor);
  const coefficient = term.coefficient / common;
  if (divisor === common) return [{ coefficient, atoms: term.atoms }];
  const quotient = floorOf(fromTerms([{ coefficient: 1, atoms: term.atoms }]), divisor / common);
  return termsOf(dimMul(quotient, coefficient));
}

function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}

/** Its coefficient cancelled against exact divisions: 2 * (W / 32) is W / 16. */
function cancelled(term: DimTerm): DimTerm {
  for (const [i, atom] of term.atoms.entries()) {
    if (atom.kind !== "floorDiv" || !isExact(atom)) continue;
    const common = gcd(term.coefficient, atom.divisor);
    if (common === 1) continue;
    const divisor = atom.divisor / common;
    const rest = divisor === 1 ? atom.numerator.terms[0]!.atoms : [{ ...atom, divisor }];
    const atoms = [...term.atoms.slice(0, i), ...rest, ...term.atoms.slice(i + 1)];
    return cancelled({ coefficient: term.coefficient / common, atoms });
  }
  return term;
}

function divideByTerm(a: DimExpression, by: DimTerm): Dim | undefined {
  const quotient: DimTerm[] = [];
  for (const term of a.terms) {
    const atoms = [...term.atoms];
    for (const atom of by.atoms) {
      const at = atoms.findIndex((x) => atomText(x) === atomText(atom));
      if (at < 0) return undefined;
      atoms.splice(at, 1);
    }
    if (term.coefficient % by.coefficient !== 0) return undefined;
    quotient.push({ coefficient: term.coefficient / by.coefficient, atoms });
  }
  return fromTerms(quotient);
}

/** By the text of the atoms. */
function mergeTerms(terms: readonly DimTerm[]): Map<string, DimTerm> {
  const merged = new Map<string, DimTerm>();
  for (const term of terms) {
    const atoms = [...term.atoms].sort((a, b) => (atomText(a) < atomText(b) ? -1 : 1));
    const key = atoms.map(atomText).join("*");
    const coefficient = (merged.get(key)?.coefficient ?? 0) + term.coefficient;
    merged.set(key, { coefficient, atoms });
  }
  return merged;
}

/** Canonical form: like terms merged, sorted by text, ranges from the ranges of the atoms. */
function fromTerms(terms: readonly DimTerm[]): Dim {
  const merged = mergeTerms(terms);
  const simpler = [...merged.values()].map((term) => ({ term, cancelled: cancelled(term) }));
  if (simpler.some((s) => s.cancelled !== s.term))
    return fromTerms(simpler.map((s) => s.cancelled));
  const kept = [...merged]
    .filter(([, t]) => t.coefficient !== 0)
    .sort(([a], [b]) => (a < b ? 1 : -1));
  const [first] = kept;
  if (first === undefined) return 0;
  if (kept.length === 1 && first[0] === "") return first[1].coefficient;
  let min = 0;
  let max = 0;
  const texts: string[] = [];
  for (const [key, { coefficient, atoms }] of kept) {
    let low = 1;
    let high = 1;
    for (const [lo, hi] of atoms.map(atomRange)) {
      const corners = [low * lo, low * hi, high * lo, high * hi];
      low = Math.min(...corners);
      high = Math.max(...corners);
    }
    min += coefficient > 0 ? coefficient * low : coefficient * high;
    max += coefficient > 0 ? coefficient * high : coefficient * low;
    texts.push(
      key === "" ? String(coefficient) : coefficient === 1 ? key : `${coefficient}*${key}`,
    );
  }
  return { kind: "dim", text: texts.join(" + "), terms: kept.map(([, t]) => t), min, max };
}
