/**
 * Checks a graph; runs after every pass that changed one. Returns all problems, each a sentence.
 *
 * Invariants:
 * - Names of values are unique and not empty; so are the names of the outputs among themselves.
 * - A value is an input, a constant, a `dims` value or produced by exactly one node, before it is used.
 * - A constant's data has its type and shape. A `dims` value is an integer and has as many dims as elements.
 * - An operation's inputs, attributes and output satisfy its rules (`operation-types.ts`, `control.ts`); only host
 *   operations and control flow have several outputs, the former one per output that its ONNX node names.
 * - Only host operations touch values of unknown shape; control flow passes them on.
 * - Bodies of control flow are valid graphs, whose symbols mean outside what they mean inside, all but the index
 *   of their loop.
 * - A layout is a permutation of the axes. Only inputs have a limit.
 * - Every symbol in a dim is declared, once, with a sensible range.
 * - Every node's results are used.
 *
 * Not checked: that each symbol can be bound from the shapes of the inputs and of host results.
 */
import { elementCount } from "../numerics/tensor.js";
import { dtypes } from "../numerics/dtype.js";
import { controlTypes, operationSymbols, samePassedType } from "./control.js";
import { type Dim, dimProduct, type DimSymbol, NeedsBinding } from "./dim.js";
import { shapeText, symbolsOf } from "./graph-shapes.js";
import { type ControlOperation, type Graph, isControl, type Node, type Value } from "./graph.js";
import { operationType, sameType } from "./operation-types.js";

type Report = (problem: string) => void;

export function verifyGraph(graph: Graph): readonly string[] {
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  const values = valuesOf(graph);
  checkNames(graph, values, report);
  checkOrder(graph, report);
  for (const value of values) checkValue(value, report);
  for (const node of graph.nodes) checkNode(node, report);
  checkSymbols(graph, values, report);
  checkUses(graph, report);
  return problems;
}

/** Every value of a graph, each once: inputs, then in order of the nodes, then the outputs. */
export function valuesOf(graph: Graph): readonly Value[] {
  const values = new Set<Value>(graph.inputs);
  for (const node of graph.nodes) {
    for (const value of [...node.inputs, ...node.outputs]) values.add(value);
  }
  for (const { value } of graph.outputs) values.add(value);
  return [...values];
}

function checkNames(graph: Graph, values: readonly Value[], report: Report): void {
  const names = new Set<string>();
  for (const { name } of values) {
    if (name === "") report("a value has no name");
    if (names.has(name)) report(`two values are called "${name}"`);
    names.add(name);
  }
  const outputs = new Set<string>();
  for (const { name } of graph.outputs) {
    if (outputs.has(name)) report(`two outputs are called "${name}"`);
    outputs.add(name);
  }
}

function checkOrder(graph: Graph, report: Report): void {
  const known = new Set<Value>(graph.inputs);
  const use = (value: Value, where: string): void => {
    if (value.data !== undefined || value.dims !== undefined || known.has(value)) return;
    report(`${where} uses "${value.name}" before it is produced`);
  };
  for (const node of graph.nodes) {
    for (const value of node.inputs) use(value, describe(node));
    for (const value of node.outputs) {
      if (known.has(value)) report(`"${value.name}" is produced twice`);
      if (value.data !== undefined || value.dims !== undefined) {
        report(`"${value.name}" is produced although it is known`);
      }
      if (value.limit !== undefined) report(`"${value.name}" has a limit, but is no input`);
      known.add(value);
    }
  }
  for (const { name, value } of graph.outputs) use(value, `the output "${name}"`);
}

function checkValue(value: Value, report: Report): void {
  const { name, dtype, shape, data, dims, layout } = value;
  if (data !== undefined) {
    const fits = sameType(value, data) && data.data.length === elementCount(data.shape);
    if (!fits) report(`the data of "${name}" does not have its type or shape`);
  }
  if (dims !== undefined) {
    const { kind } = dtypes[dtype];
    if (kind !== "int" && kind !== "uint") report(`"${name}" is ${dtype}, but has dims`);
    if (dimProduct(shape) !== dims.length)
      report(`"${name}" has ${dims.length} dims for its elements`);
    if (data !== undefined) report(`"${name}" has both data and dims`);
  }
  if (layout !== undefined) {
    const sorted = [...layout].sort((a, b) => a - b);
    const permutes = layout.length === shape.length && sorted.every((axis, i) => axis === i);
    if (!permutes) report(`the layout of "${name}" is no permutation of its axes`);
  }
  for (const dim of shape) {
    if (typeof dim === "number" && (!Number.isInteger(dim) || dim < 0)) {
      report(`"${name}" has shape ${shapeText(shape)}`);
    }
  }
}

