/** What the two ways to walk a program share: numbering, and what an instruction is made of. */
import type {
  EngineRef,
  Instruction,
  Program,
  ProgramNode,
  SlotDest,
  SlotSource,
} from "../../../isa/program.js";
import { engineOf } from "../../../isa/program.js";
import type { LoopHead } from "../../../ir/tile.js";
import type { Environment, TripCode } from "./environment.js";
import type { FunctionBuilder } from "../wasm/function.js";
import type { Int } from "./ints.js";
import type { Kernel } from "../kernels.js";
import type { Layout } from "../slots/storage.js";

export interface WalkContext {
  readonly f: FunctionBuilder;
  readonly program: Program;
  readonly layout: Layout;
  readonly scratch: Int;
  readonly bindings: readonly Int[];
  readonly scalars: readonly Int[];
  /** Number of each instruction in the text. */
  readonly numbers: ReadonlyMap<Instruction, number>;
  call(kernel: Kernel, args: readonly Int[]): void;
}

export function numberInstructions(nodes: readonly ProgramNode[]): Map<Instruction, number> {
  const numbers = new Map<Instruction, number>();
  const visit = (node: ProgramNode): void => {
    if (node.kind === "loop") node.body.forEach(visit);
    else if (node.kind === "instruction") numbers.set(node.instruction, numbers.size);
  };
  nodes.forEach(visit);
  return numbers;
}

/** How late a node runs in a loop around it; all instructions of an inner loop have the same stage there. */
export function stageOf(node: ProgramNode, loop: number): number {
  switch (node.kind) {
    case "barrier":
      return 0;
    case "instruction":
      return node.instruction.stage?.loop === loop ? node.instruction.stage.by : 0;
    case "loop":
      return node.body.length === 0 ? 0 : stageOf(node.body[0]!, loop);
    default:
      return node satisfies never;
  }
}

/** The environment inside a trip of a loop. */
export function within(environment: Environment, head: LoopHead, trip: TripCode): Environment {
  return { ...environment, trips: new Map([...environment.trips, [head.id, trip]]) };
}

/** The operands of an instruction that hold data, tokens left aside. */
export function operandsOf({ body }: Instruction): {
  readonly sources: readonly SlotSource[];
  readonly dests: readonly SlotDest[];
} {
  switch (body.op) {
    case "load":
      return { sources: body.index === undefined ? [] : [body.index.source], dests: [body.dest] };
    case "store":
      return {
        sources: body.index === undefined ? [body.source] : [body.source, body.index.source],
        dests: [],
      };
    case "mma": {
      const zeros = [body.zeroA, body.zeroB].flatMap((zero) => (zero ? [zero.source] : []));
      return { sources: [body.a, body.b, ...zeros], dests: [body.dest] };
    }
    case "vec":
      return {
        sources: body.inputs.map((input) => input.source),
        dests: [
          ...body.outputs.map((output) => output.dest),
          ...body.carries.flatMap(({ state }) => (state === undefined ? [] : [state.dest])),
        ],
      };
    default:
      return body satisfies never;
  }
}

/** Number of the cursor with which an operand addresses its queue: 0 is the tail, consumer i has i + 1. */
export function cursorOf(
  program: Program,
  instruction: Instruction,
  operand: SlotSource | SlotDest,
): number {
  if ("update" in operand && !operand.update) return 0;
  const { consumers } = program.queues[operand.queue]!;
  return 1 + consumers.findIndex((consumer) => isSameEngine(consumer, engineOf(instruction)));
}

function isSameEngine(a: EngineRef, b: EngineRef): boolean {
  if (a.engine === "load" || a.engine === "store") {
    return a.engine === b.engine && a.channel === b.channel;
  }
  return a.engine === b.engine;
}
