/**
 * What a Kernel means: its loop nest in plain order on tile values, each one slot per member. There are no queues and no
 * stages here, those only move work in time. The statements are those of the programs (semantics-*.ts).
 *
 * Reading an element that this iteration of the value's scope has not written is undefined (L0504).
 */
import { InternalError } from "../../support/diagnostic.js";
import {
  accumulatorCells,
  slotCells,
  type AccumulatorCells,
  type Cells,
  type Operand,
  type SlotCells,
} from "../semantics/cells.js";
import type { Kernel, KernelBody, KernelNode, Spanned, TileOperand, TileValue } from "./kernel.js";
import { statementsOf, valueScopes, writesOf } from "./scope.js";
import {
  createMembers,
  groupAlong,
  neighbourOf,
  walkPlainOrder,
  type Company,
  type Member,
  type PlainNode,
} from "../semantics/plain-order.js";
import { executeLoad, type TransferResult } from "../semantics/load.js";
import { executeMma } from "../semantics/mma.js";
import { executeStore } from "../semantics/store.js";
import { executeVec } from "../semantics/vec.js";
import { evaluateAffine } from "../semantics/semantics.js";
import type { SlotObserver } from "../semantics/slot-observer.js";
import type { LoadBody, LoopHead, MmaBody, StoreBody, VecBody } from "../tile.js";

export interface KernelRun {
  /** Per binding. */
  readonly bindings: readonly Cells[];
  readonly scalars: ArrayLike<number>;
  readonly observe?: SlotObserver;
}

/** Runs the kernel on its bindings. `fault`: a gather or scatter met an index out of range. */
export function evaluateKernel(kernel: Kernel, run: KernelRun): TransferResult {
  const scopes = valueScopes(kernel);
  const members = createMembers(kernel.grid, run.scalars).map((member): Worker => {
    const values = kernel.values.map(newCells);
    // What a trip writes of a carried value is not what it reads.
    const next = kernel.values.map((value, i) =>
      value.carried === undefined ? values[i]! : newCells(value),
    );
    return { ...member, values, next };
  });
  const state: State = { kernel, run, members, spatial: spatialLoops(kernel.body) };
  const numbers = new Map(
    statementsOf(kernel.body).map(({ statement }, number) => [statement.body, number]),
  );
  let fault = false;
  walkPlainOrder(kernel.body.map(plainNode), {
    grid: kernel.grid,
    members,
    visit(body, company) {
      const turns = company.active.map((member) => executionOf(body, { state, company, member }));
      for (const turn of turns) if (turn().fault) fault = true;
      if (run.observe !== undefined) tell(run.observe, numbers.get(body)!, body, company.active);
    },
    enter(head, entering) {
      scopes.forEach((scope, value) => {
        const isCarried = kernel.values[value]!.carried === head.id;
        if (isCarried) for (const member of entering) hand(member, value);
        if (scope.at(-1)?.id !== head.id) return;
        for (const { values, next } of entering) {
          values[value]!.reset();
          next[value]!.reset();
        }
      });
    },
    place: (_, act) => act(),
  });
  return { fault };
}

function newCells({ name, space, dtype, elements }: TileValue): Slot {
  return (space === "accumulator" ? accumulatorCells : slotCells)(name, dtype, elements);
}

/** What was written last is read from now on. */
function hand({ values, next }: Worker, value: number): void {
  [values[value], next[value]] = [next[value]!, values[value]!];
  next[value].reset();
}

function tell(
  observe: SlotObserver,
  instruction: number,
  body: KernelBody,
  members: readonly Worker[],
): void {
  for (const { operand } of writesOf(body)) {
    const { value } = operand;
    for (const member of members) {
      observe({ instruction, member, value, cells: member.next[value]! });
    }
  }
}

type Slot = SlotCells & Partial<AccumulatorCells>;

interface Worker extends Member {
  /** By value, the slot that is read, and the one that is written: the same unless a loop carries the value. */
  readonly values: Slot[];
  readonly next: Slot[];
}

interface State {
  readonly kernel: Kernel;
  readonly run: KernelRun;
  readonly members: readonly Worker[];
  readonly spatial: ReadonlyMap<number, LoopHead>;
}

/** One member at one statement. */
interface Turn {
  readonly state: State;
  readonly company: Company<Worker>;
  readonly member: Worker;
}

function plainNode(node: KernelNode): PlainNode<KernelBody> {
  if (node.kind === "statement") return { kind: "leaf", leaf: node.body };
  const body = node.body.map((child) => ({ node: plainNode(child), by: 0 }));
  return { kind: "loop", head: node.head, body };
}

