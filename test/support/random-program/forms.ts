/** What a program has in it, in words that can be counted: instruction rows, types, forms. */
import type { Affine, LoopHead } from "../../../src/ir/tile.js";
import type {
  Condition,
  Instruction,
  Program,
  ProgramNode,
  SlotDest,
  SlotSource,
} from "../../../src/isa/program.js";
import { destsOf, sourcesOf } from "./stages.js";

export function formsOf(program: Program): Set<string> {
  const forms = new Set<string>([`grid ${program.grid.rows}x${program.grid.columns}`]);
  const count: Count = (form) => void forms.add(form);
  for (const { consumers } of program.queues) count(`queue with ${consumers.length} consumers`);
  const visit = (node: ProgramNode): void => {
    switch (node.kind) {
      case "barrier":
        return count("barrier");
      case "loop":
        countLoop(node.head, count);
        return node.body.forEach(visit);
      case "instruction":
        return countInstruction(program, node.instruction, count);
      default:
        node satisfies never;
    }
  };
  program.body.forEach(visit);
  return forms;
}

type Count = (form: string) => void;

function countLoop(head: LoopHead, count: Count): void {
  count(`loop over ${head.over}`);
  if (head.total.length > 1) count("loop to the least of two totals");
  for (const total of head.total) for (const kind of termsOf(total)) count(`loop total by ${kind}`);
  for (const kind of termsOf(head.start)) count(`loop start by ${kind}`);
  if (head.maxTotal <= head.start.constant && head.start.terms.length === 0) {
    count("loop without trips");
  }
}

function termsOf(affine: Affine): string[] {
  return affine.terms.map(({ of }) => of);
}

function countInstruction(program: Program, instruction: Instruction, count: Count): void {
  const { body, stage, waits, signals } = instruction;
  if (stage !== undefined) count(`stage ${stage.by}`);
  if (waits !== undefined && waits.length > 0) count("waits for a token");
  if (signals !== undefined && signals.length > 0) count("signals a token");
  for (const source of sourcesOf(instruction)) countSource(source, count);
  for (const dest of destsOf(instruction)) countDest(dest, count);
  switch (body.op) {
    case "load":
      return countLoad(program, body, count);
    case "store":
      return countStore(program, body, count);
    case "mma":
      return countMma(program, body, count);
    case "vec":
      return countVec(program, body, count);
    default:
      body satisfies never;
  }
}

function countSource({ pop, offset }: SlotSource, count: Count): void {
  count(`pop ${conditionForm(pop)}`);
  if (offset.terms.length > 0) count("source that moves inside its slot");
}

function countDest({ publish, update, offset }: SlotDest, count: Count): void {
  count(update ? "update" : `publish ${conditionForm(publish)}`);
  if (offset.terms.length > 0) count("destination that moves inside its slot");
}

function conditionForm(condition: Condition): string {
  if (condition.kind !== "all") return condition.kind;
  if (condition.terms.length > 1) return "conjunction";
  return condition.terms.map(({ edge, negated }) => `${negated ? "!" : ""}${edge}`).join();
}

type Body<Op> = Extract<Instruction["body"], { readonly op: Op }>;

function countLoad(program: Program, body: Body<"load">, count: Count): void {
  const from = program.bindings[body.memory.binding]!.dtype;
  const to = program.queues[body.dest.queue]!.dtype;
  if (body.dequantize === undefined) count(`load ${from} to ${to}`);
  else {
    const { scale, zero } = body.dequantize;
    const typeOf = (binding: number): string => program.bindings[binding]!.dtype;
    count(`load ${from} dequantized to ${to}`);
    count(`load with scale ${typeOf(scale.memory.binding)}`);
    count(`load with zero ${zero === undefined ? "none" : typeOf(zero.memory.binding)}`);
  }
  if (body.delivery !== undefined) {
    const { delivery } = body;
    const how =
      delivery.kind === "neighbour" ? ` ${delivery.axis} ${delivery.by} ${delivery.wrap}` : "";
    count(`load ${delivery.kind}${how}`);
  }
  countTransfer("load", body, count);
}

