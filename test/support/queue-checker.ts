/**
 * Runs a program in plain order and watches its queues: levels per member and consumer, and which elements of the
 * open slot were begun. The independent check of the structural verifier.
 */
import type { EngineRef, Program, SlotDest, SlotSource } from "../../src/isa/program.js";
import { always, engineOf } from "../../src/isa/program.js";
import { evaluate, holds, type Issue, plainOrder, type PlainMember } from "./plain-order.js";

interface QueueState {
  published: number;
  readonly popped: number[];
  /** Elements of the open slot that were begun; undefined while it is closed. */
  open: Set<number> | undefined;
  /** The last to fill it does not publish on the last trip of a loop, which this is. */
  withheld: boolean;
}

/** The first thing that goes wrong, or undefined. */
export function checkQueues(program: Program, scalars: readonly number[]): string | undefined {
  const count = program.grid.rows * program.grid.columns;
  const states = Array.from({ length: count }, () =>
    program.queues.map(
      (queue): QueueState => ({
        published: 0,
        popped: queue.consumers.map(() => 0),
        open: undefined,
        withheld: false,
      }),
    ),
  );
  for (const issue of plainOrder(program, scalars)) {
    const wrong = checkIssue(program, issue, states, scalars);
    if (wrong !== undefined) return wrong;
  }
  for (const member of states) {
    for (const [i, state] of member.entries()) {
      const { name } = program.queues[i]!;
      if (state.open !== undefined && !state.withheld) return `${name} ends open`;
      if (state.popped.some((popped) => popped !== state.published)) return `${name} ends full`;
    }
  }
  return undefined;
}

function checkIssue(
  program: Program,
  { instruction, members }: Issue,
  states: readonly (readonly QueueState[])[],
  scalars: readonly number[],
): string | undefined {
  const engine = engineOf(instruction);
  const moves: (() => void)[] = [];
  for (const [number, member] of members) {
    const mine = states[number]!;
    const take = (source: SlotSource): string | undefined => {
      const state = mine[source.queue]!;
      const consumer = cursorOf(program, source.queue, engine);
      return state.popped[consumer]! < state.published ? undefined : `${source.queue} underfull`;
    };
    for (const wait of instruction.waits ?? []) {
      const wrong = take(wait);
      if (wrong !== undefined) return wrong;
      if (holds(wait.pop, member))
        mine[wait.queue]!.popped[cursorOf(program, wait.queue, engine)]!++;
    }
    for (const source of sourcesOf(instruction.body)) {
      const wrong = take(source);
      if (wrong !== undefined) return wrong;
      if (holds(source.pop, member)) {
        moves.push(() => mine[source.queue]!.popped[cursorOf(program, source.queue, engine)]!++);
      }
    }
    const fills = fillsOf(instruction.body);
    for (const signal of instruction.signals ?? []) fills.push({ dest: signal });
    for (const fill of fills) {
      for (const to of receiversOf(program, instruction.body, member, members)) {
        const wrong = checkFill({ program, fill, to: states[to]!, member, scalars, engine, moves });
        if (wrong !== undefined) return wrong;
      }
    }
  }
  for (const move of moves) move();
  return undefined;
}

interface Fill {
  readonly dest: SlotDest;
  /** Elements that the operand reaches, and whether it begins them; absent: a token. */
  readonly part?: { readonly begins: SlotDest["publish"]; readonly strides: readonly Reach[] };
}

interface Reach {
  readonly count: { readonly value: SlotDest["offset"]; readonly max: number };
  readonly stride: number;
}

interface FillContext {
  readonly program: Program;
  readonly fill: Fill;
  readonly to: readonly QueueState[];
  readonly member: PlainMember;
  readonly scalars: readonly number[];
  readonly engine: EngineRef;
  readonly moves: (() => void)[];
}

