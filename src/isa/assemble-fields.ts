/** How each kind of field of an instruction reads in assembly text: the inverse of the printers of disassemble.ts. */
import type {
  Affine,
  AffineTerm,
  Count,
  Delivery,
  IndexOperand,
  LoopHead,
  MemoryOperand,
  MemoryWalk,
  MmaAxis,
  TransferAxis,
  VecAxis,
} from "../ir/tile.js";
import {
  type LaneInstruction,
  type LaneOpName,
  type LaneProgram,
  laneOps,
  type RegisterType,
} from "../numerics/lane.js";
import type { FieldKind } from "./instructions.js";
import type { Structs } from "./layout.js";
import {
  always,
  type Condition,
  type ConditionTerm,
  never,
  type SlotDest,
  type SlotSource,
} from "./program.js";
import {
  accept,
  type Cursor,
  expect,
  failAt,
  next,
  parseInteger,
  parseList,
  parseName,
  parseNumber,
  parseWord,
  peek,
  sees,
  shown,
} from "./tokens.js";

type Resolve = (name: string) => { readonly id: number } | { readonly problem: string };

/** What the names of the text stand for. */
export interface AssemblyNames {
  readonly queue: Resolve;
  readonly binding: Resolve;
  readonly role: Resolve;
  readonly loop: Resolve;
}

type Parser<T> = (cursor: Cursor, names: AssemblyNames) => T;

/** A name, or `%` and a number. */
function parseRef(cursor: Cursor, resolve: Resolve): number {
  if (accept(cursor, "%")) return parseInteger(cursor);
  const place = peek(cursor);
  const found = resolve(parseName(cursor));
  return "id" in found ? found.id : failAt(place, found.problem);
}

export function parseLoopRef(cursor: Cursor, names: AssemblyNames): number {
  return parseRef(cursor, names.loop);
}

export function parseHead(cursor: Cursor, names: AssemblyNames, usualId: number): LoopHead {
  const name = parseName(cursor);
  const id = accept(cursor, "%") ? parseInteger(cursor) : usualId;
  const spatial = ["rows", "columns", "members"] as const;
  const token = peek(cursor);
  const over =
    spatial.find((s) => token.kind === "name" && token.text === s && !isLoop(cursor, names)) ??
    "time";
  if (over !== "time") next(cursor);
  const start = parseAffine(cursor, names);
  expect(cursor, "..");
  const place = peek(cursor);
  const total = accept(cursor, "min")
    ? parseList(cursor, "(", ")", () => parseAffine(cursor, names))
    : [parseAffine(cursor, names)];
  let [minTotal, maxTotal] = [total[0]?.constant ?? 0, total[0]?.constant ?? 0];
  if (accept(cursor, "in")) {
    minTotal = parseInteger(cursor);
    expect(cursor, "..");
    maxTotal = parseInteger(cursor);
  } else if (total.length !== 1 || total[0]!.terms.length > 0) {
    failAt(place, "a total that is not constant needs its limits: in minimum..maximum");
  }
  expect(cursor, "step");
  const step = parseInteger(cursor);
  return { id, name, over, start, total, minTotal, maxTotal, step };
}

/** A loop may be named `rows`: then the word is the start of the range if `..`, `+` or `-` follows. */
function isLoop(cursor: Cursor, names: AssemblyNames): boolean {
  const after = cursor.tokens[cursor.at + 1]?.text ?? "";
  return "id" in names.loop(peek(cursor).text) && ["..", "+", "-"].includes(after);
}

