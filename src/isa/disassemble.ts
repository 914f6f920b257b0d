/**
 * A Program as text that `assemble.ts` reads back to the same Program, bit for bit. Fields come in the order of
 * the instruction table with what stands before them there; this file only says how each kind of field looks.
 *
 * Names stand for numbers where they are unique and plain; otherwise `%3`. Everything after `#` is a comment.
 */
import type {
  Affine,
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
import { type LaneInstruction, type LaneProgram, laneOps } from "../numerics/lane.js";
import { nameOf } from "./encode.js";
import {
  type FieldKind,
  instructions,
  type InstructionField,
  type InstructionRow,
} from "./instructions.js";
import type { Structs } from "./layout.js";
import type {
  Condition,
  EngineRef,
  Instruction,
  Program,
  ProgramNode,
  Queue,
  SlotDest,
  SlotSource,
} from "./program.js";
import { isPlainName } from "./tokens.js";

export interface DisassembleOptions {
  /** Per role: what to print behind its instructions, such as the ONNX nodes they come from. */
  readonly origins?: readonly string[];
}

export function disassemble(program: Program, options: DisassembleOptions = {}): string {
  const lines = [
    `program ${quoted(program.name)}`,
    `grid ${program.grid.rows} x ${program.grid.columns}`,
    `scalars ${program.scalarCount}`,
    ...program.bindings.map(
      (b) => `binding ${quoted(b.name)} ${b.dtype} ${b.elements} ${b.access}`,
    ),
    ...program.queues.map(queueLine),
    ...program.roles.map((role) => `role ${quoted(role)}`),
    "",
    ...bodyLines(program, options),
    "halt",
  ];
  return `${lines.join("\n")}\n`;
}

/** The loops and instructions alone. */
export function bodyLines(program: Program, options: DisassembleOptions = {}): string[] {
  const lines: string[] = [];
  const names = collectNames(program);
  const loops = { next: 0 };
  for (const node of program.body) printNode(node, { names, options, loops, lines, indent: "" });
  return lines;
}

/** One instruction on one line, for messages and traces. */
export function instructionText(program: Program, instruction: Instruction): string {
  return words(instruction, collectNames(program)).join(" ");
}

/** What to call queues, bindings, roles and loops. */
interface Names {
  queue(id: number): string;
  binding(id: number): string;
  role(id: number): string;
  loop(id: number): string;
}

function collectNames(program: Program): Names {
  const loops: { id: number; name: string }[] = [];
  const collect = (nodes: readonly ProgramNode[]): void => {
    for (const node of nodes) {
      if (node.kind !== "loop") continue;
      loops.push(node.head);
      collect(node.body);
    }
  };
  collect(program.body);
  const numbered = (list: readonly { readonly name: string }[]) =>
    reference(list.map(({ name }, id) => ({ id, name })));
  return {
    queue: numbered(program.queues),
    binding: numbered(program.bindings),
    role: numbered(program.roles.map((name) => ({ name }))),
    loop: reference(loops),
  };
}

function reference(named: readonly { id: number; name: string }[]): (id: number) => string {
  const uses = new Map<string, number>();
  for (const { name } of named) uses.set(name, (uses.get(name) ?? 0) + 1);
  const texts = new Map<number, string>();
  for (const { id, name } of named) {
    if (uses.get(name) === 1 && isPlainName(name)) texts.set(id, name);
  }
  return (id) => texts.get(id) ?? `%${id}`;
}

export function quoted(name: string): string {
  return isPlainName(name) ? name : JSON.stringify(name);
}

function queueLine(queue: Queue): string {
  const consumers = queue.consumers.map(engineText).join(", ");
  const shape = `${queue.space} ${queue.dtype} ${queue.elements} depth ${queue.depth}`;
  const flow = `${engineText(queue.producer)} -> ${consumers === "" ? "none" : consumers}`;
  return `queue ${quoted(queue.name)} ${shape} at ${queue.offsetBytes} from ${flow}`;
}

export function engineText(engine: EngineRef): string {
  return "channel" in engine ? `${engine.engine}.${engine.channel}` : engine.engine;
}

interface Printer {
  readonly names: Names;
  readonly options: DisassembleOptions;
  /** Number that the next loop has if loops are numbered as they come; others are written out. */
  readonly loops: { next: number };
  readonly lines: string[];
  readonly indent: string;
}

const widthMax = 100;

function printNode(node: ProgramNode, printer: Printer): void {
  const { lines, indent, names } = printer;
  switch (node.kind) {
    case "barrier":
      lines.push(`${indent}barrier`);
      return;
    case "loop": {
      lines.push(`${indent}loop ${headText(node.head, names, printer.loops.next++)}`);
      const inner = { ...printer, indent: `${indent}  ` };
      for (const child of node.body) printNode(child, inner);
      lines.push(`${indent}end`);
      return;
    }
    case "instruction": {
      const origin = printer.options.origins?.[node.instruction.role];
      const comment = origin === undefined ? "" : `  # ${origin}`;
      lines.push(...wrapped(words(node.instruction, names), indent, comment));
      return;
    }
    default:
      node satisfies never;
  }
}

/** Words on filled lines; a word with two blanks before it starts a line, with more it is indented. */
function wrapped(parts: readonly string[], indent: string, comment: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const part of parts) {
    const joined = line === "" ? part : `${line} ${part}`;
    if (line !== "" && (indent.length + joined.length > widthMax || part.startsWith("  "))) {
      lines.push(line);
      line = `    ${part.startsWith("  ") ? part.slice(2) : part}`;
    } else {
      line = joined;
    }
  }
  lines.push(line);
  return lines.map((text, i) => `${indent}${text}${i === 0 ? comment : ""}`);
}

