/** What the import of one graph or function body carries along, whichever node it is at. */
import type { GraphBuilder } from "../../ir/builder.js";
import { createGraphBuilder } from "../../ir/build/graph-builder.js";
import type { AttributeValue } from "../../ir/onnx-node.js";
import type { DType } from "../../numerics/dtype.js";
import type { ModelContext } from "./model-context.js";

/** What all nodes of one graph or function body have in common. */
export interface Frame {
  readonly model: ModelContext;
  readonly b: GraphBuilder;
  /** Version by domain; a function imports its own. */
  readonly opsets: ReadonlyMap<string, number>;
  /** Attributes of the node that calls the function whose body this is. */
  readonly caller: ReadonlyMap<string, AttributeValue> | undefined;
  /** Of names inside a function: those of the calls, "call/". */
  readonly prefix: string;
  readonly depth: number;
  /** Names that values have, since those of different bodies may be the same. */
  readonly taken: Set<string>;
  /** Element types that the model declares, by value name. */
  readonly declared: ReadonlyMap<string, DType>;
  /** Inputs of the graph whose values are at hand, for operators that can be lowered only with them. */
  readonly offered: ReadonlySet<string>;
}

/** The frame of a model's own graph. */
export function rootFrame(model: ModelContext, opsets: ReadonlyMap<string, number>): Frame {
  return {
    model,
    b: createGraphBuilder(),
    opsets,
    caller: undefined,
    prefix: "",
    depth: 0,
    taken: new Set(),
    declared: new Map(),
    offered: new Set(),
  };
}

/** The name as a value of the frame, with a number where another body has one like it. */
export function freeName(frame: Frame, name: string): string {
  const wanted = frame.prefix + name;
  let free = wanted;
  for (let i = 1; frame.taken.has(free); i++) free = `${wanted}.${i}`;
  frame.taken.add(free);
  return free;
}