function countStore(program: Program, body: Body<"store">, count: Count): void {
  const from = program.queues[body.source.queue]!.dtype;
  const to = program.bindings[body.memory.binding]!.dtype;
  count(`store ${from} to ${to}`);
  if (body.combine !== undefined) {
    const place = body.index === undefined ? "store" : "scatter";
    count(`${place} ${body.combine} to ${to}`);
  }
  countTransfer("store", body, count);
}

function countTransfer(op: string, body: Body<"load"> | Body<"store">, count: Count): void {
  count(`${op} over ${body.axes.length} axes`);
  if (body.index !== undefined) {
    count(`${op} with index`);
    if (body.index.extent.value.terms.length > 0) count(`${op} with index in a dynamic extent`);
  }
  for (const { count: elements, memoryStride, clip } of body.axes) {
    for (const kind of termsOf(elements.value)) count(`${op} axis counted by ${kind}`);
    if (memoryStride < 0) count(`${op} backwards`);
    if (memoryStride === 0 && elements.max > 1) count(`${op} of one element many times`);
    if (clip === undefined) continue;
    count(`${op} clipped by ${clip.step}`);
    for (const kind of termsOf(clip.origin)) count(`${op} clipped from ${kind}`);
    for (const kind of termsOf(clip.limit.value)) count(`${op} clipped to ${kind}`);
  }
}

function countMma(program: Program, body: Body<"mma">, count: Count): void {
  const typeOf = ({ queue }: SlotSource): string => program.queues[queue]!.dtype;
  count(`mma ${typeOf(body.a)} by ${typeOf(body.b)}`);
  for (const role of ["g", "m", "n", "k"] as const) {
    count(`mma with ${body.axes.filter((axis) => axis.role === role).length} axes ${role}`);
  }
  if (body.zeroA !== undefined) count(`mma zeroA ${typeOf(body.zeroA.source)}`);
  if (body.zeroB !== undefined) count(`mma zeroB ${typeOf(body.zeroB.source)}`);
  count(`mma clear ${conditionForm(body.clear)}`);
  count(`mma fold ${conditionForm(body.fold)}`);
}

function countVec(program: Program, body: Body<"vec">, count: Count): void {
  const typeOf = (queue: number): string => program.queues[queue]!.dtype;
  for (const kind of ["parallel", "reduce", "scan"] as const) {
    count(`vec with ${body.axes.filter((axis) => axis.kind === kind).length} axes ${kind}`);
  }
  count(`vec with ${body.inputs.length} inputs`);
  count(`vec with ${body.outputs.length} outputs`);
  count(`vec with ${body.carries.length} carries`);
  for (const { op, imm, type } of body.program.instructions) {
    count(`lane ${op}`);
    if (op === "input" || op === "lookup") {
      const { queue } = body.inputs[imm!]!.source;
      count(`lane ${op} ${program.queues[queue]!.space} ${typeOf(queue)}`);
    }
    if (op === "carry") count(`lane carry ${type}`);
  }
  body.outputs.forEach(({ dest, reduce }, i) => {
    count(`vec output ${typeOf(dest.queue)}`);
    if (reduce === undefined) return;
    const register = body.program.results[i]!;
    const { type } = body.program.instructions[register]!;
    const partials = reduce.partialStride === undefined ? "" : " in partials";
    count(`reduce ${reduce.reduction} of ${type}${partials}`);
    count(`reduce ${reduce.reduction} init ${conditionForm(reduce.init)}`);
    count(`reduce to ${typeOf(dest.queue)}`);
  });
  for (const { state } of body.carries) {
    if (state === undefined) count("carry without state");
    else {
      count(`carry state ${typeOf(state.dest.queue)}`);
      count(`carry init ${conditionForm(state.init)}`);
    }
  }
}