/** An instruction in pieces between which a line may break. */
function words(instruction: Instruction, names: Names): string[] {
  const name = nameOf(instruction.body);
  const row: InstructionRow = instructions[name];
  const hasChannel = row.engine === "load" || row.engine === "store" || instruction.channel !== 0;
  const parts = [hasChannel ? `${row.mnemonic}.${instruction.channel}` : row.mnemonic];
  const body = instruction.body as unknown as Readonly<Record<string, unknown>>;
  for (const field of row.fields) parts.push(...fieldWords(field, body[field.name], names));
  const { stage, waits, signals } = instruction;
  if (stage !== undefined) parts.push(`stage ${names.loop(stage.loop)} + ${stage.by}`);
  if (waits !== undefined) {
    parts.push(`wait (${waits.map((s) => sourceText(s, names)).join(", ")})`);
  }
  if (signals !== undefined) {
    parts.push(`signal (${signals.map((d) => destText(d, names)).join(", ")})`);
  }
  parts.push(`as ${names.role(instruction.role)}`);
  return parts;
}

function fieldWords(field: InstructionField, value: unknown, names: Names): string[] {
  if (value === undefined) return [];
  const print = printers[field.kind] as (value: unknown, names: Names) => string[] | undefined;
  const texts = print(value, names);
  if (texts === undefined) return [];
  const [first = "", ...rest] = texts;
  if (field.lead === undefined) return texts;
  const joined = first.startsWith("@") || first === "" ? first : ` ${first}`;
  return [`${field.lead}${joined}`, ...rest];
}

