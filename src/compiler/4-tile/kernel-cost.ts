/**
 * How many cycles a kernel takes, as far as the planner needs to know to choose between plans. The busiest member
 * runs its statements in plain order, each when its engine, its operands and its slot are ready; a loop is run for
 * some trips, the steady ones between are multiplied. Memory is shared equally and links are never crowded: the
 * timing simulator, which the compiler does not know, may prove it wrong.
 */
import type { Kernel, KernelNode, KernelStatement } from "../../ir/kernel/kernel.js";
import { readsOf, valueScopes, writesOf } from "../../ir/kernel/scope.js";
import type { LoopHead } from "../../ir/tile.js";
import { cyclesOfNs, type DeviceMachine } from "../../target/machine.js";
import { extentOf, type StatementCost, statementCost } from "./statement-cost.js";

export function kernelCycles(kernel: Kernel, machine: DeviceMachine): number {
  const run: Run = {
    kernel,
    machine,
    dtypes: kernel.bindings.map((binding) => binding.dtype),
    values: kernel.values,
    extents: [],
    isFirst: [],
    isRagged: [],
    spatial: new Map(),
    tripsRun: Math.max(0, ...kernel.values.map((value) => value.depth)) + 3,
    statements: new Map(),
    slots: kernel.values.map(() => ({ ready: [], free: [] })),
    engines: new Map(),
    pipes: { load: 0, store: 0 },
    memoryBytes: 0,
    now: 0,
  };
  prepare(kernel.body, [], valueScopes(kernel), run);
  for (const node of kernel.body) walk(node, run);
  const { hbm, channels } = machine;
  const latency = cyclesOfNs(machine, channels.latencyNs + hbm.latencyNs);
  return Math.max(run.now, latency + run.memoryBytes / bytesPerCycle(run));
}

/** What passes between the first load and the last store whatever the plan: waiting for memory and engines. */
export function latencyCycles(
  engines: readonly ("tensor" | "vector")[],
  machine: DeviceMachine,
): number {
  const { channels, hbm, l1 } = machine;
  const transfers = cyclesOfNs(machine, 2 * (channels.latencyNs + hbm.latencyNs));
  return engines.reduce(
    (cycles, engine) => cycles + l1.accessStartCycles + machine[engine].startCycles,
    transfers,
  );
}

interface Run {
  readonly kernel: Kernel;
  readonly machine: DeviceMachine;
  readonly dtypes: readonly Kernel["bindings"][number]["dtype"][];
  readonly values: Kernel["values"];
  /** Of the open loops at the current trip, by loop: its extent, whether it is the first, or shorter than others. */
  readonly extents: number[];
  readonly isFirst: boolean[];
  readonly isRagged: boolean[];
  /** Members along each open spatial loop. */
  readonly spatial: Map<number, number>;
  /** Trips of a loop that are run one by one before the others are taken to be like the last of them. */
  readonly tripsRun: number;
  readonly statements: Map<KernelStatement, Prepared>;
  readonly slots: readonly Slots[];
  readonly engines: Map<string, Engine>;
  /** When the member's share of memory has moved what was asked of it. */
  readonly pipes: { load: number; store: number };
  memoryBytes: number;
  now: number;
}

/** Times at which each instance of a value became readable, and was last read. */
interface Slots {
  readonly ready: number[];
  readonly free: number[];
}

interface Engine {
  /** Takes its next statement; channels: issues it. */
  next: number;
  /** Channels: has moved all data. */
  moved: number;
}

/** A use of a value, with the number of the instance that it is at and the loops over which it stays there. */
interface Use {
  readonly value: number;
  readonly within: readonly number[];
  instance: number;
}

interface Prepared {
  readonly engine: Engine;
  /** Loops around it. */
  readonly loops: readonly number[];
  /** By which of the loops are at a ragged trip. */
  readonly costs: StatementCost[];
  readonly reads: readonly Use[];
  readonly writes: readonly Use[];
}

