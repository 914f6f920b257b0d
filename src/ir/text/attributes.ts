/**
 * What printing and parsing of graphs share: which attributes each operation has, and the text of dims, types,
 * elements and attribute values. The form of whole lines is in `print.ts`.
 */
import { decodeElement, encodeArray } from "../../numerics/convert.js";
import { type DType, dtypes } from "../../numerics/dtype.js";
import type { EncodeOptions } from "../../numerics/float-formats.js";
import { parseLanes, printLanes } from "../../numerics/lane-text.js";
import type { LaneProgram } from "../../numerics/lane.js";
import { doubleText, floatText } from "../../numerics/number-text.js";
import type { TensorData } from "../../numerics/tensor.js";
import {
  type Dim,
  dimAdd,
  type DimAtom,
  dimFloorDiv,
  dimMul,
  type DimSymbol,
  symbolDim,
} from "../dim.js";
import type {
  LoopScan,
  Operation,
  OperationKind,
  Reduction,
  ScatterOperation,
  WindowAxis,
} from "../graph.js";
import { nameText, type TextScanner } from "./scanner.js";

export type CoreKind = Exclude<OperationKind, "host">;

type AttributesOf<K extends CoreKind> = Exclude<
  keyof Extract<Operation, { kind: K }>,
  "kind" | "bodies"
>;

/** Attributes in the order in which they are printed. */
export const operationAttributes: {
  readonly [K in CoreKind]: { readonly [A in AttributesOf<K>]-?: AttributeForm };
} = {
  iota: { axis: "integer" },
  reshape: {},
  transpose: { perm: "integers" },
  broadcast: {},
  slice: { starts: "dims", steps: "integers" },
  pad: { low: "integers", high: "integers", value: "number" },
  window: { axes: "windows" },
  concat: { axis: "integer" },
  map: { encode: "encode", program: "lanes" },
  reduce: { reduction: "reduction", axes: "integers" },
  contract: { a: "letters", b: "letters", out: "letters", order: "letters" },
  gather: { axis: "integer" },
  scatter: { axis: "integer", combine: "combine" },
  scan: { axis: "integer", combine: "combine", exclusive: "truth", reverse: "truth" },
  if: {},
  loop: {
    index: "symbol",
    trips: "dim",
    condition: "truth",
    states: "integer",
    scans: "scans",
    count: "symbol",
  },
};

/** Attributes that an operation may lack. */
export const optionalAttributes: ReadonlySet<string> = new Set(["encode", "trips", "count"]);

export type AttributeForm = keyof AttributeTypes;

interface AttributeTypes {
  integer: number;
  integers: readonly number[];
  number: number;
  dim: Dim;
  dims: readonly Dim[];
  symbol: DimSymbol;
  scans: readonly LoopScan[];
  windows: readonly WindowAxis[];
  lanes: LaneProgram;
  encode: EncodeOptions;
  reduction: Reduction;
  combine: ScatterOperation["combine"] | "sum" | "prod";
  letters: string;
  truth: boolean;
}

interface Form<T> {
  print(value: T): string;
  parse(s: TextScanner, symbols: Symbols): T;
}

/** Declared symbols by name. */
export type Symbols = ReadonlyMap<string, DimSymbol>;

const reductions = [
  "sum",
  "prod",
  "seqsum",
  "max",
  "min",
  "and",
  "or",
  "argmax",
  "argmin",
] as const satisfies readonly Reduction[];
const combines = ["assign", "add", "mul", "min", "max", "sum", "prod"] as const;

export const attributeForms: { readonly [F in AttributeForm]: Form<AttributeTypes[F]> } = {
  integer: { print: String, parse: (s) => s.integer() },
  integers: { print: (v) => `[${v.join(", ")}]`, parse: (s) => s.list(() => s.integer()) },
  number: { print: doubleText, parse: (s) => s.number() },
  dims: {
    print: (v) => `[${v.map(printDim).join(", ")}]`,
    parse: (s, symbols) => s.list(() => parseDim(s, symbols)),
  },
  dim: { print: printDim, parse: parseDim },
  symbol: { print: declaredSymbolText, parse: parseDeclaredSymbol },
  scans: {
    print: (v) => `[${v.map(scanText).join(", ")}]`,
    parse: (s) => s.list(() => ({ axis: s.integer(), reverse: s.accept("reverse") })),
  },
  windows: {
    print: (v) => `[${v.map(windowText).join(", ")}]`,
    parse: (s) => s.list(() => parseWindow(s)),
  },
  lanes: { print: printLanes, parse: (s) => parseLanes(s.match(/\{[^}]*\}/y, "a lane program")) },
  encode: { print: encodeText, parse: parseEncode },
  reduction: { print: String, parse: (s) => s.wordOf(reductions) },
  combine: { print: String, parse: (s) => s.wordOf(combines) },
  letters: { print: (v) => JSON.stringify(v), parse: (s) => s.quoted() },
  truth: { print: String, parse: (s) => s.wordOf(["true", "false"]) === "true" },
};