/** How each kind of field looks; undefined where it is left out because it has its usual value. */
const printers: {
  readonly [K in FieldKind]: (value: never, names: Names) => string[] | undefined;
} = {
  dest: (value: SlotDest, names) => [destText(value, names)],
  source: (value: SlotSource, names) => [sourceText(value, names)],
  memory: (value: MemoryOperand, names) => [memoryText(value, names)],
  transferAxes: (value: readonly TransferAxis[], names) =>
    value.map((axis) => transferAxisText(axis, names)),
  float: (value: number) => (Object.is(value, 0) ? undefined : [numberText(value)]),
  index: (value: IndexOperand<SlotSource>, names) => [
    `${sourceText(value.source, names)} ${stridesText(value.strides)} axis ${value.axis}` +
      ` in ${countText(value.extent, names)}`,
  ],
  dequantize: (value: Structs["dequantize"], names) => {
    const scale = walkText(value.scale, names);
    return value.zero === undefined ? [scale] : [scale, `zero ${walkText(value.zero, names)}`];
  },
  delivery: (value: Delivery, names) => [deliveryText(value, names)],
  combine: (value: string) => [value],
  mmaAxes: (value: readonly MmaAxis[], names) =>
    value.map(
      ({ role, count, strideA, strideB, strideC }) =>
        `(${role} ${countText(count, names)}: ${strideA}, ${strideB}, ${strideC})`,
    ),
  zeroPoint: (value: Structs["zeroPoint"], names) => [
    `${sourceText(value.source, names)} ${stridesText(value.strides)}`,
  ],
  condition: (value: Condition, names) =>
    value.kind === "never" ? undefined : [conditionText(value, names)],
  vecAxes: (value: readonly VecAxis[], names) => value.map((axis) => vecAxisText(axis, names)),
  vecInputs: (value: readonly Structs["vecInput"][], names) =>
    value.map((input) => `  in ${sourceText(input.source, names)} ${stridesText(input.strides)}`),
  lanes: (value: LaneProgram) => laneWords(value),
  carries: (value: readonly Structs["carry"][], names) =>
    value.map((carry) => carryText(carry, names)),
  vecOutputs: (value: readonly Structs["vecOutput"][], names) =>
    value.map((output) => outputText(output, names)),
  loopHead: (value: LoopHead, names) => [headText(value, names, -1)],
};

function headText(head: LoopHead, names: Names, expectedId: number): string {
  const start = affineIn(head.start, names);
  // A start that begins with the number of a loop would read as this loop's own.
  const isNumbered = head.id !== expectedId || (head.over === "time" && start.startsWith("%"));
  const id = isNumbered ? `%${head.id}` : "";
  const over = head.over === "time" ? "" : ` ${head.over}`;
  const totals = head.total.map((total) => affineIn(total, names));
  const total = totals.length === 1 ? totals[0]! : `min(${totals.join(", ")})`;
  const [only] = head.total;
  const fixed =
    totals.length === 1 &&
    only!.terms.length === 0 &&
    only!.constant === head.minTotal &&
    head.minTotal === head.maxTotal;
  const limits = fixed ? "" : ` in ${head.minTotal}..${head.maxTotal}`;
  const range = `${start}..${total}${limits} step ${head.step}`;
  return `${quoted(head.name)}${id}${over} ${range}`;
}

function affineIn(affine: Affine, names: Names): string {
  let text = "";
  for (const { coefficient, of, id } of affine.terms) {
    const variable =
      of === "scalar" ? `$${id}` : of === "index" ? names.loop(id) : `ext(${names.loop(id)})`;
    const magnitude = Math.abs(coefficient) === 1 ? "" : `${Math.abs(coefficient)}*`;
    text += signed(coefficient < 0, `${magnitude}${variable}`, text);
  }
  if (text !== "" && affine.constant === 0) return text;
  return text + signed(affine.constant < 0, String(Math.abs(affine.constant)), text);
}

function signed(negative: boolean, magnitude: string, before: string): string {
  if (before === "") return negative ? `-${magnitude}` : magnitude;
  return negative ? ` - ${magnitude}` : ` + ${magnitude}`;
}

function countText(count: Count, names: Names): string {
  const value = affineIn(count.value, names);
  const fixed = count.value.terms.length === 0 && count.value.constant === count.max;
  return fixed ? value : `${value} <= ${count.max}`;
}

function conditionText(condition: Condition, names: Names): string {
  if (condition.kind !== "all") return "";
  if (condition.terms.length === 0) return "@()";
  const terms = condition.terms.map(
    ({ loop, edge, negated }) =>
      `${negated ? "!" : ""}${edge === "first" ? "f" : "l"}(${names.loop(loop)})`,
  );
  return `@${terms.join("&")}`;
}

function slotText(slot: { queue: number; offset: Affine }, names: Names): string {
  const offset = affineIn(slot.offset, names);
  return `${names.queue(slot.queue)}${offset === "0" ? "" : `[${offset}]`}`;
}

