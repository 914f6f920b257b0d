/** A program walked: every instruction with the loops around it, and the slots and memory that it touches. */
import type { Affine, Count, LoopHead, MemoryOperand, TransferAxis, VecAxis } from "../ir/tile.js";
import { type Bounds, boundsWithin, type WalkAxis } from "./bounds.js";
import {
  always,
  type Condition,
  type EngineRef,
  engineOf,
  type Instruction,
  type InstructionBody,
  type Program,
  type ProgramNode,
  type SlotDest,
  type SlotSource,
} from "./program.js";

export interface Site {
  readonly instruction: Instruction;
  readonly engine: EngineRef;
  readonly slots: readonly SlotAccess[];
  readonly memory: readonly MemoryAccess[];
  /** In text order, loops and barriers not counted. */
  readonly number: number;
  /** Position in the program's body, then in that loop's body, and so on. */
  readonly path: readonly number[];
  /** Enclosing loops, outermost first. */
  readonly loops: readonly LoopHead[];
  /** Of expressions over those loops. */
  readonly bounds: Bounds;
}

/** Every instruction in text order. The loops must be well-formed (verify-structure.ts). */
export function sitesOf(program: Program): readonly Site[] {
  const sites: Site[] = [];
  const visit = (
    nodes: readonly ProgramNode[],
    path: readonly number[],
    loops: readonly LoopHead[],
  ): void => {
    const bounds = boundsWithin(loops);
    nodes.forEach((node, i) => {
      const here = [...path, i];
      if (node.kind === "loop") visit(node.body, here, [...loops, node.head]);
      if (node.kind !== "instruction") return;
      const { instruction } = node;
      sites.push({
        instruction,
        engine: engineOf(instruction),
        slots: slotAccesses(instruction),
        memory: memoryAccesses(instruction),
        number: sites.length,
        path: here,
        loops,
        bounds,
      });
    });
  };
  visit(program.body, [], []);
  return sites;
}

/** An operand in a slot. `what` names it in messages. */
export type SlotAccess = SlotRead | SlotWrite;

export interface SlotRead {
  readonly kind: "read";
  readonly what: string;
  readonly slot: SlotSource;
  readonly axes: readonly WalkAxis[];
}

export interface SlotWrite {
  readonly kind: "write";
  readonly what: string;
  readonly slot: SlotDest;
  readonly axes: readonly WalkAxis[];
  /**
   * Where it begins anew instead of going on from what the slot holds: `always` for operands that only write.
   */
  readonly begins: Condition;
}

export function slotAccesses({ body }: Instruction): readonly SlotAccess[] {
  switch (body.op) {
    case "load": {
      const axes = body.axes.map(({ count, slotStride }) => ({ count, stride: slotStride }));
      return [
        ...indexReads(body.index, body.axes),
        { kind: "write", what: "dest", slot: body.dest, axes, begins: always },
      ];
    }
    case "store": {
      const axes = body.axes.map(({ count, slotStride }) => ({ count, stride: slotStride }));
      return [
        { kind: "read", what: "source", slot: body.source, axes },
        ...indexReads(body.index, body.axes),
      ];
    }
    case "mma": {
      const along = (stride: "strideA" | "strideB" | "strideC") =>
        body.axes.map((axis) => ({ count: axis.count, stride: axis[stride] }));
      return [
        { kind: "read", what: "a", slot: body.a, axes: along("strideA") },
        { kind: "read", what: "b", slot: body.b, axes: along("strideB") },
        ...strided("zero point of a", body.zeroA, body.axes),
        ...strided("zero point of b", body.zeroB, body.axes),
        {
          kind: "write",
          what: "accumulator",
          slot: body.dest,
          // The cells are there however few products go into them.
          axes: along("strideC").filter((_, i) => body.axes[i]!.role !== "k"),
          begins: body.clear,
        },
      ];
    }
    case "vec":
      return [
        ...body.inputs.flatMap((input, i) => strided(`input ${i}`, input, body.axes)),
        ...vecWrites(body),
      ];
    default:
      return body satisfies never;
  }
}

function vecWrites({
  axes,
  outputs,
  carries,
}: Extract<InstructionBody, { op: "vec" }>): SlotWrite[] {
  const results = outputs.map(({ dest, strides, reduce }, i): SlotWrite => {
    const write = { kind: "write", what: `output ${i}`, slot: dest } as const;
    if (reduce === undefined) return { ...write, axes: walk(axes, strides), begins: always };
    const reach = [...parallelWalk(axes, strides), ...partials(reduce.partialStride)];
    return { ...write, axes: reach, begins: reduce.init };
  });
  const states = carries.flatMap(({ state }, i): SlotWrite[] => {
    if (state === undefined) return [];
    const { dest, strides, init } = state;
    const reach = parallelWalk(axes, strides);
    return [{ kind: "write", what: `carry ${i}`, slot: dest, axes: reach, begins: init }];
  });
  return [...results, ...states];
}

