/** A model in the form that `onnx-builder.ts` takes, for reading and for keeping as a test. */
import { dtypeFromOnnx } from "../../src/onnx/dtypes.js";
import type { Model } from "../../src/onnx/model.js";
import {
  type AttributeProto,
  attributeTypes,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type TypeProto,
  type ValueInfoProto,
} from "../../src/onnx/schema.js";
import { tensorFromProto } from "../../src/onnx/tensor.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { isTensor } from "../../src/ops/context.js";
import type { HostValue } from "../../src/ops/record.js";
import type { Inputs } from "./check.js";

export function printModel(model: Model): string {
  const opsets = model.opsetImport.map(
    ({ domain = "", version }) => `${quote(domain)}: ${version}`,
  );
  const functions = model.functions.map(
    ({ name, input, output, node }) =>
      `// function ${name}(${input}) -> ${output}: ${printNodes(node)}`,
  );
  return [`opset: { ${opsets.join(", ")} },`, ...functions, printGraph(model.graph)].join("\n");
}

export function printInputs(inputs: Inputs): string {
  const rows = [...inputs].map(([name, value]) => `  ${quote(name)}: ${printValue(value)},`);
  return ["{", ...rows, "}"].join("\n");
}

function printGraph({ input, output, node, initializer, valueInfo }: GraphProto): string {
  const types = valueInfo.length === 0 ? [] : [`types: { ${printInfos(valueInfo)} },`];
  return [
    `inputs: { ${printInfos(input)} },`,
    `initializers: { ${initializer.map((t) => `${quote(t.name ?? "")}: ${printProto(t)}`).join(", ")} },`,
    `nodes: ${printNodes(node)},`,
    ...types,
    `outputs: { ${printInfos(output)} },`,
  ].join("\n");
}

function printInfos(infos: readonly ValueInfoProto[]): string {
  return infos.map(({ name = "", type }) => `${quote(name)}: ${quote(typeText(type))}`).join(", ");
}

function typeText(type: TypeProto | undefined): string {
  if (type?.sequenceType !== undefined) return `seq(${typeText(type.sequenceType.elemType)})`;
  if (type?.optionalType !== undefined) return `opt(${typeText(type.optionalType.elemType)})`;
  if (type?.tensorType === undefined) return "?";
  const { elemType = 0, shape } = type.tensorType;
  const dims = shape?.dim.map(({ dimValue, dimParam }) => dimParam ?? dimValue ?? "?");
  return `${dtypeFromOnnx(elemType) ?? `type${elemType}`}${dims === undefined ? "" : `[${dims.join(", ")}]`}`;
}

function printNodes(nodes: readonly NodeProto[]): string {
  return `[\n${nodes.map((node) => `  ${printNode(node)},`).join("\n")}\n]`;
}

function printNode({ domain = "", opType = "", input, output, attribute }: NodeProto): string {
  const name = domain === "" ? opType : `${domain}::${opType}`;
  const parts = [
    quote(name),
    `[${input.map(quote).join(", ")}]`,
    `[${output.map(quote).join(", ")}]`,
  ];
  const attributes = attribute.map((a) => `${a.name}: ${printAttribute(a)}`);
  if (attributes.length > 0) parts.push(`{ ${attributes.join(", ")} }`);
  return `node(${parts.join(", ")})`;
}

function printAttribute(a: AttributeProto): string {
  const text = (bytes: Uint8Array): string => quote(new TextDecoder().decode(bytes));
  const types = attributeTypes;
  if (a.refAttrName) return `{ ref: ${quote(a.refAttrName)} }`;
  if (a.type === types.int)
    return `${a.i ?? 0n}${(a.i ?? 0n) > 2n ** 53n || (a.i ?? 0n) < -(2n ** 53n) ? "n" : ""}`;
  if (a.type === types.float) return `{ float: ${a.f} }`;
  if (a.type === types.string) return text(a.s ?? new Uint8Array(0));
  if (a.type === types.ints) return `[${a.ints.join(", ")}]`;
  if (a.type === types.floats) return `{ floats: [${a.floats.join(", ")}] }`;
  if (a.type === types.strings) return `[${a.strings.map(text).join(", ")}]`;
  if (a.type === types.tensor && a.t !== undefined) return printProto(a.t);
  if (a.type === types.graph && a.g !== undefined) {
    return `{ graph: graphProto({\n${printGraph(a.g)}\n}) }`;
  }
  return `{ type: ${a.type} }`;
}

function printProto(proto: TensorProto): string {
  try {
    return printTensor(tensorFromProto(proto));
  } catch {
    const bytes = proto.rawData?.length ?? 0;
    return `/* dims [${proto.dims}], type ${proto.dataType}, ${bytes} bytes */`;
  }
}

function printValue(value: HostValue): string {
  return isTensor(value)
    ? printTensor(value)
    : JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v));
}

/** Elements that are printed; the rest is counted. */
const shownMax = 8;

function printTensor({ dtype, shape, data }: Tensor): string {
  const shown = Array.from(data as ArrayLike<unknown>).slice(0, shownMax);
  const values = shown.map((x) =>
    typeof x === "string" ? quote(x) : Object.is(x, -0) ? "-0" : String(x),
  );
  const rest = data.length > shownMax ? ` /* ${data.length - shownMax} more */` : "";
  return `tensor(${quote(dtype)}, [${shape.join(", ")}], [${values.join(", ")}]${rest})`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
