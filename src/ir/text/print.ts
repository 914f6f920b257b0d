/**
 * The text form of graphs, one line per symbol, value and node; `parse.ts` reads it back:
 *
 *   graph "tiny"
 *   symbol W in 1..1000 multiple 4
 *   input %x: f32[1, W]
 *   const %half: f32[] = [0.5]
 *   const %weight: f32[512, 512] = #0123456789abcdef0123456789abcdef
 *   dims %shape: i64[2] = [1, W]
 *   %y: f32[1, W] = map(%x, %half) program={ r0 = input.f32 0; .. } // Mul "scale"
 *   output "y" = %y
 *
 * Bodies of control flow follow their node, each a graph between `body` and `end` with names of its own.
 * A constant stands before its first use; one of more than 16 elements as the hash of its content. `// ..` are the
 * origins of a node. The values of a host operation's attributes carry their kind: `to=int 7`.
 */
import { bytesFromData } from "../../numerics/convert.js";
import { doubleText } from "../../numerics/number-text.js";
import type { Tensor } from "../../numerics/tensor.js";
import { contentHash } from "../../support/hash.js";
import {
  attributeForms,
  elementsText,
  operationAttributes,
  declaredSymbolText,
  printDim,
} from "./attributes.js";
import { bodiesOf } from "../control.js";
import type { Graph, HostOperation, Node, Operation, Origin, Value } from "../graph.js";
import type { AttributeValue, SubgraphTemplate } from "../onnx-node.js";
import { nameText } from "./scanner.js";

/** What a text only refers to: large tensors by their hash, bodies of control flow by number. */
export interface TextReferences {
  tensor(hash: string): Tensor | undefined;
  subgraph(key: string): SubgraphTemplate | undefined;
}

/** Constants of at most so many elements are printed by value. */
const shownElementsMax = 16;

export function printGraph(graph: Graph): string {
  return printWithReferences(graph).text;
}

/** The text, and what a parser of it has to be given. */
export function printWithReferences(graph: Graph): {
  readonly text: string;
  readonly references: TextReferences;
} {
  const printer = new Printer();
  printer.print(graph);
  const { tensors, subgraphs } = printer;
  const references: TextReferences = {
    tensor: (hash) => tensors.get(hash),
    subgraph: (key) => subgraphs.get(key),
  };
  return { text: `${printer.lines.join("\n")}\n`, references };
}

export const plainValueName = /[\w./:-]*[\w./-]/y;
export const plainOperator = /[A-Za-z_]\w*/y;

class Printer {
  readonly lines: string[] = [];
  readonly tensors = new Map<string, Tensor>();
  readonly subgraphs = new Map<string, SubgraphTemplate>();
  readonly #printed = new Set<Value>();

  print(graph: Graph): void {
    this.lines.push(`graph ${JSON.stringify(graph.name)}`);
    for (const symbol of graph.symbols) this.lines.push(`symbol ${declaredSymbolText(symbol)}`);
    for (const value of graph.inputs) this.lines.push(`input ${typedText(value)}`);
    for (const node of graph.nodes) {
      for (const value of node.inputs) this.#known(value);
      this.lines.push(this.#node(node));
      for (const body of bodiesOf(node.op)) this.#body(body);
    }
    for (const { name, value } of graph.outputs) {
      this.#known(value);
      this.lines.push(`output ${JSON.stringify(name)} = ${valueName(value)}`);
    }
  }

  #body(body: Graph): void {
    const first = this.lines.push("body");
    this.print(body);
    for (let at = first; at < this.lines.length; at++) this.lines[at] = `  ${this.lines[at]}`;
    this.lines.push("end");
  }

  /** Prints a constant or `dims` value the first time that it is met. */
  #known(value: Value): void {
    if (this.#printed.has(value)) return;
    this.#printed.add(value);
    if (value.data !== undefined) {
      this.lines.push(`const ${typedText(value)} = ${this.#tensor(value.data)}`);
    } else if (value.dims !== undefined) {
      this.lines.push(`dims ${typedText(value)} = [${value.dims.map(printDim).join(", ")}]`);
    }
  }

