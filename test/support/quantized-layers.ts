/**
 * One quantized layer in each of the forms that exporters write: between DequantizeLinear and QuantizeLinear, as one
 * operator on codes, and as an integer product that is scaled afterwards.
 */
import { encodeArray } from "../../src/numerics/convert.js";
import { elementCount, type Tensor } from "../../src/numerics/tensor.js";
import { type AttributeInit, type ModelInit, node } from "./onnx-builder.js";
import { Random } from "./random.js";

type CodeType = "i8" | "u8";

export interface LayerSpec {
  readonly kind: "conv" | "matmul" | "gemm";
  readonly x: CodeType;
  readonly w: CodeType;
  /** A scale, and where `asymmetric` a zero point, for each output channel. */
  readonly perChannel?: boolean;
  readonly asymmetric?: boolean;
  readonly bias?: boolean;
  /** Convolutions: channels in and out, and groups. */
  readonly channels?: readonly [number, number];
  readonly group?: number;
  readonly relu?: boolean;
}

export interface Layer extends LayerSpec {
  readonly input: Tensor;
  readonly weights: Tensor;
  readonly attributes: Readonly<Record<string, AttributeInit>>;
  readonly parameters: Readonly<Record<string, Tensor>>;
}

/** Codes of the weights stay within 6 bits where ONNX Runtime's kernels saturate products of pairs. */
export function makeLayer(spec: LayerSpec, seed: number): Layer {
  const random = new Random(seed);
  const { kind, group = 1, channels = [6, 8], asymmetric = false } = spec;
  const [inputs, outputs] = kind === "conv" ? channels : [20, 12];
  const conv = kind === "conv";
  const codes = (dtype: CodeType, shape: readonly number[], range: number): Tensor => {
    const middle = dtype === "u8" ? 128 : 0;
    return tensor(dtype, shape, () => middle + random.integer(-range, range));
  };
  const each = spec.perChannel === true ? [outputs] : [];
  const scale = (shape: readonly number[]): Tensor =>
    tensor("f32", shape, () => 0.002 + 0.02 * random.unit());
  const parameters: Record<string, Tensor> = {
    xScale: scale([]),
    wScale: scale(each),
    yScale: tensor("f32", [], () => 0.05 + 0.1 * random.unit()),
    xZero: asymmetric ? codes(spec.x, [], 60) : middleOf(spec.x, []),
    wZero: asymmetric ? codes(spec.w, each, 20) : middleOf(spec.w, each),
    yZero: spec.relu === true ? lowest(spec.x) : codes(spec.x, [], 30),
  };
  if (spec.bias === true) {
    parameters["bias"] = tensor("i32", [outputs], () => random.integer(-4000, 4000));
    parameters["biasScale"] = {
      ...parameters["wScale"]!,
      data: (parameters["wScale"]!.data as Float32Array).map(
        (s) => s * (parameters["xScale"]!.data[0] as number),
      ),
    };
  }
  return {
    ...spec,
    input: codes(spec.x, conv ? [2, inputs, 9, 7] : [5, inputs], 127),
    weights: codes(spec.w, conv ? [outputs, inputs / group, 3, 3] : [inputs, outputs], 31),
    attributes: conv ? { group, pads: [1, 0, 1, 2], strides: [2, 1] } : {},
    parameters,
  };
}

function middleOf(dtype: CodeType, shape: readonly number[]): Tensor {
  return tensor(dtype, shape, () => (dtype === "u8" ? 128 : 0));
}

function lowest(dtype: CodeType): Tensor {
  return tensor(dtype, [], () => (dtype === "u8" ? 0 : -128));
}

function tensor(
  dtype: "i8" | "u8" | "i32" | "f32",
  shape: readonly number[],
  of: () => number,
): Tensor {
  const values = Array.from({ length: elementCount(shape) }, of);
  return { dtype, shape, data: encodeArray(dtype, values) };
}

export type LayerForm = "qdq" | "operator" | "dynamic";

