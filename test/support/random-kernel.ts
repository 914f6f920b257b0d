/** Random kernels: random programs of the kind that kernels are written as, less their queues. */
import type { Kernel, KernelNode, Spanned } from "../../src/ir/kernel/kernel.js";
import { mapBody } from "../../src/ir/kernel/map-body.js";
import type {
  Condition,
  Program,
  ProgramNode,
  SlotDest,
  SlotSource,
} from "../../src/isa/program.js";
import { randomProgram, type RandomProgram } from "./random-program.js";

export interface RandomKernel extends RandomProgram {
  readonly kernel: Kernel;
}

export function randomKernel(seed: number): RandomKernel {
  const random = randomProgram(seed, "kernel");
  return { ...random, kernel: kernelOf(random.program) };
}

function kernelOf({ queues, body, ...rest }: Program): Kernel {
  const values = queues.map(({ name, space, dtype, elements, depth }) => ({
    name,
    space,
    dtype,
    elements,
    depth,
  }));
  return { ...rest, values, body: body.map(kernelNode) };
}

function kernelNode(node: ProgramNode): KernelNode {
  if (node.kind === "barrier") throw new Error("a kernel has no barriers");
  if (node.kind === "loop") return { ...node, body: node.body.map(kernelNode) };
  const { body, waits: _, signals: __, ...rest } = node.instruction;
  const mapped = mapBody(body, {
    source: ({ queue, offset }: SlotSource) => ({ value: queue, offset }),
    dest: ({ queue, offset }: SlotDest) => ({ value: queue, offset }),
    begins: spanOf,
    ends: spanOf,
  });
  return { kind: "statement", ...rest, body: mapped };
}

function spanOf(condition: Condition): Spanned {
  if (condition.kind === "always") return [];
  if (condition.kind === "never") throw new Error("a span begins and ends somewhere");
  return condition.terms.map(({ loop }) => loop);
}
