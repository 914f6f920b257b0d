/**
 * Checks a kernel; runs after it is made and after every change of it. Returns all problems, each a sentence.
 *
 * Invariants:
 * - Loop ids are unique, steps positive, totals bounded; a spatial loop stands in no temporal one, and each
 *   direction of the grid is split once.
 * - Affine expressions name enclosing loops and runtime scalars that exist.
 * - A tile value is written by one engine and channel, its accumulations span the innermost loops around the
 *   writer, and it is read later in the text and inside its scope, by one engine in one stage: it sees one slot.
 * - The tensor engine writes accumulators, the vector engine alone reads them, everything else is in L1.
 * - Element types meet registers of their kind. Bindings are accessed as they say.
 * - Bodies keep the limits of tile.ts, have a stride per axis, and their lane programs are well-formed.
 *
 * Not checked: that walks stay inside slots and bindings, and that values fit the machine; the verifier of programs
 * (isa/verify.ts) proves both of what is emitted.
 */
import type { Kernel, KernelBody, KernelNode, KernelStatement, TileValue } from "./kernel.js";
import { verifyAffine, verifyBody, type Report } from "./verify-body.js";
import { readsOf, statementsOf, writesOf, type PlacedStatement } from "./scope.js";
import { tileLimits, type LoopHead } from "../tile.js";

export function verifyKernel(kernel: Kernel): readonly string[] {
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  verifyLoops(kernel, report);
  const statements = statementsOf(kernel.body);
  const isSound = statements
    .map(({ statement, loops }) => verifyStatement(kernel, statement, loops, report))
    .every((sound) => sound);
  if (isSound) kernel.values.forEach((_, value) => verifyValue(kernel, value, statements, report));
  return problems;
}

function verifyLoops(kernel: Kernel, report: Report): void {
  const ids = new Set<number>();
  const visit = (nodes: readonly KernelNode[], around: readonly LoopHead[]): void => {
    if (around.length > tileLimits.loopDepth) report(`loops are ${around.length} deep`);
    for (const node of nodes) {
      if (node.kind !== "loop") continue;
      const { head } = node;
      if (ids.has(head.id)) report(`two loops have the id ${head.id}`);
      ids.add(head.id);
      verifyHead(kernel, head, around, report);
      visit(node.body, [...around, head]);
    }
  };
  visit(kernel.body, []);
}

function verifyHead(
  kernel: Kernel,
  head: LoopHead,
  around: readonly LoopHead[],
  report: Report,
): void {
  const name = `loop ${head.name}`;
  if (!(Number.isInteger(head.step) && head.step > 0)) report(`${name} has step ${head.step}`);
  if (head.total.length === 0) report(`${name} has no total`);
  if (!(head.minTotal <= head.maxTotal)) report(`${name} has no room between its limits`);
  for (const affine of [head.start, ...head.total]) {
    verifyAffine(kernel, affine, around, (problem) => report(`${name}: ${problem}`));
  }
  if (head.over === "time") return;
  if (around.some((outer) => outer.over === "time")) report(`${name} stands in a temporal loop`);
  const isTaken = around.some(
    ({ over }) => over === head.over || over === "members" || head.over === "members",
  );
  if (isTaken) report(`${name} splits ${head.over} again`);
}

/** False where operands name what does not exist, so that nothing more can be said. */
function verifyStatement(
  kernel: Kernel,
  statement: KernelStatement,
  loops: readonly LoopHead[],
  report: Report,
): boolean {
  const { body, role, stage } = statement;
  const here: Report = (problem) =>
    report(`${body.op} (${kernel.roles[role] ?? role}): ${problem}`);
  if (kernel.roles[role] === undefined) here(`there is no role ${role}`);
  if (stage !== undefined) {
    const loop = loops.find((head) => head.id === stage.loop);
    if (loop === undefined) here(`its stage is in loop ${stage.loop}, which does not enclose it`);
    else if (loop.over !== "time") here(`its stage is in spatial loop ${loop.name}`);
    if (!(stage.by >= 0)) here(`its stage is ${stage.by}`);
  }
  const operands = [...readsOf(body), ...writesOf(body).map(({ operand }) => operand)];
  const missing = operands.filter(({ value }) => kernel.values[value] === undefined);
  for (const { value } of missing) here(`there is no tile value ${value}`);
  if (missing.length > 0) return false;
  for (const { offset } of operands) verifyAffine(kernel, offset, loops, here);
  verifySpaces(kernel, body, here);
  verifyBody(kernel, body, loops, here);
  return true;
}