function spatialLoops(nodes: readonly KernelNode[]): Map<number, LoopHead> {
  const heads = new Map<number, LoopHead>();
  for (const node of nodes) {
    if (node.kind !== "loop") continue;
    if (node.head.over !== "time") heads.set(node.head.id, node.head);
    for (const [id, head] of spatialLoops(node.body)) heads.set(id, head);
  }
  return heads;
}

function executionOf(body: KernelBody, turn: Turn): () => TransferResult {
  switch (body.op) {
    case "load":
      return () => load(body, turn);
    case "store":
      return () => store(body, turn);
    case "mma":
      return () => mma(body, turn);
    case "vec":
      return () => vec(body, turn);
    default:
      return body satisfies never;
  }
}

const noFault: TransferResult = { fault: false };

function load(body: LoadBody<TileOperand, TileOperand>, turn: Turn): TransferResult {
  const { member, state } = turn;
  const index = body.index && { index: operandOf(body.index.source, member) };
  return executeLoad(body, {
    bindings: state.run.bindings,
    dest: { cells: delivered(body, turn), offset: evaluateAffine(body.dest.offset, member) },
    environment: member,
    ...index,
  });
}

/** The slots that a load fills, as one. */
function delivered(body: LoadBody<TileOperand, TileOperand>, turn: Turn): Cells {
  const { member, state, company } = turn;
  const own = member.next[body.dest.value]!;
  const { delivery } = body;
  if (delivery === undefined || delivery.kind === "multicast") return own;
  let receivers: readonly Worker[];
  if (delivery.kind === "gather") {
    const head = state.spatial.get(delivery.loop);
    if (head === undefined) throw new InternalError(`loop ${delivery.loop} is not spatial`);
    receivers = groupAlong(head.over, member, company.present);
  } else {
    const to = neighbourOf(delivery, member, state.members, state.kernel.grid);
    receivers = to === undefined ? [] : [to];
  }
  const slots = receivers.map((to) => to.next[body.dest.value]!);
  const set = (element: number, value: number): void => {
    for (const slot of slots) slot.set(element, value);
  };
  const { label, dtype, elements } = own;
  return { label, dtype, elements, get: (element) => own.get(element), set };
}

function store(body: StoreBody<TileOperand>, { member, state }: Turn): TransferResult {
  const index = body.index && { index: operandOf(body.index.source, member) };
  return executeStore(body, {
    bindings: state.run.bindings,
    source: operandOf(body.source, member),
    environment: member,
    ...index,
  });
}

function mma(body: MmaBody<TileOperand, TileOperand, Spanned>, { member }: Turn): TransferResult {
  const dest = member.next[body.dest.value]!;
  if (dest.clear === undefined) throw new InternalError(`${dest.label} is no accumulator`);
  executeMma(body, {
    a: operandOf(body.a, member),
    b: operandOf(body.b, member),
    ...(body.zeroA && { zeroA: operandOf(body.zeroA.source, member) }),
    ...(body.zeroB && { zeroB: operandOf(body.zeroB.source, member) }),
    dest: { ...destOf(body.dest, member), cells: dest as SlotCells & AccumulatorCells },
    clear: spansEdge(body.clear, "first", member),
    fold: spansEdge(body.fold, "last", member),
    environment: member,
  });
  return noFault;
}

function vec(body: VecBody<TileOperand, TileOperand, Spanned>, { member }: Turn): TransferResult {
  executeVec(body, {
    inputs: body.inputs.map((input) => operandOf(input.source, member)),
    outputs: body.outputs.map(({ dest, reduce }) => ({
      dest: destOf(dest, member),
      init: reduce !== undefined && spansEdge(reduce.init, "first", member),
    })),
    carries: body.carries.map(
      ({ state }) =>
        state && {
          state: destOf(state.dest, member),
          init: spansEdge(state.init, "first", member),
        },
    ),
    environment: member,
  });
  return noFault;
}

function operandOf({ value, offset }: TileOperand, member: Worker): Operand {
  return { cells: member.values[value]!, offset: evaluateAffine(offset, member) };
}

function destOf({ value, offset }: TileOperand, member: Worker): Operand<Slot> {
  return { cells: member.next[value]!, offset: evaluateAffine(offset, member) };
}

/** All spanned loops are in their first (last) trip. */
function spansEdge(spanned: Spanned, edge: "first" | "last", member: Member): boolean {
  return spanned.every((loop) => {
    const trip = member.trips.get(loop);
    if (trip === undefined) throw new InternalError(`loop ${loop} does not enclose its use`);
    return trip.number === (edge === "first" ? 0 : trip.count - 1);
  });
}