function scanText({ axis, reverse }: LoopScan): string {
  return reverse ? `${axis} reverse` : `${axis}`;
}

/** `W in 1..1000 multiple 4`. */
export function declaredSymbolText({ name, min, max, multipleOf }: DimSymbol): string {
  const multiple = multipleOf === 1 ? "" : ` multiple ${multipleOf}`;
  return `${symbolText(name)} in ${min}..${max}${multiple}`;
}

export function parseDeclaredSymbol(s: TextScanner): DimSymbol {
  const name = parseSymbolName(s);
  s.expect("in");
  const min = s.integer();
  s.expect("..");
  const max = s.integer();
  return { name, min, max, multipleOf: s.accept("multiple") ? s.integer() : 1 };
}

function windowText({ axis, size, stride, dilation }: WindowAxis): string {
  return `${axis} size ${size} stride ${stride} dilation ${dilation}`;
}

function parseWindow(s: TextScanner): WindowAxis {
  const axis = s.integer();
  const part = (word: string) => {
    s.expect(word);
    return s.integer();
  };
  return { axis, size: part("size"), stride: part("stride"), dilation: part("dilation") };
}

function encodeText({ saturate, roundMode }: EncodeOptions): string {
  const parts = [
    ...(saturate === undefined ? [] : [`saturate ${saturate}`]),
    ...(roundMode === undefined ? [] : [`round ${roundMode}`]),
  ];
  return `[${parts.join(", ")}]`;
}

function parseEncode(s: TextScanner): EncodeOptions {
  const parts = s.list((): EncodeOptions => {
    if (s.accept("saturate")) return { saturate: attributeForms.truth.parse(s, new Map()) };
    s.expect("round");
    return { roundMode: s.wordOf(["up", "down", "nearest"]) };
  });
  return Object.assign({}, ...parts) as EncodeOptions;
}

const plainSymbol = /[A-Za-z_]\w*/y;

function symbolText(name: string): string {
  return name === "floor" ? '"floor"' : nameText(name, plainSymbol);
}

function parseSymbolName(s: TextScanner): string {
  return s.name(plainSymbol);
}

/** `2*T + 3`, `floor((W + -1) / 2) + 1`, with symbols in quotes where their names are no words. */
export function printDim(dim: Dim): string {
  if (typeof dim === "number") return String(dim);
  const terms = dim.terms.map(({ coefficient, atoms }) => {
    const scaled = coefficient === 1 && atoms.length > 0 ? [] : [String(coefficient)];
    return [...scaled, ...atoms.map(atomText)].join("*");
  });
  return terms.join(" + ");
}

function atomText(atom: DimAtom): string {
  if (atom.kind === "symbol") return symbolText(atom.symbol.name);
  return `floor((${printDim(atom.numerator)}) / ${atom.divisor})`;
}

export function parseDim(s: TextScanner, symbols: Symbols): Dim {
  let sum = parseTerm(s, symbols);
  while (s.accept("+")) sum = dimAdd(sum, parseTerm(s, symbols));
  return sum;
}

function parseTerm(s: TextScanner, symbols: Symbols): Dim {
  let product = parseFactor(s, symbols);
  while (s.accept("*")) product = dimMul(product, parseFactor(s, symbols));
  return product;
}

function parseFactor(s: TextScanner, symbols: Symbols): Dim {
  if (s.accept("floor((")) {
    const numerator = parseDim(s, symbols);
    s.expect(")");
    s.expect("/");
    const divisor = s.integer();
    s.expect(")");
    return dimFloorDiv(numerator, divisor);
  }
  if (!/^[A-Za-z_"]/.test(s.rest)) return s.integer();
  const name = parseSymbolName(s);
  return symbolDim(symbols.get(name) ?? s.fail(`the symbol ${name} is not declared`));
}

/** `[1, -2.5, nan]`; truths as words, strings in quotes. */
export function elementsText(dtype: DType, data: TensorData): string {
  const elements = Array.from(data as ArrayLike<unknown>, (raw, i) => {
    if (dtype === "string") return JSON.stringify(raw);
    if (dtype === "bool") return raw === 0 ? "false" : "true";
    if (dtypes[dtype].kind !== "float") return String(raw);
    const value = decodeElement(dtype, data, i);
    return dtype === "f64" ? doubleText(value) : floatText(value);
  });
  return `[${elements.join(", ")}]`;
}

export function parseElements(s: TextScanner, dtype: DType): TensorData {
  if (dtype === "string") return s.list(() => s.quoted());
  if (dtype === "i64") return BigInt64Array.from(s.list(() => s.bigInteger()));
  if (dtype === "u64") return BigUint64Array.from(s.list(() => s.bigInteger()));
  if (dtype === "bool") {
    return Uint8Array.from(s.list(() => (s.wordOf(["true", "false"]) === "true" ? 1 : 0)));
  }
  return encodeArray(
    dtype,
    s.list(() => s.number()),
    { saturate: false },
  );
}
