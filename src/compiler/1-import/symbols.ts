/**
 * Shapes of the model's inputs: declared dims, bindings and ranges that the caller set, and the shapes of the
 * inputs at hand, put together to numbers and symbols. A dim without a name gets one from its input: "x.0".
 * Names that are sums or products of others ("past + T"), as exporters write them, become expressions.
 */
import {
  type Dim,
  dimAdd,
  type DimExpression,
  dimFloorDiv,
  dimMul,
  dimSub,
  dimSymbols,
  type DimSymbol,
  evaluateDim,
  NeedsBinding,
  symbolDim,
} from "../../ir/dim.js";
import type { DimensionProto, GraphProto, ValueInfoProto } from "../../onnx/schema.js";
import { fail, InternalError } from "../../support/diagnostic.js";
import { narrowedRanges } from "./narrow-ranges.js";

/** Inclusive; the dim stays open until run time within it. */
export interface DimRange {
  readonly min: number;
  readonly max: number;
  readonly multipleOf?: number;
}

export interface ShapeOptions {
  /** By dim_param: a number binds it, a range keeps it open. */
  readonly dims: ReadonlyMap<string, number | DimRange>;
  /** Of the inputs at hand, by input name: they bind what `dims` does not mention. */
  readonly inputShapes: ReadonlyMap<string, readonly number[]>;
}

/** A symbol that had to be given a number although a range was asked for, and why. */
export interface BoundSymbol {
  readonly symbol: string;
  readonly value: number;
  readonly reason: string;
}

/** Symbols as an earlier attempt found that they have to be: a number, an expression of others, a narrower range. */
export type SettledSymbols = ReadonlyMap<string, number | string | DimRange>;

/**
 * Shapes by input, undefined where the rank is not known. `bound`: what takes the place of settings. Throws L0203 for
 * dims without a value, L0204 for settings that name no dim.
 */
export function inputShapes(
  graph: GraphProto,
  options: ShapeOptions,
  bound: SettledSymbols,
): ReadonlyMap<ValueInfoProto, readonly Dim[] | undefined> {
  requireKnownNames(graph, options);
  const actual = actualValues(graph, options);
  const symbols = new Map<string, DimSymbol>();
  const missing = new Set<string>();
  const resolve = (name: string): Dim => {
    const setting = bound.get(name) ?? options.dims.get(name) ?? actual.get(name);
    if (typeof setting === "number") return setting;
    if (typeof setting === "string") return parseDim(setting, resolve)!;
    if (setting === undefined) {
      missing.add(name);
      return 1;
    }
    const symbol = symbols.get(name) ?? { multipleOf: 1, ...setting, name };
    symbols.set(name, symbol);
    return symbolDim(symbol);
  };
  const shapes = new Map(
    graph.input.map((input) => [input, shapeOf(input, options, resolve)] as const),
  );
  if (missing.size > 0) unbound([...missing]);
  return shapes;
}

/**
 * Runs `attempt` again with narrower ranges or more symbols bound, to the values of the inputs at hand, until it
 * needs no further one. L0203 for a symbol that no input at hand gives a value.
 */
export function withBindings<T>(
  graph: GraphProto,
  options: ShapeOptions,
  attempt: (bound: SettledSymbols) => T,
): { readonly result: T; readonly bindings: readonly BoundSymbol[] } {
  const actual = actualValues(graph, options);
  const bound = new Map<string, number | string | DimRange>();
  const isOpen = (symbol: string): boolean =>
    ["undefined", "object"].includes(typeof bound.get(symbol));
  const bindings: BoundSymbol[] = [];
  for (;;) {
    try {
      return { result: attempt(bound), bindings };
    } catch (error) {
      if (!(error instanceof NeedsBinding)) throw error;
      const equality = declaredEquality(error, actual);
      if (equality !== undefined && isOpen(equality.symbol)) {
        bound.set(equality.symbol, equality.text);
        continue;
      }
      const { limit } = error;
      const ranges = limit && narrowedRanges(limit.dim, limit.most, actual);
      if (ranges !== undefined) {
        for (const [symbol, range] of ranges) bound.set(symbol, range);
        continue;
      }
      const open = error.symbols.filter(isOpen);
      if (open.length === 0) throw new InternalError(`no open symbol: ${error.message}`);
      for (const symbol of open) {
        const value = actual.get(symbol) ?? cannotStayOpen(symbol, error.reason);
        bound.set(symbol, value);
        bindings.push({ symbol, value, reason: error.reason });
      }
    }
  }
}