const parseAffine: Parser<Affine> = (cursor, names) => {
  const terms: AffineTerm[] = [];
  let constant: number | undefined;
  let negative = accept(cursor, "-");
  for (;;) {
    const place = peek(cursor);
    const isNumber = place.kind === "number";
    const coefficient = isNumber ? parseInteger(cursor) : 1;
    if (!isNumber || accept(cursor, "*")) {
      const variable = parseVariable(cursor, names);
      terms.push({ coefficient: signedBy(negative, coefficient), ...variable });
      if (constant !== undefined) failAt(place, "the constant of an expression stands at its end");
    } else {
      if (constant !== undefined) failAt(place, "an expression has one constant");
      constant = signedBy(negative, coefficient);
    }
    if (accept(cursor, "+")) negative = false;
    else if (accept(cursor, "-")) negative = true;
    else return { constant: constant ?? 0, terms };
  }
};

/** Never -0: integers have no such value. */
function signedBy(negative: boolean, magnitude: number): number {
  return negative && magnitude !== 0 ? -magnitude : magnitude;
}

const parseVariable: Parser<Omit<AffineTerm, "coefficient">> = (cursor, names) => {
  if (accept(cursor, "$")) return { of: "scalar", id: parseInteger(cursor) };
  if (!accept(cursor, "ext")) return { of: "index", id: parseLoopRef(cursor, names) };
  expect(cursor, "(");
  const id = parseLoopRef(cursor, names);
  expect(cursor, ")");
  return { of: "extent", id };
};

const parseCount: Parser<Count> = (cursor, names) => {
  const place = peek(cursor);
  const value = parseAffine(cursor, names);
  if (accept(cursor, "<=")) return { value, max: parseInteger(cursor) };
  if (value.terms.length > 0) {
    failAt(place, "a count that is not constant needs its maximum: <= number");
  }
  return { value, max: value.constant };
};

/** What stands behind `.pop`, `.pub`, `clear`, `fold` and `init`. */
const parseCondition: Parser<Condition> = (cursor, names) => {
  if (!accept(cursor, "@")) return always;
  const terms: ConditionTerm[] = [];
  if (accept(cursor, "(")) {
    expect(cursor, ")");
    return { kind: "all", terms };
  }
  do {
    const negated = accept(cursor, "!");
    const edge = parseWord(cursor, ["f", "l"], "first or last trip") === "f" ? "first" : "last";
    expect(cursor, "(");
    terms.push({ loop: parseLoopRef(cursor, names), edge, negated });
    expect(cursor, ")");
  } while (accept(cursor, "&"));
  return { kind: "all", terms };
};

const parseSlot: Parser<{ queue: number; offset: Affine }> = (cursor, names) => {
  const queue = parseRef(cursor, names.queue);
  if (!accept(cursor, "[")) return { queue, offset: { constant: 0, terms: [] } };
  const offset = parseAffine(cursor, names);
  expect(cursor, "]");
  return { queue, offset };
};

export const parseSource: Parser<SlotSource> = (cursor, names) => {
  const slot = parseSlot(cursor, names);
  if (!accept(cursor, ".")) return { ...slot, pop: never };
  expect(cursor, "pop");
  return { ...slot, pop: parseCondition(cursor, names) };
};

export const parseDest: Parser<SlotDest> = (cursor, names) => {
  const slot = parseSlot(cursor, names);
  let update = false;
  let publish = never;
  while (accept(cursor, ".")) {
    if (parseWord(cursor, ["pub", "update"], "what happens to the slot") === "update")
      update = true;
    else publish = parseCondition(cursor, names);
  }
  return { ...slot, publish, update };
};

const parseMemory: Parser<MemoryOperand> = (cursor, names) => {
  const binding = parseRef(cursor, names.binding);
  expect(cursor, "[");
  const offset = parseAffine(cursor, names);
  expect(cursor, "]");
  return { binding, offset };
};

const parseStrides = (cursor: Cursor): number[] =>
  parseList(cursor, "(", ")", () => parseInteger(cursor));

const parseWalk: Parser<MemoryWalk> = (cursor, names) => ({
  memory: parseMemory(cursor, names),
  strides: parseStrides(cursor),
});