function prepare(
  nodes: readonly KernelNode[],
  loops: readonly LoopHead[],
  scopes: readonly (readonly LoopHead[])[],
  run: Run,
): void {
  for (const node of nodes) {
    if (node.kind === "loop") {
      prepare(node.body, [...loops, node.head], scopes, run);
      continue;
    }
    const use = (value: number, isWritten = false): Use => {
      const inside = loops.slice(scopes[value]!.length).map((head) => head.id);
      const isCarried = run.values[value]!.carried === inside[0] && inside.length > 0;
      // Before the loop that carries a value it was written once.
      return isCarried
        ? { value, within: inside.slice(1), instance: isWritten ? 0 : -1 }
        : { value, within: inside, instance: -1 };
    };
    const { body, channel } = node;
    const isTransfer = body.op === "load" || body.op === "store";
    const name = isTransfer ? `${body.op}${channel}` : body.op;
    const engine = run.engines.get(name) ?? { next: 0, moved: 0 };
    run.engines.set(name, engine);
    const written = new Set(writesOf(body).map(({ operand }) => operand.value));
    const read = new Set(readsOf(body).map((operand) => operand.value));
    run.statements.set(node, {
      engine,
      loops: loops.map((head) => head.id),
      costs: [],
      reads: [...read].map((value) => use(value)),
      writes: [...written].map((value) => use(value, true)),
    });
  }
}

function walk(node: KernelNode, run: Run): void {
  if (node.kind === "statement") runStatement(node, run);
  else if (node.head.over === "time") walkTime(node, run);
  else {
    const { head, body } = node;
    const total = totalOf(head, run);
    run.spatial.set(head.id, Math.ceil(total / head.step));
    enter(head, Math.min(head.step, total), true, run);
    for (const child of body) walk(child, run);
  }
}

function enter({ id, step }: LoopHead, extent: number, isFirst: boolean, run: Run): void {
  run.extents[id] = extent;
  run.isFirst[id] = isFirst;
  run.isRagged[id] = extent !== step;
}

function totalOf(head: LoopHead, run: Run): number {
  const totals = head.total.map((value) => extentOf({ value, max: head.maxTotal }, run));
  return Math.min(head.maxTotal, Math.max(head.minTotal, ...[Math.min(...totals)]));
}

function walkTime({ head, body }: Extract<KernelNode, { kind: "loop" }>, run: Run): void {
  const total = totalOf(head, run);
  const trips = Math.ceil(total / head.step);
  const stages = body.map((node) => stageOf(node, head.id));
  const ran = Math.min(trips, run.tripsRun);
  let before: Progress | undefined;
  for (let trip = 0; trip < ran + Math.max(0, ...stages); trip++) {
    const start = progressOf(run);
    if (trip === ran - 1 && before !== undefined) skip(run, before, trips - ran);
    body.forEach((node, i) => {
      const number = trip - stages[i]!;
      if (number < 0 || number >= ran) return;
      const extent = number === ran - 1 ? total - (trips - 1) * head.step : head.step;
      enter(head, extent, number === 0, run);
      walk(node, run);
    });
    before = start;
  }
}

/** How late a node runs in a loop; all statements of an inner loop have the same stage. */
function stageOf(node: KernelNode, loop: number): number {
  if (node.kind === "loop") return node.body.length === 0 ? 0 : stageOf(node.body[0]!, loop);
  return node.stage?.loop === loop ? node.stage.by : 0;
}

interface Progress {
  readonly now: number;
  readonly memoryBytes: number;
}

function progressOf({ now, memoryBytes }: Run): Progress {
  return { now, memoryBytes };
}

/** Moves everything on by `trips` trips that are like the last one, which began at `before`. */
function skip(run: Run, before: Progress, trips: number): void {
  const cycles = (run.now - before.now) * trips;
  run.memoryBytes += (run.memoryBytes - before.memoryBytes) * trips;
  run.now += cycles;
  run.pipes.load += cycles;
  run.pipes.store += cycles;
  for (const engine of run.engines.values()) {
    engine.next += cycles;
    engine.moved += cycles;
  }
  for (const { ready, free } of run.slots) {
    ready.forEach((time, i) => (ready[i] = time + cycles));
    free.forEach((time, i) => (free[i] = time + cycles));
  }
}

