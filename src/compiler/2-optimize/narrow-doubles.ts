/**
 * `--float64 fp32`: doubles are fp32 everywhere, so that the device computes what else only the host could. Nodes that
 * only the host knows still read and write doubles; the caller's types stay as they are.
 *
 *   input x: f64; y: f64 = map(x)   ->   input x: f32; y: f32 = map(x)
 */
import type { DecisionRecord } from "../../isa/executable.js";
import { convertData } from "../../numerics/convert.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import type { Graph, MapOperation, Node, Operation, Value } from "../../ir/graph.js";
import { dropDeadNodes } from "./rewrite.js";

export function narrowDoubles(graph: Graph, records: DecisionRecord[]): Graph {
  const touched = graph.nodes.filter(({ op, inputs, outputs }) => {
    return op.kind !== "host" && [...inputs, ...outputs].some(isDouble);
  });
  if (touched.length === 0 && !graph.inputs.some(isDouble)) return graph;
  const origins = [...new Set(touched.flatMap((node) => node.origins))];
  records.push({ what: "precision", why: "doubles are computed in fp32, as asked", origins });
  const narrowed = new Map<Value, Value>();
  const now = (value: Value): Value => {
    if (!isDouble(value)) return value;
    const known = narrowed.get(value) ?? narrow(value, value.name);
    narrowed.set(value, known);
    return known;
  };
  const inputs = graph.inputs.map(now);
  const nodes = graph.nodes.flatMap((node) =>
    node.op.kind === "host" ? aroundHost(node, now, narrowed) : narrowNode(node, now),
  );
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: now(value) }));
  return dropDeadNodes({ ...graph, inputs, nodes, outputs });
}

/** What has no known shape only goes from one host node to another. */
function isDouble({ dtype, unknownShape }: Value): boolean {
  return dtype === "f64" && unknownShape !== true;
}

function narrow(value: Value, name: string): Value {
  const { data } = value;
  const result: Value = { ...value, name, dtype: "f32" };
  if (data === undefined) return result;
  return { ...result, data: { ...data, dtype: "f32", data: convertData("f64", data.data, "f32") } };
}

function narrowNode(node: Node, now: (value: Value) => Value): Node {
  const isNarrowed = [...node.inputs, ...node.outputs].some(isDouble);
  return {
    ...node,
    op: isNarrowed ? narrowOperation(node.op) : node.op,
    inputs: node.inputs.map(now),
    outputs: node.outputs.map(now),
  };
}

/** Numbers inside an operation are rounded as its operands are. */
function narrowOperation(op: Operation): Operation {
  if (op.kind === "pad") return { ...op, value: Math.fround(op.value) };
  return op.kind === "map" ? { ...op, program: narrowProgram(op.program) } : op;
}

function narrowProgram(program: MapOperation["program"]): MapOperation["program"] {
  return {
    ...program,
    instructions: program.instructions.map((instruction) =>
      instruction.op === "constF"
        ? { ...instruction, imm: Math.fround(instruction.imm!) }
        : instruction,
    ),
  };
}

/** The host's operators read and write the types that the model gives them: maps stand between. */
function aroundHost(
  node: Node,
  now: (value: Value) => Value,
  narrowed: Map<Value, Value>,
): readonly Node[] {
  const convert = (from: Value, to: Value): Node => ({
    op: conversion,
    inputs: [from],
    outputs: [to],
    origins: node.origins,
  });
  const before: Node[] = [];
  const inputs = node.inputs.map((value, i) => {
    if (!isDouble(value) || value.data !== undefined) return value;
    const wide: Value = { ...value, name: `${node.outputs[0]!.name}.double${i}` };
    before.push(convert(now(value), wide));
    return wide;
  });
  const after = node.outputs.filter(isDouble).map((value) => {
    const result = narrow(value, `${value.name}.fp32`);
    narrowed.set(value, result);
    return convert(value, result);
  });
  return [...before, { ...node, inputs }, ...after];
}

const conversion: MapOperation = conversionMap();

function conversionMap(): MapOperation {
  const builder = laneProgramBuilder();
  return { kind: "map", program: builder.finish([builder.source("input", 0, "f32")]) };
}
