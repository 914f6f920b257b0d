/** Reads the text form of graphs that `print.ts` writes and describes. L0109 where it is not well-formed. */
import { type DType, dtypes } from "../../numerics/dtype.js";
import { elementCount, type Tensor } from "../../numerics/tensor.js";
import type { Dim, DimSymbol } from "../dim.js";
import {
  attributeForms,
  type CoreKind,
  operationAttributes,
  optionalAttributes,
  parseDeclaredSymbol,
  parseDim,
  parseElements,
} from "./attributes.js";
import {
  type Graph,
  type HostOperation,
  isControl,
  type Node,
  type Operation,
  type Origin,
  type Value,
} from "../graph.js";
import type { AttributeValue } from "../onnx-node.js";
import { plainOperator, plainValueName, type TextReferences } from "./print.js";
import { TextScanner } from "./scanner.js";

const noReferences: TextReferences = { tensor: () => undefined, subgraph: () => undefined };

/** `references` gives what the text only refers to: large tensors, bodies of control flow. */
export function parseGraph(text: string, references: TextReferences = noReferences): Graph {
  const root = new Parser(references);
  const open = [root];
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    const s = new TextScanner(line.trimStart(), i + 1);
    const parser = open.at(-1)!;
    if (s.accept("body")) open.push(new Parser(references));
    else if (open.length > 1 && s.accept("end")) {
      open.pop();
      open.at(-1)!.body(s, parser.graph());
    } else parser.line(s);
    if (!s.atEnd) s.fail("the line should end here");
  });
  if (open.length > 1) new TextScanner("", text.split("\n").length).fail("a body has no end");
  return root.graph();
}

class Parser {
  readonly #references: TextReferences;
  readonly #symbols = new Map<string, DimSymbol>();
  readonly #values = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #outputs: { readonly name: string; readonly value: Value }[] = [];
  readonly #nodes: Node[] = [];
  #name = "";

  constructor(references: TextReferences) {
    this.#references = references;
  }

  graph(): Graph {
    return {
      name: this.#name,
      symbols: [...this.#symbols.values()],
      inputs: this.#inputs,
      outputs: this.#outputs,
      nodes: this.#nodes,
    };
  }

  line(s: TextScanner): void {
    if (s.sees("%")) this.#node(s);
    else {
      const kinds = ["graph", "symbol", "input", "const", "dims", "output"] as const;
      this.#declaration(s.wordOf(kinds), s);
    }
  }

  /** A body of the last node. */
  body(s: TextScanner, graph: Graph): void {
    const node = this.#nodes.at(-1);
    if (node === undefined || !isControl(node.op)) return s.fail("only control flow has bodies");
    const bodies = [...node.op.bodies, graph];
    this.#nodes[this.#nodes.length - 1] = {
      ...node,
      op: { ...node.op, bodies },
    };
  }

