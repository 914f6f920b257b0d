/**
 * What ONNX Runtime makes of a model whose contractions read bf16: the same model with three elementwise nodes before
 * each of their operands. c = (2^16 + 1) x, c - (c - x) is x rounded to 8 bits of significand (Veltkamp), so
 * that ONNX Runtime needs no bf16 of its own and the model may be of any opset.
 */
import type { Tensor } from "../../src/numerics/tensor.js";
import { encodeModel, type Model } from "../../src/onnx/model.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import { tensorToProto } from "../../src/onnx/tensor.js";
import type { Init } from "../../src/onnx/wire.js";
import { node } from "./onnx-builder.js";

const factor: Tensor = { dtype: "f32", shape: [], data: Float32Array.of(2 ** 16 + 1) };
const factorName = "bf16 factor";

const contractions: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** The file of the rewritten model. fp32 models only. */
export function withBf16Operands(model: Model): Uint8Array {
  const { graph } = model;
  const nodes: Init<NodeProto>[] = [];
  const rounded = new Map<string, string>();
  const round = (name: string): string => {
    const known = rounded.get(name);
    if (known !== undefined) return known;
    const result = `${name} in bf16`;
    nodes.push(
      node("Mul", [name, factorName], [`${result}: c`]),
      node("Sub", [`${result}: c`, name], [`${result}: d`]),
      node("Sub", [`${result}: c`, `${result}: d`], [result]),
    );
    rounded.set(name, result);
    return result;
  };
  for (const proto of graph.node) {
    const isRounded = contractions.has(proto.opType ?? "") && !isDepthwise(model, proto);
    const input = proto.input.map((name, i) => (isRounded && i < 2 ? round(name) : name));
    nodes.push({ ...proto, input });
  }
  const constant = { ...tensorToProto(factor), name: factorName };
  const initializer = [...graph.initializer, constant];
  return encodeModel({ ...model, graph: { ...graph, node: nodes, initializer } });
}

/** One output channel per group: no work for the tensor engine, and not rounded. */
function isDepthwise({ graph }: Model, { opType, input, attribute }: NodeProto): boolean {
  const groups = attribute.find(({ name }) => name === "group")?.i ?? 1n;
  const weights = graph.initializer.find(({ name }) => name === input[1]);
  return opType === "Conv" && groups > 1n && BigInt(weights?.dims[0] ?? 0) === groups;
}
