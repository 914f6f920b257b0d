/** The forms of one quantized layer give the same numbers, those of ONNX Runtime and of exact arithmetic. */
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { importModel } from "../../src/compiler/1-import/import.js";
import { optionsFor } from "../../src/compiler/1-import/evaluate-model.js";
import { graphPasses, type PassContext } from "../../src/compiler/pipeline.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import type { Graph, Value } from "../../src/ir/graph.js";
import { convertData, decodeNumbers } from "../../src/numerics/convert.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { decodeModel } from "../../src/onnx/model.js";
import { type ModelInit, node, onnxFile } from "../support/onnx-builder.js";
import { differences, variantsOf } from "../support/plan-variants.js";
import {
  type LayerForm,
  layerModel,
  type LayerSpec,
  makeLayer,
} from "../support/quantized-layers.js";
import { Random } from "../support/random.js";

const noHost = () => {
  throw new Error("no host node expected");
};

type Inputs = ReadonlyMap<string, Tensor>;

function imported(init: ModelInit, inputs: Inputs): Graph {
  const model = decodeModel(onnxFile(init));
  return importModel(model, optionsFor(model, inputs)).graph;
}

function optimized(init: ModelInit, inputs: Inputs): { graph: Graph; reasons: readonly string[] } {
  const context: PassContext = { precision: "fp32", float64: "host", records: [] };
  const graph = graphPasses.reduce(
    (before: Graph, pass) => pass.run(before, context),
    imported(init, inputs),
  );
  return { graph, reasons: context.records.map((record) => record.why) };
}

function results(graph: Graph, inputs: Inputs): readonly Tensor[] {
  return [...evaluateGraph(graph, inputs, noHost).values()] as Tensor[];
}

/** True if products of floats remain. */
function multipliesFloats(graph: Graph): boolean {
  return graph.nodes.some(
    ({ op, inputs }) =>
      (op.kind === "contract" && inputs[0]!.dtype === "f32") ||
      (op.kind === "reduce" && op.reduction === "seqsum"),
  );
}

const layers: Readonly<Record<string, LayerSpec>> = {
  "convolution of i8": { kind: "conv", x: "i8", w: "i8", bias: true },
  "convolution of u8 and i8, by channel": {
    kind: "conv",
    x: "u8",
    w: "i8",
    perChannel: true,
    bias: true,
  },
  "convolution of u8, zero points": {
    kind: "conv",
    x: "u8",
    w: "u8",
    asymmetric: true,
    bias: true,
  },
  "convolution with Relu": {
    kind: "conv",
    x: "i8",
    w: "i8",
    asymmetric: true,
    relu: true,
    bias: true,
  },
  "grouped convolution": {
    kind: "conv",
    ...{ x: "i8", w: "i8", group: 2, asymmetric: true, bias: true },
  },
  "grouped convolution by channel, zero points": {
    kind: "conv",
    ...{ x: "u8", w: "u8", group: 2, perChannel: true, asymmetric: true, bias: true },
  },
  "depthwise convolution": {
    kind: "conv",
    ...{ x: "u8", w: "i8", channels: [6, 6], group: 6, asymmetric: true, bias: true },
  },
  "depthwise convolution by channel, zero points": {
    kind: "conv",
    ...{ x: "i8", w: "i8", channels: [6, 6], group: 6, perChannel: true, asymmetric: true },
  },
  "product of i8": { kind: "matmul", x: "i8", w: "i8" },
  "product of u8 and i8, by column, zero points": {
    kind: "matmul",
    ...{ x: "u8", w: "i8", perChannel: true, asymmetric: true },
  },
  "product of i8 and u8, zero points": { kind: "matmul", x: "i8", w: "u8", asymmetric: true },
  "Gemm of i8": { kind: "gemm", x: "i8", w: "i8", bias: true },
  "Gemm of u8, by column, zero points": {
    kind: "gemm",
    ...{ x: "u8", w: "u8", perChannel: true, asymmetric: true, bias: true },
  },
  "Gemm with Relu": { kind: "gemm", x: "u8", w: "i8", asymmetric: true, bias: true, relu: true },
};