function runStatement(statement: KernelStatement, run: Run): void {
  const prepared = run.statements.get(statement)!;
  const { engine, reads, writes } = prepared;
  const { body } = statement;
  let start = engine.next;
  for (const use of reads) {
    const { ready } = run.slots[use.value]!;
    if (begins(use, run)) use.instance++;
    start = Math.max(start, ready[use.instance] ?? 0);
  }
  for (const use of writes) {
    const { ready, free } = run.slots[use.value]!;
    if (begins(use, run)) {
      use.instance++;
      start = Math.max(start, free[use.instance - run.values[use.value]!.depth] ?? 0);
    } else if (body.op === "vec") start = Math.max(start, ready[use.instance] ?? 0);
  }
  const isTransfer = body.op === "load" || body.op === "store";
  const done = isTransfer
    ? transfer(body, start, prepared, run)
    : compute(body, start, prepared, run);
  for (const { value, instance } of reads) {
    const { free } = run.slots[value]!;
    free[instance] = Math.max(free[instance] ?? 0, done.popped);
  }
  for (const { value, instance } of writes) {
    const { ready } = run.slots[value]!;
    ready[instance] = Math.max(ready[instance] ?? 0, done.published);
  }
  run.now = Math.max(run.now, done.published);
}

/** The first iteration inside one of the value's scope: it is at another instance from here on. */
function begins({ within }: Use, { isFirst }: Run): boolean {
  return within.every((loop) => isFirst[loop]);
}

function costOf(
  body: KernelStatement["body"],
  { loops, costs }: Prepared,
  run: Run,
): StatementCost {
  let at = 0;
  for (const loop of loops) at = at * 2 + (run.isRagged[loop] ? 1 : 0);
  return (costs[at] ??= statementCost(body, run));
}

interface Done {
  readonly popped: number;
  readonly published: number;
}

type Body<Op> = Extract<KernelStatement["body"], { readonly op: Op }>;

function compute(body: Body<"mma" | "vec">, start: number, prepared: Prepared, run: Run): Done {
  const { tensor, vector, l1 } = run.machine;
  const popped = start + costOf(body, prepared, run).cycles;
  prepared.engine.next = popped;
  const depth = (body.op === "mma" ? tensor : vector).startCycles + l1.accessStartCycles;
  return { popped, published: popped + depth };
}

function transfer(body: Body<"load" | "store">, start: number, prepared: Prepared, run: Run): Done {
  const { engine } = prepared;
  const { machine, pipes } = run;
  const { channels, hbm, network } = machine;
  const cost = costOf(body, prepared, run);
  const isLoad = body.op === "load";
  const multicast = isLoad && body.delivery?.kind === "multicast" ? body.delivery : undefined;
  const readers = multicast === undefined ? 1 : run.spatial.get(multicast.loop)!;
  const bytes = cost.memoryBytes / readers;
  const acknowledge = cyclesOfNs(machine, hbm.latencyNs);
  const latency = cyclesOfNs(machine, channels.latencyNs) + (isLoad ? acknowledge : 0);
  const rate = channels.outstandingBytes / (cyclesOfNs(machine, channels.latencyNs) + acknowledge);
  const begin = Math.max(start + latency, engine.moved);
  const link = multicast === undefined ? 0 : cost.slotBytes / network.bytesPerCycle;
  const alone = Math.max(cost.memoryBytes / rate, cost.cycles, link);
  pipes[body.op] = Math.max(pipes[body.op], begin) + bytes / bytesPerCycle(run);
  const moved = Math.max(begin + alone, pipes[body.op]);
  engine.moved = moved;
  engine.next = Math.max(start + channels.issueCycles, moved - channels.outstandingBytes / rate);
  run.memoryBytes += bytes;
  return { popped: moved, published: moved + (isLoad ? 0 : acknowledge) };
}

/** A member's share of memory. */
function bytesPerCycle({ machine: { hbm, clock }, spatial }: Run): number {
  const members = [...spatial.values()].reduce((n, places) => n * places, 1);
  return hbm.bytesPerSecond / clock.frequencyHz / members;
}
