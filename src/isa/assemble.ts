/**
 * Assembly text to a Program: the inverse of `disassemble.ts`. Fields are read in the order of the instruction
 * table. The text is checked for form only (L0503, with line and column); whether the program is safe is for
 * verify.ts to say.
 */
import type { LoopHead } from "../ir/tile.js";
import { deviceDTypes } from "../numerics/dtype.js";
import { type EngineRef, type Instruction, never, type Program } from "./program.js";
import type { ProgramBinding, ProgramNode, Queue, SlotDest, SlotSource } from "./program.js";
import {
  type fieldKinds,
  type InstructionField,
  instructionRows,
  type InstructionRow,
} from "./instructions.js";
import {
  type AssemblyNames,
  fieldParsers,
  parseDest,
  parseHead,
  parseLoopRef,
  parseSource,
} from "./assemble-fields.js";
import {
  accept,
  type Cursor,
  expect,
  failAt,
  next,
  parseInteger,
  parseList,
  parseName,
  parseWord,
  peek,
  sees,
  shown,
  tokenize,
} from "./tokens.js";

export function assemble(text: string): Program {
  const cursor: Cursor = { tokens: tokenize(text), at: 0 };
  expect(cursor, "program");
  const name = parseName(cursor);
  expect(cursor, "grid");
  const rows = parseInteger(cursor);
  expect(cursor, "x");
  const columns = parseInteger(cursor);
  expect(cursor, "scalars");
  const scalarCount = parseInteger(cursor);
  const bindings: ProgramBinding[] = [];
  while (accept(cursor, "binding")) bindings.push(parseBinding(cursor));
  const queues: Queue[] = [];
  while (accept(cursor, "queue")) queues.push(parseQueue(cursor));
  const roles: string[] = [];
  while (accept(cursor, "role")) roles.push(parseName(cursor));
  const body = parseBody(cursor, { bindings, queues, roles });
  expect(cursor, "halt");
  if (peek(cursor).kind !== "end") failAt(peek(cursor), "halt is not the last instruction");
  return { name, grid: { rows, columns }, scalarCount, bindings, queues, body, roles };
}

/** What the operands of a body may name. */
export interface Declared {
  readonly bindings: readonly { readonly name: string }[];
  readonly queues: readonly { readonly name: string }[];
  readonly roles: readonly string[];
}

/** Loops and instructions up to `halt` or an `end` too many. */
export function parseBody(
  cursor: Cursor,
  { bindings, queues, roles }: Declared,
): readonly ProgramNode[] {
  const names: AssemblyNames = {
    queue: numbers("queue", queues),
    binding: numbers("binding", bindings),
    role: numbers(
      "role",
      roles.map((role) => ({ name: role })),
    ),
    loop: loopNumbers(cursor),
  };
  return parseNodes(cursor, names, { next: 0 });
}

export function parseBinding(cursor: Cursor): ProgramBinding {
  const name = parseName(cursor);
  const dtype = parseWord(cursor, deviceDTypes, "a data type");
  const elements = parseInteger(cursor);
  const access = parseWord(cursor, ["read", "write", "shared"], "an access");
  return { name, dtype, elements, access };
}

function parseQueue(cursor: Cursor): Queue {
  const name = parseName(cursor);
  const space = parseWord(cursor, ["l1", "accumulator"], "a space");
  const dtype = parseWord(cursor, deviceDTypes, "a data type");
  const elements = parseInteger(cursor);
  expect(cursor, "depth");
  const depth = parseInteger(cursor);
  expect(cursor, "at");
  const offsetBytes = parseInteger(cursor);
  expect(cursor, "from");
  const producer = parseEngine(cursor);
  expect(cursor, "->");
  const consumers: EngineRef[] = [];
  if (!accept(cursor, "none")) {
    do consumers.push(parseEngine(cursor));
    while (accept(cursor, ","));
  }
  return { name, space, dtype, elements, depth, offsetBytes, producer, consumers };
}

function parseEngine(cursor: Cursor): EngineRef {
  const engine = parseWord(cursor, ["tensor", "vector", "load", "store"], "an engine");
  if (engine === "tensor" || engine === "vector") return { engine };
  expect(cursor, ".");
  return { engine, channel: parseInteger(cursor) };
}

/** Resolves names to the numbers that they stand for; a name that several have stands for none. */
function numbers(what: string, named: readonly { readonly name: string }[]): ReadonlyNames {
  return resolver(
    what,
    named.map(({ name }, id) => ({ name, id })),
  );
}

type ReadonlyNames = AssemblyNames["queue"];