function verifySpaces(kernel: Kernel, body: KernelBody, report: Report): void {
  const expectSpace = ({ name, space }: TileValue, wanted: TileValue["space"], verb: string) => {
    if (space !== wanted) report(`${verb} %${name}, which lies in ${space}`);
  };
  for (const { operand } of writesOf(body)) {
    const value = kernel.values[operand.value]!;
    expectSpace(value, body.op === "mma" ? "accumulator" : "l1", "writes");
  }
  if (body.op === "vec") return;
  for (const { value } of readsOf(body)) expectSpace(kernel.values[value]!, "l1", "reads");
}

function verifyValue(
  kernel: Kernel,
  number: number,
  statements: readonly PlacedStatement[],
  report: Report,
): void {
  const { name, elements, depth, space, dtype, carried } = kernel.values[number]!;
  const here: Report = (problem) => report(`%${name}: ${problem}`);
  if (!(elements > 0)) here(`has ${elements} elements`);
  if (!(depth > 0)) here(`has depth ${depth}`);
  if (space === "accumulator" && dtype !== "f32" && dtype !== "i32") here(`accumulates ${dtype}`);
  const writers = statements.filter(({ statement }) =>
    writesOf(statement.body).some(({ operand }) => operand.value === number),
  );
  if (writers.length === 0) return here("is never written");
  const engines = new Set(writers.map(({ statement }) => engineOf(statement)));
  if (engines.size > 1) here(`is written by ${[...engines].join(" and ")}`);
  const scope =
    carried === undefined
      ? verifyScope(number, writers, here)
      : verifyCarried({ number, carried, depth }, writers, here);
  const first = statements.indexOf(writers[0]!);
  const readers = new Map<string, KernelStatement["stage"]>();
  statements.forEach(({ statement, loops }, at) => {
    if (!readsOf(statement.body).some(({ value }) => value === number)) return;
    const engine = engineOf(statement);
    const { stage } = statement;
    const before = readers.has(engine) ? readers.get(engine) : stage;
    if (before?.loop !== stage?.loop || before?.by !== stage?.by) {
      here(`is read by ${engine} in several stages`);
    }
    readers.set(engine, stage);
    if (at <= first) here("is read before it is written");
    if (scope.some((head, i) => loops[i]?.id !== head.id)) here("is read outside its scope");
  });
  if (readers.size > tileLimits.consumers) here(`is read by ${readers.size} engines`);
}

/** Loops around the writers, less those over which they accumulate. */
function verifyScope(
  number: number,
  writers: readonly PlacedStatement[],
  report: Report,
): readonly LoopHead[] {
  let scope: readonly LoopHead[] | undefined;
  for (const { statement, loops } of writers) {
    for (const { operand, spanned } of writesOf(statement.body)) {
      if (operand.value !== number) continue;
      const kept = loops.length - spanned.length;
      const inner = loops.slice(kept).map((head) => head.id);
      if (inner.length !== spanned.length || spanned.some((id) => !inner.includes(id))) {
        report(`accumulates over [${spanned.join(", ")}], not the innermost loops of its writer`);
      }
      const own = loops.slice(0, kept);
      if (scope === undefined) scope = own;
      else if (own.map(({ id }) => id).join() !== scope.map(({ id }) => id).join()) {
        report("is written in different scopes");
      }
    }
  }
  return scope ?? [];
}

/** Written once before the loop that carries it and once in its trips; what a trip reads is inside them. */
function verifyCarried(
  { number, carried, depth }: { number: number; carried: number; depth: number },
  writers: readonly PlacedStatement[],
  report: Report,
): readonly LoopHead[] {
  const [before, inside, ...more] = writers;
  const loops = inside?.loops ?? [];
  const outer = loops.slice(0, -1).map(({ id }) => id);
  const head = loops.at(-1);
  const isPaired =
    more.length === 0 &&
    head?.id === carried &&
    head.over === "time" &&
    before!.loops.map(({ id }) => id).join() === outer.join();
  if (!isPaired) report(`is not written once before loop ${carried} and once in its trips`);
  if (depth < 2) report(`is carried in ${depth} slot`);
  const isWhole = writers.every(({ statement }) =>
    writesOf(statement.body).every((w) => w.operand.value !== number || w.spanned.length === 0),
  );
  if (!isWhole) report("is carried and accumulates");
  return loops;
}

function engineOf({ body, channel }: KernelStatement): string {
  if (body.op === "mma") return "tensor";
  return body.op === "vec" ? "vector" : `${body.op}.${channel}`;
}