function checkFill(context: FillContext): string | undefined {
  const { program, fill, to, member, engine, moves } = context;
  const { dest } = fill;
  const queue = program.queues[dest.queue]!;
  const state = to[dest.queue]!;
  if (dest.update) {
    const consumer = cursorOf(program, dest.queue, engine);
    return state.popped[consumer]! < state.published ? undefined : `${queue.name} underfull`;
  }
  if (state.published - Math.min(...state.popped) >= queue.depth) return `${queue.name} overfull`;
  state.open ??= new Set();
  const elements = elementsOf(context);
  if (fill.part === undefined || holds(fill.part.begins, member)) {
    for (const element of elements) state.open.add(element);
  } else if (elements.some((element) => !state.open!.has(element))) {
    return `${queue.name} was not begun`;
  }
  state.withheld =
    dest.publish.kind === "all" &&
    dest.publish.terms.some(
      (term) =>
        term.edge === "last" && term.negated && !holds({ kind: "all", terms: [term] }, member),
    );
  if (holds(dest.publish, member)) {
    moves.push(() => {
      state.published++;
      state.open = undefined;
    });
  }
  return undefined;
}

function elementsOf({ fill, member, scalars }: FillContext): number[] {
  let elements = [evaluate(fill.dest.offset, member, scalars)];
  for (const { count, stride } of fill.part?.strides ?? []) {
    const length = Math.min(Math.max(evaluate(count.value, member, scalars), 0), count.max);
    elements = elements.flatMap((e) => Array.from({ length }, (_, i) => e + i * stride));
  }
  return elements;
}

function sourcesOf(body: Issue["instruction"]["body"]): SlotSource[] {
  switch (body.op) {
    case "load":
      return body.index === undefined ? [] : [body.index.source];
    case "store":
      return body.index === undefined ? [body.source] : [body.source, body.index.source];
    case "mma":
      return [body.a, body.b, ...[body.zeroA, body.zeroB].flatMap((z) => z?.source ?? [])];
    case "vec":
      return body.inputs.map((input) => input.source);
    default:
      return body satisfies never;
  }
}

function fillsOf(body: Issue["instruction"]["body"]): Fill[] {
  if (body.op === "load") {
    const strides = body.axes.map((axis) => ({ count: axis.count, stride: axis.slotStride }));
    return [{ dest: body.dest, part: { begins: always, strides } }];
  }
  if (body.op === "mma") {
    const strides = body.axes.map((axis) => ({ count: axis.count, stride: axis.strideC }));
    return [{ dest: body.dest, part: { begins: body.clear, strides } }];
  }
  if (body.op === "store") return [];
  return body.outputs.map(({ dest, strides, reduce }) => ({
    dest,
    part: {
      begins: reduce?.init ?? always,
      strides: body.axes.map(({ count }, i) => ({ count, stride: strides[i]! })),
    },
  }));
}

/** Numbers of the members whose queue an instruction of `member` fills. A multicast counts as everyone's own load. */
function receiversOf(
  program: Program,
  body: Issue["instruction"]["body"],
  member: PlainMember,
  members: ReadonlyMap<number, PlainMember>,
): number[] {
  const { rows, columns } = program.grid;
  const self = member.row * columns + member.column;
  if (body.op !== "load" || body.delivery?.kind !== "neighbour") return [self];
  const { axis, by, wrap } = body.delivery;
  const size = axis === "rows" ? rows : columns;
  const at = (axis === "rows" ? member.row : member.column) + by;
  if (!wrap && (at < 0 || at >= size)) return [];
  const to = (at + size) % size;
  const number = axis === "rows" ? to * columns + member.column : member.row * columns + to;
  if (!members.has(number)) throw new Error(`a push goes to member ${number}, which is not there`);
  return [number];
}

function cursorOf(program: Program, queue: number, engine: EngineRef): number {
  const text = JSON.stringify(engine);
  return program.queues[queue]!.consumers.findIndex((c) => JSON.stringify(c) === text);
}
