/**
 * Kernels as text that reads back to the same Kernel: assembly with tile values in the place of queues. A span reads as
 * the trip it stands for, `clear@f(k)` begins on the first and `fold@l(k)` ends on the last trip of its loops.
 * Lives here because the fields of bodies are printed and parsed by the assembler.
 */
import type {
  Kernel,
  KernelBody,
  KernelNode,
  Spanned,
  TileOperand,
  TileValue,
} from "../ir/kernel/kernel.js";
import { mapBody } from "../ir/kernel/map-body.js";
import { deviceDTypes } from "../numerics/dtype.js";
import { fail } from "../support/diagnostic.js";
import { parseBinding, parseBody } from "./assemble.js";
import { bodyLines, quoted } from "./disassemble.js";
import {
  always,
  never,
  type Condition,
  type InstructionBody,
  type Program,
  type ProgramNode,
  type SlotDest,
  type SlotSource,
} from "./program.js";
import {
  accept,
  expect,
  failAt,
  parseInteger,
  parseName,
  parseWord,
  peek,
  tokenize,
  type Cursor,
} from "./tokens.js";

export function printKernel(kernel: Kernel): string {
  const program = likeProgram(kernel);
  const lines = [
    `kernel ${quoted(kernel.name)}`,
    `grid ${kernel.grid.rows} x ${kernel.grid.columns}`,
    `scalars ${kernel.scalarCount}`,
    ...kernel.bindings.map((b) => `binding ${quoted(b.name)} ${b.dtype} ${b.elements} ${b.access}`),
    ...kernel.values.map(valueText),
    ...kernel.roles.map((role) => `role ${quoted(role)}`),
    "",
    ...bodyLines(program),
    "end",
  ];
  return `${lines.join("\n")}\n`;
}

function valueText({ name, space, dtype, elements, depth, carried }: TileValue): string {
  const by = carried === undefined ? "" : ` carried ${carried}`;
  return `value ${quoted(name)} ${space} ${dtype} ${elements} depth ${depth}${by}`;
}

export function parseKernel(text: string): Kernel {
  const cursor: Cursor = { tokens: tokenize(text), at: 0 };
  expect(cursor, "kernel");
  const name = parseName(cursor);
  expect(cursor, "grid");
  const rows = parseInteger(cursor);
  expect(cursor, "x");
  const columns = parseInteger(cursor);
  expect(cursor, "scalars");
  const scalarCount = parseInteger(cursor);
  const bindings = parseEach(cursor, "binding", parseBinding);
  const values = parseEach(cursor, "value", parseValue);
  const roles = parseEach(cursor, "role", parseName);
  const body = parseBody(cursor, { bindings, queues: values, roles }).map(kernelNode);
  expect(cursor, "end");
  if (peek(cursor).kind !== "end") failAt(peek(cursor), "the kernel has ended");
  return { name, grid: { rows, columns }, scalarCount, bindings, values, body, roles };
}

function parseEach<T>(cursor: Cursor, word: string, parse: (cursor: Cursor) => T): T[] {
  const items: T[] = [];
  while (accept(cursor, word)) items.push(parse(cursor));
  return items;
}

function parseValue(cursor: Cursor): TileValue {
  const name = parseName(cursor);
  const space = parseWord(cursor, ["l1", "accumulator"], "a space");
  const dtype = parseWord(cursor, deviceDTypes, "a data type");
  const elements = parseInteger(cursor);
  expect(cursor, "depth");
  const value = { name, space, dtype, elements, depth: parseInteger(cursor) };
  return accept(cursor, "carried") ? { ...value, carried: parseInteger(cursor) } : value;
}

/** A kernel in the form of a program, for its body's text. Values are queues that nobody fills or empties. */
function likeProgram(kernel: Kernel): Program {
  const queues = kernel.values.map((value) => ({
    ...value,
    offsetBytes: 0,
    producer: { engine: "vector" } as const,
    consumers: [],
  }));
  const { values: _, body, ...rest } = kernel;
  return { ...rest, queues, body: body.map(programNode) };
}

function programNode(node: KernelNode): ProgramNode {
  if (node.kind === "loop") return { ...node, body: node.body.map(programNode) };
  const { kind: _, body, ...rest } = node;
  const mapped: InstructionBody = mapBody(body, {
    source: ({ value, offset }: TileOperand): SlotSource => ({ queue: value, offset, pop: never }),
    dest: ({ value, offset }: TileOperand): SlotDest => {
      return { queue: value, offset, publish: never, update: false };
    },
    begins: (span: Spanned) => edges(span, "first"),
    ends: (span: Spanned) => edges(span, "last"),
  });
  return { kind: "instruction", instruction: { ...rest, body: mapped } };
}

function edges(span: Spanned, edge: "first" | "last"): Condition {
  if (span.length === 0) return always;
  return { kind: "all", terms: span.map((loop) => ({ loop, edge, negated: false })) };
}

function kernelNode(node: ProgramNode): KernelNode {
  switch (node.kind) {
    case "loop":
      return { ...node, body: node.body.map(kernelNode) };
    case "barrier":
      return fail0109("a kernel has no barriers");
    case "instruction": {
      const { body, waits, signals, ...rest } = node.instruction;
      if (waits !== undefined || signals !== undefined) fail0109("a kernel has no tokens");
      const mapped: KernelBody = mapBody(body, {
        source: ({ queue, offset, pop }: SlotSource) => {
          if (pop.kind !== "never") fail0109("a kernel pops nothing");
          return { value: queue, offset };
        },
        dest: ({ queue, offset, publish, update }: SlotDest) => {
          if (publish.kind !== "never" || update) fail0109("a kernel publishes nothing");
          return { value: queue, offset };
        },
        begins: (condition: Condition) => spanOf(condition, "first"),
        ends: (condition: Condition) => spanOf(condition, "last"),
      });
      return { kind: "statement", ...rest, body: mapped };
    }
    default:
      return node satisfies never;
  }
}

function spanOf(condition: Condition, edge: "first" | "last"): Spanned {
  if (condition.kind === "always") return [];
  if (condition.kind === "never") return fail0109("an accumulation begins and ends somewhere");
  return condition.terms.map((term) => {
    if (term.edge !== edge || term.negated) fail0109(`a span is the ${edge} trip of its loops`);
    return term.loop;
  });
}

function fail0109(sentence: string): never {
  fail("L0109", sentence);
}