  #tensor(tensor: Tensor): string {
    const { dtype, shape, data } = tensor;
    if (data.length <= shownElementsMax) return elementsText(dtype, data);
    const head = new TextEncoder().encode(`${dtype}[${shape.join(", ")}]`);
    const body = Array.isArray(data)
      ? new TextEncoder().encode(JSON.stringify(data))
      : bytesFromData(dtype, data);
    const hash = contentHash(joined(head, body));
    this.tensors.set(hash, tensor);
    return `#${hash}`;
  }

  #node({ op, inputs, outputs, origins }: Node): string {
    const targets = outputs.map(typedText).join(", ");
    const operands = inputs.map(valueName).join(", ");
    const attributes = op.kind === "host" ? this.#hostAttributes(op) : coreAttributes(op);
    const text = [`${targets} = ${op.kind}(${operands})`, ...attributes].join(" ");
    return origins.length === 0 ? text : `${text} // ${origins.map(originText).join(", ")}`;
  }

  #hostAttributes({ node, reason }: HostOperation): string[] {
    const names = (list: readonly string[]) => `[${list.map((n) => JSON.stringify(n)).join(", ")}]`;
    const attributes = [...node.attributes].map(
      ([name, value]) => `${nameText(name, plainOperator)}=${this.#attributeValue(value)}`,
    );
    return [
      `operator=${JSON.stringify(node.operator)}`,
      `node=${JSON.stringify(node.name)}`,
      `domain=${JSON.stringify(node.domain)}`,
      `opset=${node.opset}`,
      `inputs=${names(node.inputNames)}`,
      `outputs=${names(node.outputNames)}`,
      `reason=${JSON.stringify(reason)}`,
      `attributes=[${attributes.join(", ")}]`,
    ];
  }

  #attributeValue(value: AttributeValue): string {
    const list = (items: readonly string[]) => `${value.kind} [${items.join(", ")}]`;
    switch (value.kind) {
      case "int":
        return `int ${value.value}`;
      case "float":
        return `float ${doubleText(value.value)}`;
      case "string":
        return `string ${JSON.stringify(value.value)}`;
      case "tensor":
        return `tensor ${this.#typedTensor(value.value)}`;
      case "ints":
        return list(value.value.map(String));
      case "floats":
        return list(value.value.map(doubleText));
      case "strings":
        return list(value.value.map((text) => JSON.stringify(text)));
      case "tensors":
        return list(value.value.map((tensor) => this.#typedTensor(tensor)));
      case "graph":
        return `graph ${this.#subgraph(value.value)}`;
      default:
        return value satisfies never;
    }
  }

  #typedTensor(tensor: Tensor): string {
    return `${tensor.dtype}[${tensor.shape.join(", ")}] ${this.#tensor(tensor)}`;
  }

  #subgraph(template: SubgraphTemplate): string {
    const key = `${this.subgraphs.size}`;
    this.subgraphs.set(key, template);
    return `#${key}`;
  }
}

function joined(head: Uint8Array, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

function valueName({ name }: Value): string {
  return `%${nameText(name, plainValueName)}`;
}

function typedText(value: Value): string {
  const shape = value.unknownShape === true ? "?" : value.shape.map(printDim).join(", ");
  const layout = value.layout === undefined ? "" : ` layout [${value.layout.join(", ")}]`;
  const limit = value.limit === undefined ? "" : ` limit ${value.limit}`;
  return `${valueName(value)}: ${value.dtype}[${shape}]${layout}${limit}`;
}

function originText({ operator, node }: Origin): string {
  return `${nameText(operator, plainOperator)} ${JSON.stringify(node)}`;
}

function coreAttributes(op: Exclude<Operation, HostOperation>): string[] {
  const values = op as unknown as Readonly<Record<string, unknown>>;
  return Object.entries(operationAttributes[op.kind]).flatMap(([name, form]) => {
    const value = values[name];
    return value === undefined ? [] : [`${name}=${attributeForms[form].print(value as never)}`];
  });
}