/**
 * Exporters name total lengths apart from what they are the sum of. Where a model only makes sense if a symbol is
 * some expression of others, and the shapes at hand agree, it is taken to be that; every run checks it.
 */
function declaredEquality(
  { equal }: NeedsBinding,
  actual: ReadonlyMap<string, number>,
): { readonly symbol: string; readonly text: string } | undefined {
  if (equal === undefined) return undefined;
  for (const [one, other] of [equal, equal.toReversed()] as [Dim, Dim][]) {
    if (typeof one === "number" || typeof other === "number") continue;
    const symbol = loneSymbol(one);
    const used = [...dimSymbols(other)].map((s) => s.name);
    if (symbol === undefined || used.includes(symbol)) continue;
    if (![symbol, ...used].every((name) => actual.has(name))) continue;
    if (evaluateDim(one, actual) !== evaluateDim(other, actual)) continue;
    const text = loneSymbol(other) === undefined ? other.text : `(${other.text})`;
    if (parseDim(text, () => 1) !== undefined) return { symbol, text };
  }
  return undefined;
}

function loneSymbol(dim: DimExpression): string | undefined {
  const [term] = dim.terms;
  const [atom] = term?.atoms ?? [];
  const isLone = dim.terms.length === 1 && term!.coefficient === 1 && term!.atoms.length === 1;
  return isLone && atom?.kind === "symbol" ? atom.symbol.name : undefined;
}

function dimsOf(input: ValueInfoProto): readonly DimensionProto[] | undefined {
  const { type } = input;
  return (type?.tensorType ?? type?.sparseTensorType)?.shape?.dim;
}

/** A dim's number or name; -1 is how some exporters write an open dim. */
function dimName(input: ValueInfoProto, axis: number, dim: DimensionProto): number | string {
  if ((dim.dimParam ?? "") !== "") return dim.dimParam!;
  if (dim.dimValue !== undefined && dim.dimValue >= 0) return dim.dimValue;
  return `${input.name ?? ""}.${axis}`;
}

/** What an input declares: numbers and names, undefined where it declares no rank. */
export function declaredDims(input: ValueInfoProto): readonly (number | string)[] | undefined {
  return dimsOf(input)?.map((dim, axis) => dimName(input, axis, dim));
}

/** A name that is a sum or product of others ("past + T"), which therefore is no symbol of its own. */
export function isDimExpression(name: string): boolean {
  return parseDim(name, () => 1) !== undefined;
}

/** Symbols whose value the shapes of the inputs at hand give. */
function actualValues(graph: GraphProto, options: ShapeOptions): Map<string, number> {
  const values = new Map<string, number>();
  for (const input of graph.input) {
    const shape = options.inputShapes.get(input.name ?? "");
    dimsOf(input)?.forEach((dim, axis) => {
      const name = dimName(input, axis, dim);
      const value = shape?.[axis];
      if (typeof name === "string" && value !== undefined) values.set(name, value);
    });
  }
  return values;
}

function shapeOf(
  input: ValueInfoProto,
  options: ShapeOptions,
  resolve: (name: string) => Dim,
): readonly Dim[] | undefined {
  const actual = options.inputShapes.get(input.name ?? "");
  const dims = dimsOf(input);
  if (dims === undefined) return actual;
  requireSameShape(input, dims, actual);
  return dims.map((dim, axis) => {
    const name = dimName(input, axis, dim);
    if (typeof name === "number") return name;
    const isSet = options.dims.has(name) || symbolsIn(name).some((s) => options.dims.has(s));
    if (actual !== undefined && !isSet) return actual[axis]!;
    if (options.dims.has(name)) return resolve(name);
    const isExpression = parseDim(name, () => 1) !== undefined;
    return isExpression ? parseDim(name, resolve)! : resolve(name);
  });
}