const parseTransferAxis: Parser<TransferAxis> = (cursor, names) => {
  expect(cursor, "(");
  const count = parseCount(cursor, names);
  expect(cursor, ":");
  const memoryStride = parseInteger(cursor);
  expect(cursor, "->");
  const slotStride = parseInteger(cursor);
  const axis = { count, memoryStride, slotStride };
  if (!accept(cursor, "clip")) {
    expect(cursor, ")");
    return axis;
  }
  const origin = parseAffine(cursor, names);
  expect(cursor, "by");
  const step = parseInteger(cursor);
  expect(cursor, "in");
  const limit = parseCount(cursor, names);
  expect(cursor, ")");
  return { ...axis, clip: { origin, step, limit } };
};

const parseIndex: Parser<IndexOperand<SlotSource>> = (cursor, names) => {
  const source = parseSource(cursor, names);
  const strides = parseStrides(cursor);
  expect(cursor, "axis");
  const axis = parseInteger(cursor);
  expect(cursor, "in");
  return { axis, source, strides, extent: parseCount(cursor, names) };
};

const parseDequantize: Parser<Structs["dequantize"]> = (cursor, names) => {
  const scale = parseWalk(cursor, names);
  return accept(cursor, "zero") ? { scale, zero: parseWalk(cursor, names) } : { scale };
};

const parseDelivery: Parser<Delivery> = (cursor, names) => {
  const word = parseWord(cursor, ["multicast", "collect", "push"], "a delivery");
  if (word === "multicast") return { kind: "multicast", loop: parseLoopRef(cursor, names) };
  if (word === "collect") return { kind: "gather", loop: parseLoopRef(cursor, names) };
  const axis = parseWord(cursor, ["rows", "columns"], "an axis of the grid");
  const place = peek(cursor);
  const by = accept(cursor, "+") ? parseInteger(cursor) : parseInteger(cursor);
  if (by !== 1 && by !== -1) failAt(place, "a push goes to +1 or -1");
  return { kind: "neighbour", axis, by, wrap: accept(cursor, "wrap") };
};

const parseMmaAxis: Parser<MmaAxis> = (cursor, names) => {
  expect(cursor, "(");
  const role = parseWord(cursor, ["g", "m", "n", "k"], "the role of an axis");
  const count = parseCount(cursor, names);
  expect(cursor, ":");
  const strideA = parseInteger(cursor);
  expect(cursor, ",");
  const strideB = parseInteger(cursor);
  expect(cursor, ",");
  const strideC = parseInteger(cursor);
  expect(cursor, ")");
  return { role, count, strideA, strideB, strideC };
};

const parseVecAxis: Parser<VecAxis> = (cursor, names) => {
  expect(cursor, "(");
  const kind = parseWord(cursor, ["parallel", "reduce", "scan"], "the kind of an axis");
  const count = parseCount(cursor, names);
  const base = accept(cursor, "from") ? parseAffine(cursor, names) : { constant: 0, terms: [] };
  expect(cursor, ")");
  return { kind, count, base };
};

const parseInput: Parser<Structs["vecInput"]> = (cursor, names) => ({
  source: parseSource(cursor, names),
  strides: parseStrides(cursor),
});

const parseInit: Parser<Condition> = (cursor, names) =>
  accept(cursor, "init") ? parseCondition(cursor, names) : never;

const reductions = ["sum", "prod", "seqsum", "max", "min", "and", "or"] as const;
const registerTypes = ["f32", "i32"] as const satisfies readonly RegisterType[];

const parseOutput: Parser<Structs["vecOutput"]> = (cursor, names) => {
  const dest = parseDest(cursor, names);
  const strides = parseStrides(cursor);
  if (!accept(cursor, "reduce")) return { dest, strides };
  const reduction = parseWord(cursor, reductions, "a reduction");
  const phase = accept(cursor, "from") ? parseAffine(cursor, names) : { constant: 0, terms: [] };
  const init = parseInit(cursor, names);
  if (!accept(cursor, "partials")) return { dest, strides, reduce: { reduction, phase, init } };
  const partialStride = parseInteger(cursor);
  return { dest, strides, reduce: { reduction, phase, init, partialStride } };
};

