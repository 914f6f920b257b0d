/**
 * Kernel to Program. Every tile value becomes a queue; where it is published and popped follows from nothing but
 * its definitions and uses:
 *
 * - scope of a value: the loops around its definition, less those over which it accumulates;
 * - publish: by its last defining statement, on the last trip of the loops over which that accumulates;
 * - pop: by each engine's last reader, on the last trip of the loops between scope and reader.
 */
import {
  type Condition,
  type EngineRef,
  engineOf,
  type Instruction,
  type InstructionBody,
  always,
  never,
  type Program,
  type ProgramNode,
  type Queue,
  type SlotDest,
  type SlotSource,
  slotBytes,
} from "../../isa/program.js";
import type {
  Kernel,
  KernelNode,
  KernelStatement,
  Spanned,
  TileOperand,
} from "../../ir/kernel/kernel.js";
import { type PlacedStatement, readsOf, statementsOf, writesOf } from "../../ir/kernel/scope.js";
import { mapBody } from "../../ir/kernel/map-body.js";
import { InternalError } from "../../support/diagnostic.js";

/** Slots begin on boundaries that every access width divides. */
const slotAlignmentBytes = 64;

export function emitProgram(kernel: Kernel): Program {
  const statements = statementsOf(kernel.body);
  const flows = kernel.values.map(({ carried }, value) => flowOf(value, carried, statements));
  return {
    name: kernel.name,
    grid: kernel.grid,
    scalarCount: kernel.scalarCount,
    bindings: kernel.bindings,
    queues: placeQueues(kernel, flows),
    body: emitNodes(kernel.body, [], flows),
    roles: kernel.roles,
  };
}

interface Flow {
  /** Loop that carries it: the last trip's is never published, for nobody reads it. */
  readonly carried: number | undefined;
  readonly producer: EngineRef;
  readonly consumers: readonly EngineRef[];
  readonly scope: readonly number[];
  /** The statement that publishes. */
  readonly last: KernelStatement;
  /** Per consumer the statement that pops. */
  readonly poppers: ReadonlySet<KernelStatement>;
}

function flowOf(
  value: number,
  carried: number | undefined,
  statements: readonly PlacedStatement[],
): Flow {
  const writesOfValue = ({ statement }: PlacedStatement) =>
    writesOf(statement.body).find(({ operand }) => operand.value === value);
  const last = statements.findLast((placed) => writesOfValue(placed) !== undefined);
  if (last === undefined) throw new InternalError(`tile value ${value} is never written`);
  const { spanned } = writesOfValue(last)!;
  const poppers = new Map<string, KernelStatement>();
  const consumers: EngineRef[] = [];
  for (const { statement } of statements) {
    if (!readsOf(statement.body).some((operand) => operand.value === value)) continue;
    const engine = engineOf(statement);
    const key = JSON.stringify(engine);
    if (!poppers.has(key)) consumers.push(engine);
    poppers.set(key, statement);
  }
  return {
    carried,
    producer: engineOf(last.statement),
    consumers,
    scope: last.loops.map((loop) => loop.id).filter((id) => !spanned.includes(id)),
    last: last.statement,
    poppers: new Set(poppers.values()),
  };
}

function placeQueues(kernel: Kernel, flows: readonly Flow[]): Queue[] {
  const next = { l1: 0, accumulator: 0 };
  return kernel.values.map((value, i): Queue => {
    const offsetBytes = next[value.space];
    const bytes = Math.ceil(slotBytes(value) / slotAlignmentBytes) * slotAlignmentBytes;
    next[value.space] += bytes * value.depth;
    const { producer, consumers } = flows[i]!;
    const { carried: _, ...slots } = value;
    return { ...slots, offsetBytes, producer, consumers };
  });
}

function emitNodes(
  nodes: readonly KernelNode[],
  loops: readonly number[],
  flows: readonly Flow[],
): ProgramNode[] {
  return nodes.map((node): ProgramNode => {
    if (node.kind === "loop") {
      const { head } = node;
      return { kind: "loop", head, body: emitNodes(node.body, [...loops, head.id], flows) };
    }
    const instruction: Instruction = {
      body: emitBody(node, loops, flows),
      channel: node.channel,
      role: node.role,
      ...(node.stage === undefined ? {} : { stage: node.stage }),
    };
    return { kind: "instruction", instruction };
  });
}

function emitBody(
  statement: KernelStatement,
  loops: readonly number[],
  flows: readonly Flow[],
): InstructionBody {
  // One operand of a statement pops a value; where several read it, the last.
  const reads = readsOf(statement.body);
  return mapBody(statement.body, {
    source(operand: TileOperand): SlotSource {
      const flow = flows[operand.value]!;
      const isLast = reads.findLast((read) => read.value === operand.value) === operand;
      const between = loops.filter((loop) => !flow.scope.includes(loop));
      const pop = isLast && flow.poppers.has(statement) ? edges(between, "last") : never;
      return { queue: operand.value, offset: operand.offset, pop };
    },
    dest: (operand: TileOperand, began: Spanned | undefined): SlotDest => ({
      queue: operand.value,
      offset: operand.offset,
      publish: publishOf(flows[operand.value]!, statement, began ?? []),
      update: false,
    }),
    begins: (span: Spanned) => edges(span, "first"),
    ends: (span: Spanned) => edges(span, "last"),
  });
}

function publishOf({ carried, last }: Flow, statement: KernelStatement, began: Spanned): Condition {
  const isLast = last === statement;
  if (carried === undefined) return isLast ? edges(began, "last") : never;
  if (!isLast) return always;
  return { kind: "all", terms: [{ loop: carried, edge: "last", negated: true }] };
}

/** On the first or last trip of all the loops; of none: always. */
function edges(loops: readonly number[], edge: "first" | "last"): Condition {
  if (loops.length === 0) return always;
  return { kind: "all", terms: loops.map((loop) => ({ loop, edge, negated: false })) };
}