function checkNode(node: Node, report: Report): void {
  const { op, inputs, outputs } = node;
  if (op.kind === "host") {
    const named = op.node.outputNames.filter((name) => name !== "").length;
    if (outputs.length !== named)
      report(`${describe(node)} has ${outputs.length} outputs of ${named}`);
    return;
  }
  if (isControl(op)) {
    checkControl(node, op, report);
    return;
  }
  const unknown = [...inputs, ...outputs].find((value) => value.unknownShape === true);
  if (unknown !== undefined) {
    report(`${describe(node)} touches "${unknown.name}", whose shape is unknown`);
    return;
  }
  const [output, ...more] = outputs;
  if (output === undefined || more.length > 0) {
    report(`${describe(node)} has ${outputs.length} outputs`);
    return;
  }
  try {
    const type = operationType(op, inputs, output);
    if (!sameType(type, output)) {
      const wanted = `${type.dtype}${shapeText(type.shape)}`;
      report(
        `${describe(node)} gives ${wanted}, declared ${output.dtype}${shapeText(output.shape)}`,
      );
    }
  } catch (error) {
    report(`${describe(node)}: ${messageOf(error)}`);
  }
}

function checkControl(node: Node, op: ControlOperation, report: Report): void {
  for (const body of op.bodies) {
    for (const problem of verifyGraph(body)) report(`in ${describe(node)}: ${problem}`);
  }
  if (op.kind === "loop") {
    const inside = op.bodies.flatMap((body) => body.symbols);
    const index = inside.find((symbol) => symbol.name === op.index.name);
    if (index !== undefined && !sameSymbol(index, op.index)) {
      report(`${describe(node)} has an index that is not its body's`);
    }
  }
  try {
    const types = controlTypes(op, node.inputs);
    const same =
      types.length === node.outputs.length &&
      node.outputs.every((output, i) => samePassedType(types[i]!, output));
    if (!same) report(`${describe(node)} does not have the results that its bodies give`);
  } catch (error) {
    report(`${describe(node)}: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof NeedsBinding) return error.reason;
  if (error instanceof Error) return error.message;
  throw error;
}

function describe({ op, outputs }: Node): string {
  const name = op.kind === "host" ? op.node.operator : op.kind;
  return `${name} -> ${outputs.map((value) => `"${value.name}"`).join(", ")}`;
}

function checkSymbols(graph: Graph, values: readonly Value[], report: Report): void {
  const declared = new Map<string, DimSymbol>();
  for (const symbol of graph.symbols) {
    const { name, min, max, multipleOf } = symbol;
    if (declared.has(name)) report(`two symbols are called ${name}`);
    if (!(min >= 0 && min <= max && multipleOf >= 1)) report(`the range of ${name} is empty`);
    declared.set(name, symbol);
  }
  const dims: Dim[] = values.flatMap((value) => [...value.shape, ...(value.dims ?? [])]);
  const used = graph.nodes.flatMap(({ op }) => [...operationSymbols(op)]);
  for (const symbol of [...symbolsOf(dims), ...used]) {
    const known = declared.get(symbol.name);
    if (known === undefined || !sameSymbol(known, symbol))
      report(`the symbol ${symbol.name} is not declared as it is used`);
  }
}

function sameSymbol(a: DimSymbol, b: DimSymbol): boolean {
  return a.min === b.min && a.max === b.max && a.multipleOf === b.multipleOf;
}

function checkUses(graph: Graph, report: Report): void {
  const used = new Set<Value>(graph.outputs.map((output) => output.value));
  for (const node of graph.nodes) for (const value of node.inputs) used.add(value);
  for (const node of graph.nodes) {
    if (!node.outputs.some((value) => used.has(value))) report(`nobody uses ${describe(node)}`);
  }
}