interface Strided {
  readonly source: SlotSource;
  readonly strides: readonly number[];
}

function walk(axes: readonly { readonly count: Count }[], strides: readonly number[]): WalkAxis[] {
  return axes.map(({ count }, i) => ({ count, stride: strides[i] ?? 0 }));
}

/** Of what is written once per parallel position, even if there is nothing to reduce or scan. */
function parallelWalk(axes: readonly VecAxis[], strides: readonly number[]): WalkAxis[] {
  return walk(axes, strides).filter((_, i) => axes[i]!.kind === "parallel");
}

function strided(
  what: string,
  operand: Strided | undefined,
  axes: readonly { readonly count: Count }[],
): SlotRead[] {
  if (operand === undefined) return [];
  return [{ kind: "read", what, slot: operand.source, axes: walk(axes, operand.strides) }];
}

function indexReads(index: Strided | undefined, axes: readonly TransferAxis[]): SlotRead[] {
  return strided("index", index, axes);
}

/** Partial sums of a floating reduction lie one stride apart. */
function partials(stride: number | undefined): WalkAxis[] {
  if (stride === undefined) return [];
  return [{ count: { value: { constant: 16, terms: [] }, max: 16 }, stride }];
}

/** An operand in memory. An indexed axis goes anywhere in [0, extent), so its walk has that for a count. */
export interface MemoryAccess {
  readonly kind: "load" | "store";
  readonly what: string;
  readonly memory: MemoryOperand;
  readonly axes: readonly WalkAxis[];
}

function memoryAccesses({ body }: Instruction): readonly MemoryAccess[] {
  if (body.op !== "load" && body.op !== "store") return [];
  const { index } = body;
  const axes = body.axes.map((axis, i) => {
    if (i === index?.axis) return { count: index.extent, stride: axis.memoryStride };
    return { count: axis.count, stride: axis.memoryStride, ...clipOf(axis) };
  });
  const main = { kind: body.op, what: "memory", memory: body.memory, axes };
  if (body.op === "store" || body.dequantize === undefined) return [main];
  const { scale, zero } = body.dequantize;
  const walks = zero === undefined ? { scale } : { scale, zero };
  const beside = Object.entries(walks).map(([what, { memory, strides }]) => ({
    kind: "load" as const,
    what,
    memory,
    axes: body.axes.map((axis, i) => ({
      count: axis.count,
      stride: strides[i] ?? 0,
      ...clipOf(axis),
    })),
  }));
  return [main, ...beside];
}

function clipOf({ clip }: TransferAxis): { readonly clip?: NonNullable<TransferAxis["clip"]> } {
  return clip === undefined ? {} : { clip };
}

export function sameEngine(a: EngineRef, b: EngineRef): boolean {
  const channelOf = (e: EngineRef) => ("channel" in e ? e.channel : 0);
  return a.engine === b.engine && channelOf(a) === channelOf(b);
}

/** Loops whose index or extent an expression reads. */
export function loopsIn(...affines: readonly Affine[]): readonly number[] {
  return affines.flatMap((affine) =>
    affine.terms.filter((term) => term.of !== "scalar").map((term) => term.id),
  );
}

const classes = new WeakMap<LoopHead, string>();

/** Two loops of one class make the same trips at the same time. */
export function loopClass(head: LoopHead): string {
  let text = classes.get(head);
  if (text === undefined) {
    const { over, start, total, minTotal, maxTotal, step } = head;
    text = JSON.stringify([over, start, total, minTotal, maxTotal, step]);
    classes.set(head, text);
  }
  return text;
}

export function placesAlong({ grid }: Program, over: LoopHead["over"]): number {
  if (over === "rows") return grid.rows;
  return over === "columns" ? grid.columns : grid.rows * grid.columns;
}

export interface PartVisitor {
  affine(affine: Affine): void;
  condition(condition: Condition): void;
  queue(queue: number): void;
  binding(binding: number): void;
}

/** Every affine, condition, queue and binding inside an instruction, however deep. */
export function walkParts(value: unknown, visit: PartVisitor): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) walkParts(item, visit);
    return;
  }
  const part = value as Readonly<Record<string, unknown>>;
  if ("constant" in part && "terms" in part) visit.affine(value as Affine);
  else if (part["kind"] === "all") visit.condition(value as Condition);
  if ("queue" in part) visit.queue(part["queue"] as number);
  if ("binding" in part) visit.binding(part["binding"] as number);
  for (const [key, item] of Object.entries(part)) if (key !== "terms") walkParts(item, visit);
}

export function conditionLoops(condition: Condition): readonly number[] {
  return condition.kind === "all" ? condition.terms.map((term) => term.loop) : [];
}