const forms: readonly LayerForm[] = ["qdq", "operator", "dynamic"];

describe("three forms of one layer give the same numbers", () => {
  test.each(Object.entries(layers))("%s", async (_, spec) => {
    for (let seed = 0; seed < 3; seed++) {
      const layer = makeLayer(spec, seed);
      const inputs = new Map([["x", layer.input]]);
      const made = forms.map((form) => optimized(layerModel(layer, form, "codes"), inputs));
      for (const { graph, reasons } of made) {
        expect(multipliesFloats(graph)).toBe(false);
        expect(reasons).toEqual([]);
      }
      const [qdq, operator, dynamic] = made.map(({ graph }) => results(graph, inputs));
      expect(qdq).toEqual(operator);
      expect(dynamic).toEqual(operator);
      const numbers = (["qdq", "dynamic"] as const).map((form) =>
        results(optimized(layerModel(layer, form, "numbers"), inputs).graph, inputs),
      );
      expect(numbers[0]).toEqual(numbers[1]);
    }
  });
});

describe("the operator form gives the codes of ONNX Runtime, the others within a step", () => {
  test.each(Object.entries(layers))("%s", async (_, spec) => {
    for (let seed = 0; seed < 3; seed++) {
      const layer = makeLayer(spec, seed);
      const inputs = new Map([["x", layer.input]]);
      for (const form of forms) {
        if (!hasOnnxRuntime(spec, form)) continue;
        const init = layerModel(layer, form, "codes");
        const [computed] = results(optimized(init, inputs).graph, inputs);
        const expected = await runOnnxRuntime(init, layer.input);
        expect(largestDifference(computed!, expected)).toBeLessThanOrEqual(
          form === "operator" ? 0 : 1,
        );
      }
    }
  });
});

/** Its integer products take no signed codes times unsigned ones; ConvInteger takes u8, and one zero point. */
function hasOnnxRuntime({ kind, x, w, perChannel }: LayerSpec, form: LayerForm): boolean {
  if (form === "qdq") return true;
  if (kind !== "conv") return x === "u8" || w === "i8";
  return form === "operator" || (x === "u8" && perChannel !== true);
}

async function runOnnxRuntime(init: ModelInit, x: Tensor): Promise<Tensor> {
  const session = await ort.InferenceSession.create(onnxFile(init), { logSeverityLevel: 3 });
  const type = x.dtype === "u8" ? "uint8" : "int8";
  const { y } = await session.run({ x: new ort.Tensor(type, x.data as never, [...x.shape]) });
  return { dtype: x.dtype, shape: y!.dims, data: y!.data as Tensor["data"] };
}

function largestDifference(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [decodeNumbers(a.dtype, a.data), decodeNumbers(b.dtype, b.data)];
  return Math.max(...Array.from(x, (value, i) => Math.abs(value - y[i]!)));
}

describe("plans, fusion, machines and engines change no bit of a quantized layer", () => {
  const names = Object.keys(layers).filter((_, i) => i % 3 === 1);
  test.each(names)("%s", { timeout: 120_000 }, async (name) => {
    const layer = makeLayer(layers[name]!, 7);
    const inputs = new Map([["x", layer.input]]);
    const { graph } = optimized(layerModel(layer, "qdq", "codes"), inputs);
    for (const variant of variantsOf(7)) {
      expect(await differences(graph, inputs, variant)).toEqual([]);
    }
  });
});