function sourceText(source: SlotSource, names: Names): string {
  const pop = source.pop.kind === "never" ? "" : `.pop${conditionText(source.pop, names)}`;
  return `${slotText(source, names)}${pop}`;
}

function destText(dest: SlotDest, names: Names): string {
  const update = dest.update ? ".update" : "";
  const publish = dest.publish.kind === "never" ? "" : `.pub${conditionText(dest.publish, names)}`;
  return `${slotText(dest, names)}${update}${publish}`;
}

function memoryText(memory: MemoryOperand, names: Names): string {
  return `${names.binding(memory.binding)}[${affineIn(memory.offset, names)}]`;
}

function walkText(walk: MemoryWalk, names: Names): string {
  return `${memoryText(walk.memory, names)} ${stridesText(walk.strides)}`;
}

function stridesText(strides: readonly number[]): string {
  return `(${strides.join(", ")})`;
}

function transferAxisText(axis: TransferAxis, names: Names): string {
  const { clip } = axis;
  const clipped =
    clip === undefined
      ? ""
      : ` clip ${affineIn(clip.origin, names)} by ${clip.step} in ${countText(clip.limit, names)}`;
  const strides = `${axis.memoryStride} -> ${axis.slotStride}`;
  return `(${countText(axis.count, names)}: ${strides}${clipped})`;
}

function deliveryText(delivery: Delivery, names: Names): string {
  switch (delivery.kind) {
    case "multicast":
      return `multicast ${names.loop(delivery.loop)}`;
    case "gather":
      return `collect ${names.loop(delivery.loop)}`;
    case "neighbour": {
      const by = delivery.by === 1 ? "+1" : "-1";
      return `push ${delivery.axis} ${by}${delivery.wrap ? " wrap" : ""}`;
    }
    default:
      return delivery satisfies never;
  }
}

function vecAxisText(axis: VecAxis, names: Names): string {
  const base = affineIn(axis.base, names);
  return `(${axis.kind} ${countText(axis.count, names)}${base === "0" ? "" : ` from ${base}`})`;
}

function laneWords(lanes: LaneProgram): string[] {
  const results = lanes.results.map((register) => `r${register}`).join(", ");
  const operations = lanes.instructions.map((op, i) => `    ${laneText(op, i)}`);
  return ["{", ...operations, `    -> ${results} }`];
}

/** `r2 = add r0 r1`; the type is written where the operation leaves it open. */
function laneText(instruction: LaneInstruction, register: number): string {
  const { op, args, imm, type } = instruction;
  const typed = laneOps[op].result === type ? "" : `:${type}`;
  const operands = args.map((arg) => ` r${arg}`).join("");
  const immediate = imm === undefined ? "" : ` ${numberText(imm)}`;
  return `r${register}${typed} = ${op}${operands}${immediate}`;
}

function outputText(output: Structs["vecOutput"], names: Names): string {
  const { dest, strides, reduce } = output;
  const text = `  out ${destText(dest, names)} ${stridesText(strides)}`;
  if (reduce === undefined) return text;
  const phase = affineIn(reduce.phase, names);
  const from = phase === "0" ? "" : ` from ${phase}`;
  const partials = reduce.partialStride === undefined ? "" : ` partials ${reduce.partialStride}`;
  const init = initText(reduce.init, names);
  return `${text} reduce ${reduce.reduction}${from}${init}${partials}`;
}

function carryText(carry: Structs["carry"], names: Names): string {
  const text = `  carry ${carry.next} = ${numberText(carry.initial)} ${carry.type}`;
  if (carry.state === undefined) return text;
  const { dest, strides, init } = carry.state;
  const state = `${destText(dest, names)} ${stridesText(strides)}${initText(init, names)}`;
  return `${text} state ${state}`;
}

function initText(init: Condition, names: Names): string {
  return init.kind === "never" ? "" : ` init${conditionText(init, names)}`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  return Object.is(value, -0) ? "-0" : String(value);
}