function resolver(what: string, named: readonly { name: string; id: number }[]): ReadonlyNames {
  const ids = new Map<string, number[]>();
  for (const { name, id } of named) ids.set(name, [...(ids.get(name) ?? []), id]);
  return (name) => {
    const [id, other] = ids.get(name) ?? [];
    if (id === undefined) return { problem: `there is no ${what} named ${name}` };
    return other === undefined ? { id } : { problem: `several are named ${name}; write %number` };
  };
}

/** Loops are known by name before the body is read: ids are given in the order of the text. */
function loopNumbers({ tokens, at }: Cursor): ReadonlyNames {
  const heads: { name: string; id: number }[] = [];
  tokens.forEach((token, i) => {
    if (i < at || token.kind !== "name" || token.text !== "loop") return;
    const name = tokens[i + 1]?.text ?? "";
    const hasId = tokens[i + 2]?.text === "%";
    heads.push({ name, id: hasId ? Number(tokens[i + 3]?.text) : heads.length });
  });
  return resolver("loop", heads);
}

function parseNodes(
  cursor: Cursor,
  names: AssemblyNames,
  loops: { next: number },
): readonly ProgramNode[] {
  const nodes: ProgramNode[] = [];
  while (!sees(cursor, "end") && !sees(cursor, "halt")) {
    if (accept(cursor, "loop")) {
      const head: LoopHead = parseHead(cursor, names, loops.next++);
      const body = parseNodes(cursor, names, loops);
      expect(cursor, "end");
      nodes.push({ kind: "loop", head, body });
    } else if (accept(cursor, "barrier")) {
      nodes.push({ kind: "barrier" });
    } else {
      nodes.push({ kind: "instruction", instruction: parseInstruction(cursor, names) });
    }
  }
  return nodes;
}

const byMnemonic: ReadonlyMap<string, InstructionRow> = new Map(
  instructionRows.filter((row) => row.body !== undefined).map((row) => [row.mnemonic, row]),
);

function parseInstruction(cursor: Cursor, names: AssemblyNames): Instruction {
  const token = next(cursor);
  const row = token.kind === "name" ? byMnemonic.get(token.text) : undefined;
  if (row === undefined) failAt(token, `expected an instruction, found ${shown(token)}`);
  const channel = accept(cursor, ".") ? parseInteger(cursor) : 0;
  const body: Record<string, unknown> = { op: row.body };
  for (const field of row.fields) {
    const value = parseField(cursor, field, names);
    if (value !== undefined) body[field.name] = value;
  }
  const stage = accept(cursor, "stage") ? parseStage(cursor, names) : undefined;
  const waits = accept(cursor, "wait") ? parseWaits(cursor, names) : undefined;
  const signals = accept(cursor, "signal") ? parseSignals(cursor, names) : undefined;
  expect(cursor, "as");
  const role = names.role;
  return {
    body: body as unknown as Instruction["body"],
    channel,
    role: accept(cursor, "%") ? parseInteger(cursor) : resolve(cursor, role),
    ...(stage === undefined ? {} : { stage }),
    ...(waits === undefined ? {} : { waits }),
    ...(signals === undefined ? {} : { signals }),
  };
}

function resolve(cursor: Cursor, names: ReadonlyNames): number {
  const place = peek(cursor);
  const found = names(parseName(cursor));
  return "id" in found ? found.id : failAt(place, found.problem);
}

function parseField(cursor: Cursor, field: InstructionField, names: AssemblyNames): unknown {
  if (field.lead !== undefined && !accept(cursor, field.lead)) {
    if (field.optional) return undefined;
    const usual = usualValues[field.kind as keyof typeof usualValues];
    if (usual !== undefined) return usual.value;
    failAt(peek(cursor), `expected ${field.lead}, found ${shown(peek(cursor))}`);
  }
  return fieldParsers[field.kind](cursor, names);
}

/** What a field holds where the text leaves it out. */
const usualValues: { readonly [K in keyof typeof fieldKinds]?: { readonly value: unknown } } = {
  float: { value: 0 },
  condition: { value: never },
};

function parseStage(cursor: Cursor, names: AssemblyNames): NonNullable<Instruction["stage"]> {
  const loop = parseLoopRef(cursor, names);
  expect(cursor, "+");
  return { loop, by: parseInteger(cursor) };
}

function parseWaits(cursor: Cursor, names: AssemblyNames): SlotSource[] {
  return parseList(cursor, "(", ")", () => parseSource(cursor, names));
}

function parseSignals(cursor: Cursor, names: AssemblyNames): SlotDest[] {
  return parseList(cursor, "(", ")", () => parseDest(cursor, names));
}