/** `numbers`: the result before it is quantized, which the operator form has not. */
export function layerModel(layer: Layer, form: LayerForm, result: "codes" | "numbers"): ModelInit {
  const { x, input, weights, parameters } = layer;
  const y = result === "numbers" ? "f32" : x;
  return {
    opset: { "": 21, "com.microsoft": 1 },
    inputs: { x: `${x}[${input.shape.join(", ")}]` },
    initializers: { w: weights, ...parameters, ...biasColumn(layer) },
    nodes: [
      ...{ qdq: qdqNodes, operator: operatorNodes, dynamic: dynamicNodes }[form](layer),
      ...(form === "operator" || result === "numbers"
        ? []
        : [node("QuantizeLinear", [activated(layer), "yScale", "yZero"], ["y"])]),
    ],
    outputs: { [result === "numbers" ? activated(layer) : "y"]: y },
  };
}

function activated({ relu }: Layer): string {
  return relu === true ? "activated" : "number";
}

const operators = { conv: "Conv", matmul: "MatMul", gemm: "Gemm" } as const;

function qdqNodes(layer: Layer) {
  const { kind, bias, attributes, relu } = layer;
  const axis = kind === "conv" ? 0 : 1;
  const added = bias === true && kind === "matmul" ? "sum" : "number";
  return [
    node("DequantizeLinear", ["x", "xScale", "xZero"], ["xNumber"]),
    node("DequantizeLinear", ["w", "wScale", "wZero"], ["wNumber"], { axis }),
    ...(bias === true
      ? [node("DequantizeLinear", ["bias", "biasScale"], ["biasNumber"], { axis: 0 })]
      : []),
    node(
      operators[kind],
      ["xNumber", "wNumber", ...(bias === true && kind !== "matmul" ? ["biasNumber"] : [])],
      [added],
      attributes,
    ),
    ...(added === "sum" ? [node("Add", ["sum", "biasNumber"], ["number"])] : []),
    ...(relu === true ? [node("Relu", ["number"], ["activated"])] : []),
  ];
}

function operatorNodes({ kind, bias, attributes }: Layer) {
  const [x, w, y] = ["x", "w", "y"].map((name) => [`${name}Scale`, `${name}Zero`]);
  const optional = bias === true ? ["bias"] : [];
  switch (kind) {
    case "conv":
      return [node("QLinearConv", ["x", ...x!, "w", ...w!, ...y!, ...optional], ["y"], attributes)];
    case "matmul":
      return [node("QLinearMatMul", ["x", ...x!, "w", ...w!, ...y!], ["y"])];
    case "gemm": {
      const c = bias === true ? "bias" : "";
      return [node("com.microsoft::QGemm", ["x", ...x!, "w", ...w!, c, ...y!], ["y"])];
    }
  }
}

function dynamicNodes({ kind, bias, attributes, relu }: Layer) {
  const operator = kind === "conv" ? "ConvInteger" : "MatMulInteger";
  const scale = kind === "conv" ? "columnScale" : "wScale";
  return [
    node(operator, ["x", "w", "xZero", "wZero"], ["products"], attributes),
    ...(bias === true ? [node("Add", ["products", "biasColumn"], ["sum"])] : []),
    node("Cast", [bias === true ? "sum" : "products"], ["counted"], { to: 1 }),
    node("Mul", ["xScale", scale], ["scale"]),
    node("Mul", ["counted", "scale"], ["number"]),
    ...(relu === true ? [node("Relu", ["number"], ["activated"])] : []),
  ];
}

/** Parameters along the channels, as the dynamic form of a convolution needs them. */
function biasColumn({ kind, parameters }: Layer): Record<string, Tensor> {
  const column = (given: Tensor): Tensor =>
    kind === "conv" && given.shape.length === 1
      ? { ...given, shape: [...given.shape, 1, 1] }
      : given;
  const { bias, wScale } = parameters;
  return { columnScale: column(wScale!), ...(bias && { biasColumn: column(bias) }) };
}