describe("dynamic quantization of a product gives the same numbers in all its forms", () => {
  const inputs = ["a"];
  const quantize = node("DynamicQuantizeLinear", ["a"], ["q", "s", "z"]);
  const bodies: Readonly<Record<string, ModelInit["nodes"]>> = {
    "one operator": [node("com.microsoft::DynamicQuantizeMatMul", ["a", "w", "t", "v"], ["y"])],
    "an integer product, scaled": [
      quantize,
      node("MatMulInteger", ["q", "w", "z", "v"], ["p"]),
      node("Cast", ["p"], ["f"], { to: 1 }),
      node("Mul", ["s", "t"], ["scale"]),
      node("Mul", ["f", "scale"], ["y"]),
    ],
    "an integer product to floats": [
      quantize,
      node("com.microsoft::MatMulIntegerToFloat", ["q", "w", "s", "t", "z", "v"], ["y"]),
    ],
    "a product of what was dequantized": [
      quantize,
      node("DequantizeLinear", ["q", "s", "z"], ["x"]),
      node("DequantizeLinear", ["w", "t", "v"], ["k"]),
      node("MatMul", ["x", "k"], ["y"]),
    ],
  };
  test.each(Object.keys(bodies))("%s", (name) => {
    const random = new Random(5);
    const codes = Int8Array.from({ length: 30 * 9 }, () => random.integer(-127, 127));
    const a: Tensor = {
      dtype: "f32",
      shape: [7, 30],
      data: Float32Array.from({ length: 210 }, () => 4 * random.unit() - 1),
    };
    const run = (nodes: ModelInit["nodes"]): readonly Tensor[] => {
      const init: ModelInit = {
        opset: { "": 21, "com.microsoft": 1 },
        inputs: { [inputs[0]!]: "f32[7, 30]" },
        initializers: {
          w: { dtype: "i8", shape: [30, 9], data: codes },
          t: { dtype: "f32", shape: [], data: Float32Array.of(0.0123) },
          v: { dtype: "i8", shape: [], data: Int8Array.of(3) },
        },
        nodes,
        outputs: { y: "f32[7, 9]" },
      };
      const { graph } = optimized(init, new Map([["a", a]]));
      expect(multipliesFloats(graph)).toBe(false);
      return results(graph, new Map([["a", a]]));
    };
    expect(run(bodies[name]!)).toEqual(run(bodies["one operator"]!));
  });
});

describe("products of codes are within a step of the graph in float64", () => {
  test.each(Array.from({ length: 40 }, (_, seed) => seed))("seed %i", (seed) => {
    const random = new Random(1000 + seed);
    const kind = random.pick(["conv", "matmul", "gemm"] as const);
    const group = random.pick([1, 2, 6]);
    const layer = makeLayer(
      {
        ...{ kind, x: random.pick(["i8", "u8"]), w: random.pick(["i8", "u8"]), group },
        ...{ channels: [6, 6 * random.integer(1, 2)], relu: random.chance(0.4) },
        ...{ perChannel: random.chance(0.5), asymmetric: random.chance(0.5) },
        bias: random.chance(0.5),
      },
      seed,
    );
    const inputs = new Map([["x", layer.input]]);
    const init = layerModel(layer, "qdq", "codes");
    const [computed] = results(optimized(init, inputs).graph, inputs);
    const [exact] = results(widened(imported(init, inputs)), inputs);
    expect(largestDifference(computed!, exact!)).toBeLessThanOrEqual(1);
  });
});

/** The graph with float64 wherever it computes in fp32. */
function widened(graph: Graph): Graph {
  const wide = new Map<Value, Value>();
  const widen = (value: Value): Value => {
    const known = wide.get(value) ?? widenedValue(value);
    wide.set(value, known);
    return known;
  };
  return {
    ...graph,
    inputs: graph.inputs.map(widen),
    nodes: graph.nodes.map((n) => ({
      ...n,
      inputs: n.inputs.map(widen),
      outputs: n.outputs.map(widen),
    })),
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: widen(value) })),
  };
}

function widenedValue(value: Value): Value {
  if (value.dtype !== "f32") return value;
  if (value.data === undefined) return { ...value, dtype: "f64" };
  const data = convertData("f32", value.data.data, "f64");
  return { ...value, dtype: "f64", data: { dtype: "f64", shape: value.data.shape, data } };
}