function requireSameShape(
  input: ValueInfoProto,
  dims: readonly DimensionProto[],
  actual: readonly number[] | undefined,
): void {
  if (actual === undefined) return;
  const fits =
    dims.length === actual.length &&
    dims.every((dim, axis) => {
      const name = dimName(input, axis, dim);
      return typeof name === "string" || name === actual[axis];
    });
  if (fits) return;
  const wanted = dims.map((dim, axis) => dimName(input, axis, dim)).join(", ");
  fail(
    "L0602",
    `input "${input.name}" has the shape [${actual.join(", ")}] where the model has [${wanted}]`,
  );
}

const token = /\s*(?:(\d+)|([A-Za-z_][\w.]*)|(\/\/|[-+*()]))/y;

function tokensOf(text: string): readonly string[] | undefined {
  const tokens: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.trimEnd().length) {
    const match = token.exec(text);
    if (match === null) return undefined;
    tokens.push(match[0].trim());
  }
  return tokens;
}

function symbolsIn(text: string): readonly string[] {
  return tokensOf(text)?.filter((t) => /^[A-Za-z_]/.test(t)) ?? [];
}

/** `2*T + past // 4`: sums, products and floor divisions by numbers; undefined for any other text. */
function parseDim(text: string, resolve: (name: string) => Dim): Dim | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined || tokens.length < 2) return undefined;
  let at = 0;
  const sum = (): Dim | undefined => {
    let left = product();
    while (left !== undefined && (tokens[at] === "+" || tokens[at] === "-")) {
      const add = tokens[at++] === "+" ? dimAdd : dimSub;
      const right = product();
      left = right === undefined ? undefined : add(left, right);
    }
    return left;
  };
  const product = (): Dim | undefined => {
    let left = factor();
    while (left !== undefined && (tokens[at] === "*" || tokens[at] === "//")) {
      const operator = tokens[at++];
      const right = factor();
      if (right === undefined) return undefined;
      if (operator === "*") left = dimMul(left, right);
      else if (typeof right === "number" && right > 0) left = dimFloorDiv(left, right);
      else return undefined;
    }
    return left;
  };
  const factor = (): Dim | undefined => {
    const t = tokens[at++];
    if (t === undefined) return undefined;
    if (/^\d/.test(t)) return Number(t);
    if (/^[A-Za-z_]/.test(t)) return resolve(t);
    if (t !== "(") return undefined;
    const inner = sum();
    return tokens[at++] === ")" ? inner : undefined;
  };
  const dim = sum();
  return at === tokens.length ? dim : undefined;
}

/** Names of the dims that the inputs have, and of the symbols in them. */
export function dimNames(graph: GraphProto): ReadonlySet<string> {
  const known = new Set<string>();
  for (const input of graph.input) {
    dimsOf(input)?.forEach((dim, axis) => {
      const name = dimName(input, axis, dim);
      if (typeof name === "number") return;
      known.add(name);
      for (const symbol of symbolsIn(name)) known.add(symbol);
    });
  }
  return known;
}

function requireKnownNames(graph: GraphProto, options: ShapeOptions): void {
  const known = dimNames(graph);
  for (const name of options.dims.keys()) {
    if (known.has(name)) continue;
    fail("L0204", `the model's inputs have no dimension "${name}"`, {
      notes: [known.size === 0 ? "all are fixed" : `they have ${[...known].join(", ")}`],
    });
  }
}

function unbound(names: readonly string[]): never {
  const list = names.map((name) => `"${name}"`).join(", ");
  const subject = names.length === 1 ? `dimension ${list} has` : `dimensions ${list} have`;
  fail("L0203", `the ${subject} no value`, {
    hint: `bind with ${names.map((name) => `--dim ${name}=1`).join(" ")}, or give a range: --dim ${names[0]}=1..64`,
  });
}

function cannotStayOpen(symbol: string, reason: string): never {
  fail("L0203", `dimension "${symbol}" cannot stay open and has no value`, {
    notes: [reason],
    hint: `bind it with --dim ${symbol}=1`,
  });
}