  #declaration(
    kind: "graph" | "symbol" | "input" | "const" | "dims" | "output",
    s: TextScanner,
  ): void {
    switch (kind) {
      case "graph":
        this.#name = s.quoted();
        return;
      case "symbol":
        this.#symbol(s);
        return;
      case "input":
        this.#inputs.push(this.#define(s, this.#typed(s)));
        return;
      case "const": {
        const value = this.#typed(s);
        s.expect("=");
        this.#define(s, { ...value, data: this.#tensor(s, value.dtype, staticShape(s, value)) });
        return;
      }
      case "dims": {
        const value = this.#typed(s);
        s.expect("=");
        this.#define(s, { ...value, dims: s.list(() => parseDim(s, this.#symbols)) });
        return;
      }
      case "output": {
        const name = s.quoted();
        s.expect("=");
        this.#outputs.push({ name, value: this.#use(s) });
        return;
      }
    }
  }

  #symbol(s: TextScanner): void {
    const symbol = parseDeclaredSymbol(s);
    if (this.#symbols.has(symbol.name)) s.fail(`the symbol ${symbol.name} is declared twice`);
    this.#symbols.set(symbol.name, symbol);
  }

  #node(s: TextScanner): void {
    const types: Value[] = [];
    do types.push(this.#typed(s));
    while (s.accept(","));
    s.expect("=");
    const kind = s.wordOf(["host", ...(Object.keys(operationAttributes) as CoreKind[])]);
    const inputs = s.list(() => this.#use(s), "(", ")");
    const op = kind === "host" ? this.#host(s) : this.#core(s, kind);
    const origins = s.accept("//") ? parseOrigins(s) : [];
    this.#nodes.push({ op, inputs, outputs: types.map((type) => this.#define(s, type)), origins });
  }

  #core(s: TextScanner, kind: CoreKind): Operation {
    const op: Record<string, unknown> = { kind, ...(isControlKind(kind) && { bodies: [] }) };
    for (const [name, form] of Object.entries(operationAttributes[kind])) {
      if (optionalAttributes.has(name) && !s.sees(`${name}=`)) continue;
      s.expect(`${name}=`);
      op[name] = attributeForms[form].parse(s, this.#symbols);
    }
    return op as unknown as Operation;
  }

  #host(s: TextScanner): HostOperation {
    const attribute = <T>(name: string, value: () => T): T => {
      s.expect(`${name}=`);
      return value();
    };
    const quoted = () => s.quoted();
    const names = () => s.list(quoted);
    const operator = attribute("operator", quoted);
    const name = attribute("node", quoted);
    const domain = attribute("domain", quoted);
    const opset = attribute("opset", () => s.integer());
    const inputNames = attribute("inputs", names);
    const outputNames = attribute("outputs", names);
    const reason = attribute("reason", quoted);
    const attributes = new Map(attribute("attributes", () => s.list(() => this.#hostAttribute(s))));
    const node = { name, operator, domain, opset, attributes, inputNames, outputNames };
    return { kind: "host", node, reason };
  }

  #hostAttribute(s: TextScanner): readonly [string, AttributeValue] {
    const name = s.name(plainOperator);
    s.expect("=");
    return [name, this.#attributeValue(s)];
  }

  #attributeValue(s: TextScanner): AttributeValue {
    const kinds = [
      "int",
      "float",
      "string",
      "tensor",
      "ints",
      "floats",
      "strings",
      "tensors",
      "graph",
    ] as const;
    const kind = s.wordOf(kinds);
    switch (kind) {
      case "int":
        return { kind, value: s.bigInteger() };
      case "float":
        return { kind, value: s.number() };
      case "string":
        return { kind, value: s.quoted() };
      case "tensor":
        return { kind, value: this.#typedTensor(s) };
      case "ints":
        return { kind, value: s.list(() => s.bigInteger()) };
      case "floats":
        return { kind, value: s.list(() => s.number()) };
      case "strings":
        return { kind, value: s.list(() => s.quoted()) };
      case "tensors":
        return { kind, value: s.list(() => this.#typedTensor(s)) };
      case "graph": {
        s.expect("#");
        const key = String(s.integer());
        const value = this.#references.subgraph(key) ?? s.fail(`the subgraph #${key} is not known`);
        return { kind, value };
      }
      default:
        return kind satisfies never;
    }
  }

  #typedTensor(s: TextScanner): Tensor {
    const dtype = parseDType(s);
    const shape = s.list(() => s.integer());
    return this.#tensor(s, dtype, shape);
  }

  #tensor(s: TextScanner, dtype: DType, shape: readonly number[]): Tensor {
    if (s.accept("#")) {
      const hash = s.match(/[0-9a-f]+/y, "a hash");
      return this.#references.tensor(hash) ?? s.fail(`the tensor #${hash} is not known`);
    }
    const data = parseElements(s, dtype);
    if (data.length !== elementCount(shape))
      s.fail(`${data.length} elements do not fill the shape`);
    return { dtype, shape, data };
  }

  /** `%name: f32[1, W]`, not yet among the values. */
  #typed(s: TextScanner): Value {
    s.expect("%");
    const name = s.name(plainValueName);
    s.expect(":");
    const dtype = parseDType(s);
    const unknown = s.accept("[?]");
    const shape: Dim[] = unknown ? [] : s.list(() => parseDim(s, this.#symbols));
    const layout = s.accept("layout") ? s.list(() => s.integer()) : undefined;
    const limit = s.accept("limit") ? s.integer() : undefined;
    return {
      name,
      dtype,
      shape,
      ...(unknown ? { unknownShape: true } : {}),
      ...(layout === undefined ? {} : { layout }),
      ...(limit === undefined ? {} : { limit }),
    };
  }

  #define(s: TextScanner, value: Value): Value {
    if (this.#values.has(value.name)) s.fail(`%${value.name} is defined twice`);
    this.#values.set(value.name, value);
    return value;
  }

  #use(s: TextScanner): Value {
    s.expect("%");
    const name = s.name(plainValueName);
    return this.#values.get(name) ?? s.fail(`%${name} is not defined`);
  }
}

function isControlKind(kind: CoreKind): boolean {
  return kind === "if" || kind === "loop";
}

function parseDType(s: TextScanner): DType {
  return s.wordOf(Object.keys(dtypes) as DType[]);
}

function staticShape(s: TextScanner, { shape }: Value): readonly number[] {
  return shape.map((dim) =>
    typeof dim === "number" ? dim : s.fail("constants have fixed shapes"),
  );
}

function parseOrigins(s: TextScanner): Origin[] {
  const origins: Origin[] = [];
  do origins.push({ operator: s.name(plainOperator), node: s.quoted() });
  while (s.accept(","));
  return origins;
}