const parseCarry: Parser<Structs["carry"]> = (cursor, names) => {
  const at = parseInteger(cursor);
  expect(cursor, "=");
  const initial = parseNumber(cursor);
  const type = parseWord(cursor, registerTypes, "a register type");
  const carry = { next: at, initial, type };
  if (!accept(cursor, "state")) return carry;
  const dest = parseDest(cursor, names);
  const strides = parseStrides(cursor);
  return { ...carry, state: { dest, strides, init: parseInit(cursor, names) } };
};

const parseRegister = (cursor: Cursor): number => {
  const token = next(cursor);
  const match = /^r(\d+)$/.exec(token.text);
  if (match === null) failAt(token, `expected a register, found ${shown(token)}`);
  return Number(match[1]);
};

const parseLanes: Parser<LaneProgram> = (cursor) => {
  const instructions: LaneInstruction[] = [];
  expect(cursor, "{");
  while (!accept(cursor, "->")) {
    const place = peek(cursor);
    if (parseRegister(cursor) !== instructions.length) {
      failAt(place, `the next register is r${instructions.length}`);
    }
    instructions.push(parseLane(cursor));
  }
  const results: number[] = [];
  while (!accept(cursor, "}")) {
    if (results.length > 0) expect(cursor, ",");
    results.push(parseRegister(cursor));
  }
  return { instructions, results };
};

function parseLane(cursor: Cursor): LaneInstruction {
  const written = accept(cursor, ":")
    ? parseWord(cursor, registerTypes, "a register type")
    : undefined;
  expect(cursor, "=");
  const place = peek(cursor);
  const op = parseWord(cursor, Object.keys(laneOps) as LaneOpName[], "a lane operation");
  const { result } = laneOps[op];
  const type = written ?? result;
  if (type === "any") failAt(place, `${op} needs the type of its register: r0:f32 = ${op}`);
  const args: number[] = [];
  while (/^r\d+$/.test(peek(cursor).text) && !startsLane(cursor)) args.push(parseRegister(cursor));
  const { kind, text } = peek(cursor);
  const hasImmediate = kind === "number" || ["-", "inf", "nan"].includes(text);
  return { op, args, type, ...(hasImmediate ? { imm: parseNumber(cursor) } : {}) };
}

/** A register before `=` or `:` is the next operation's own. */
function startsLane(cursor: Cursor): boolean {
  const after = cursor.tokens[cursor.at + 1]?.text;
  return after === "=" || after === ":";
}

/** Items for as long as the next one starts with this word or sign, which the item itself reads if it is `(`. */
function repeated<T>(lead: string, item: Parser<T>): Parser<readonly T[]> {
  return (cursor, names) => {
    const items: T[] = [];
    while (lead === "(" ? sees(cursor, lead) : accept(cursor, lead))
      items.push(item(cursor, names));
    return items;
  };
}

export const fieldParsers: { readonly [K in FieldKind]: Parser<unknown> } = {
  dest: parseDest,
  source: parseSource,
  memory: parseMemory,
  transferAxes: repeated("(", parseTransferAxis),
  float: parseNumber,
  index: parseIndex,
  dequantize: parseDequantize,
  delivery: parseDelivery,
  combine: (cursor) => parseWord(cursor, ["add", "mul", "min", "max"], "how to combine"),
  mmaAxes: repeated("(", parseMmaAxis),
  zeroPoint: parseInput,
  condition: parseCondition,
  vecAxes: repeated("(", parseVecAxis),
  vecInputs: repeated("in", parseInput),
  lanes: parseLanes,
  carries: repeated("carry", parseCarry),
  vecOutputs: repeated("out", parseOutput),
  loopHead: (cursor, names) => parseHead(cursor, names, 0),
};
