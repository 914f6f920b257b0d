/** Software pipelining of a random loop: later parts of its body run some trips late. */
import type { Instruction, ProgramNode, SlotDest, SlotSource } from "../../../src/isa/program.js";
import { engineOf } from "../../../src/isa/program.js";
import { engineText } from "../../../src/isa/disassemble.js";
import { deepen, type Context } from "./context.js";

type LoopNode = Extract<ProgramNode, { readonly kind: "loop" }>;

/**
 * Stages rise along the text. The instructions of an engine that share a queue stay together; queues get the slots
 * that lie between producer and consumer.
 */
export function withStages(context: Context, loop: LoopNode): LoopNode {
  const { random } = context;
  const parts = loop.body.map(instructionsIn);
  const all = parts.flat();
  const isPlain = all.every(
    ({ stage, waits, signals }) =>
      stage === undefined && waits === undefined && signals === undefined,
  );
  if (!isPlain || parts.length < 2) return loop;
  const stages: number[] = [];
  const open = (i: number): boolean =>
    !parts.slice(0, i).some((part, j) => stages[j] !== undefined && share(part, parts.slice(i)));
  let stage = 0;
  for (let i = 0; i < parts.length; i++) {
    if (i > 0 && stage < 2 && random.chance(0.4) && open(i)) stage += random.int(1, 2);
    stages.push(stage);
  }
  if (stage === 0) return loop;
  const producers = new Map<number, number>();
  const late = new Map<number, number>();
  parts.forEach((part, i) => {
    for (const each of part) {
      for (const { queue, update } of destsOf(each)) {
        if (!update) producers.set(queue, stages[i]!);
      }
      for (const { queue } of sourcesOf(each)) {
        const from = producers.get(queue);
        if (from !== undefined) late.set(queue, Math.max(late.get(queue) ?? 0, stages[i]! - from));
      }
    }
  });
  for (const [queue, by] of late) deepen(context, queue, by * context.queues[queue]!.depth);
  const body = loop.body.map((node, i) => staged(node, loop.head.id, stages[i]!));
  return { ...loop, body };
}

/** Some engine touches a queue from the same side before and after. */
function share(
  before: readonly Instruction[],
  after: readonly (readonly Instruction[])[],
): boolean {
  const sides = new Set(before.flatMap(sidesOf));
  return after.some((part) => part.some((each) => sidesOf(each).some((side) => sides.has(side))));
}

function sidesOf(instruction: Instruction): string[] {
  const engine = engineText(engineOf(instruction));
  return [
    ...sourcesOf(instruction).map(({ queue }) => `${engine} reads ${queue}`),
    ...destsOf(instruction).map(({ queue, update }) =>
      update ? `${engine} reads ${queue}` : `${engine} fills ${queue}`,
    ),
  ];
}

function staged(node: ProgramNode, loop: number, by: number): ProgramNode {
  if (by === 0 || node.kind === "barrier") return node;
  if (node.kind === "loop") {
    return { ...node, body: node.body.map((child) => staged(child, loop, by)) };
  }
  return { kind: "instruction", instruction: { ...node.instruction, stage: { loop, by } } };
}

export function instructionsIn(node: ProgramNode): Instruction[] {
  if (node.kind === "barrier") return [];
  return node.kind === "instruction" ? [node.instruction] : node.body.flatMap(instructionsIn);
}

export function sourcesOf({ body }: Instruction): SlotSource[] {
  switch (body.op) {
    case "load":
      return body.index === undefined ? [] : [body.index.source];
    case "store":
      return body.index === undefined ? [body.source] : [body.source, body.index.source];
    case "mma":
      return [body.a, body.b, body.zeroA?.source, body.zeroB?.source].filter(
        (source) => source !== undefined,
      );
    case "vec":
      return body.inputs.map(({ source }) => source);
    default:
      return body satisfies never;
  }
}

export function destsOf({ body }: Instruction): SlotDest[] {
  switch (body.op) {
    case "load":
    case "mma":
      return [body.dest];
    case "store":
      return [];
    case "vec":
      return [
        ...body.outputs.map(({ dest }) => dest),
        ...body.carries.flatMap(({ state }) => (state === undefined ? [] : [state.dest])),
      ];
    default:
      return body satisfies never;
  }
}
