/**
 * One-node models run by ONNX Runtime, by our graph, and with all inputs constant, where the lowering folds to
 * the result; if the case says so also with open dims. The first two must be close, ours equal to the bit. With inputs
 * of any other type a case gives a result or a coded refusal.
 */
import * as ort from "onnxruntime-node";
import { expect } from "vitest";
import { evaluateModel, optionsFor } from "../../src/compiler/1-import/evaluate-model.js";
import { importModel } from "../../src/compiler/1-import/import.js";
import {
  allocateData,
  convertData,
  decodeNumbers,
  encodeArray,
} from "../../src/numerics/convert.js";
import { type DType, dtypes, isFloat } from "../../src/numerics/dtype.js";
import { elementCount, type Tensor } from "../../src/numerics/tensor.js";
import { decodeModel } from "../../src/onnx/model.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import type { Init } from "../../src/onnx/wire.js";
import { type AttributeInit, node, onnxFile } from "../support/onnx-builder.js";

export interface OperatorCase {
  /** What is special about it. */
  readonly about?: string;
  /** "Relu" or "com.microsoft::Gelu". */
  readonly op: string;
  /** Of the operator's domain. */
  readonly opset?: number;
  readonly attributes?: Readonly<Record<string, AttributeInit>>;
  readonly inputs: readonly (Tensor | undefined)[];
  /** Dims of the first input; those with names stay open to run time, and a case fails where one cannot. */
  readonly open?: readonly (string | number)[];
  /** Everything is lowered, for these inputs: no part is left to the host. Default: not looked at. */
  readonly lowered?: boolean;
  /** Element types of the outputs (undefined: left out); default: one, of the first input's type. */
  readonly outputs?: readonly (DType | undefined)[];
  /** Inputs that are initializers in every run. */
  readonly constant?: readonly number[];
  /** What ONNX Runtime runs, where its own kernel lacks the form: the same result said otherwise. */
  readonly instead?: {
    /** Default: those of the case; as there x0, x1, ... */
    readonly inputs?: readonly (Tensor | undefined)[];
    /** Default: one node of the case's operator. Outputs y0, y1, ... */
    readonly nodes?: readonly Init<NodeProto>[];
    readonly opset?: number;
  };
  /** Relative to the largest magnitude of the output; integers may differ by one where it is given. */
  readonly tolerance?: number;
}

export function nameOf({ op, about, opset }: OperatorCase): string {
  return [op, opset === undefined ? "" : `opset ${opset}`, about ?? ""]
    .filter((s) => s !== "")
    .join(", ");
}

export async function compareWithOnnxRuntime(given: OperatorCase): Promise<void> {
  const expected = await runOnnxRuntime(given);
  const computed = evaluate(given);
  for (const [i, tensor] of expected.entries()) expectClose(computed[i]!, tensor, given);
  expectEqual(evaluate({ ...given, constant: given.inputs.map((_, i) => i) }), computed);
  if (given.open !== undefined) expectEqual(evaluateOpen(given, given.open), computed);
  if (given.lowered === true) expectLowered(given);
  if (!isNewForm(given)) return;
  for (const dtype of otherTypes) expectResultOrRefusal(withType(given, dtype));
}

const knownForms = new Set<string>();

/** Other types are tried once for each set of inputs and attributes of an operator. */
function isNewForm({ op, inputs, attributes = {} }: OperatorCase): boolean {
  const form = [op, inputs.map((x) => x?.dtype ?? "-"), Object.keys(attributes)].join(" ");
  if (knownForms.has(form)) return false;
  knownForms.add(form);
  return true;
}

/** One of each kind that the code treats apart. */
const otherTypes = ["f64", "f16", "i64", "u64", "i8", "bool", "f8e4m3fn", "u4", "string"] as const;

/** The case with another type where it has the type of its first input. */
function withType(given: OperatorCase, dtype: DType): OperatorCase {
  const from = given.inputs.find((x) => x !== undefined)!.dtype;
  const retype = (x: Tensor | undefined): Tensor | undefined => {
    if (x?.dtype !== from) return x;
    const { shape } = x;
    if (dtype === "string") return { dtype, shape, data: Array.from(x.data, String) };
    const data = from === "string" ? allocateData(dtype, x.data.length) : x.data;
    return { dtype, shape, data: convertData(from === "string" ? dtype : from, data, dtype) };
  };
  const outputs = given.outputs?.map((output) => (output === from ? dtype : output));
  return { ...given, inputs: given.inputs.map(retype), ...(outputs && { outputs }) };
}

/**
 * Types that an operator is not defined for are refused with a code; nothing else is thrown. What of the inputs is
 * known before the run changes floats by their rounding alone.
 */
function expectResultOrRefusal(given: OperatorCase): void {
  const all = given.inputs.map((_, i) => i);
  const [first, ...others] = [given.constant ?? [], [], all].flatMap((constant) => {
    const outputs = resultOrRefusal({ ...given, constant });
    return outputs === undefined ? [] : [outputs];
  });
  for (const outputs of others) {
    for (const [i, tensor] of first!.entries()) {
      if (isFloat(tensor.dtype))
        expectClose(outputs[i]!, tensor, { ...given, ...coarseTolerance(tensor.dtype) });
    }
  }
}

function resultOrRefusal(given: OperatorCase): readonly Tensor[] | undefined {
  try {
    return evaluate(given);
  } catch (error) {
    if (error instanceof DiagnosticError) return undefined;
    throw error;
  }
}

/** Two neighbours. */
function coarseTolerance(dtype: DType): Pick<OperatorCase, "tolerance"> {
  return dtypes[dtype].bits === 8 && isFloat(dtype) ? { tolerance: 0.13 } : {};
}

type NamedTensors = readonly (readonly [string, Tensor])[];

function modelOf(
  operatorCase: OperatorCase,
  open?: readonly (string | number)[],
  nodes?: readonly Init<NodeProto>[],
): {
  readonly file: Uint8Array;
  readonly fed: NamedTensors;
} {
  const { op, opset = 21, attributes = {}, inputs, outputs, constant = [] } = operatorCase;
  const named = inputs.flatMap((x, i) => (x === undefined ? [] : [[`x${i}`, x] as const]));
  const fixed = new Set(constant.map((i) => `x${i}`));
  const fed = named.filter(([name]) => !fixed.has(name));
  const types = outputs ?? [inputs[0]!.dtype];
  const names = inputs.map((x, i) => (x === undefined ? "" : `x${i}`));
  const single = () =>
    node(
      op,
      names,
      types.map((dtype, i) => (dtype === undefined ? "" : `y${i}`)),
      attributes,
    );
  const file = onnxFile({
    opset: op.startsWith("ai.onnx.ml::")
      ? { "": 21, "ai.onnx.ml": opset }
      : { "": opset, "com.microsoft": 1 },
    inputs: Object.fromEntries(
      fed.map(([name, x], i) => [name, `${x.dtype}[${i === 0 && open ? open : x.shape}]`]),
    ),
    initializers: Object.fromEntries(named.filter(([name]) => fixed.has(name))),
    nodes: nodes ?? [single()],
    outputs: Object.fromEntries(
      types.flatMap((dtype, i) => (dtype === undefined ? [] : [[`y${i}`, dtype] as const])),
    ),
  });
  return { file, fed };
}

export function evaluate(operatorCase: OperatorCase): readonly Tensor[] {
  const { file, fed } = modelOf(operatorCase);
  return [...evaluateModel(decodeModel(file), new Map(fed)).values()] as Tensor[];
}

/** Each symbol may be half as large or twice as large as it is in the case. */
function evaluateOpen(
  operatorCase: OperatorCase,
  open: readonly (string | number)[],
): readonly Tensor[] {
  const { file, fed } = modelOf(operatorCase, open);
  const model = decodeModel(file);
  const dims = new Map(
    open.flatMap((dim, axis) => {
      const size = fed[0]![1].shape[axis]!;
      const range = { min: Math.max(1, Math.floor(size / 2)), max: 2 * size };
      return typeof dim === "number" ? [] : [[dim, range] as const];
    }),
  );
  const inputs = new Map(fed);
  const { notes } = importModel(model, { ...optionsFor(model, inputs), dims });
  expect(notes).toEqual([]);
  return [...evaluateModel(model, inputs, { dims }).values()] as Tensor[];
}

function expectLowered(operatorCase: OperatorCase): void {
  const { file, fed } = modelOf(operatorCase);
  const model = decodeModel(file);
  const inputs = new Map(fed);
  const options = { ...optionsFor(model, inputs), inputValues: inputs };
  const { nodes } = importModel(model, options).graph;
  const reasons = nodes.flatMap(({ op }) => (op.kind === "host" ? [op.reason] : []));
  expect(reasons).toEqual([]);
}

export async function runOnnxRuntime(given: OperatorCase): Promise<readonly Tensor[]> {
  const { nodes, ...other } = given.instead ?? {};
  // A case's constants are so that it can be lowered; ONNX Runtime need not know of them.
  const operatorCase = { ...given, ...other, ...(other.inputs && { constant: [] }) };
  const { file, fed } = modelOf(operatorCase, undefined, nodes);
  const session = await ort.InferenceSession.create(file, {
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 3,
  });
  const feeds = Object.fromEntries(fed.map(([name, x]) => [name, toOnnxRuntime(x)]));
  const results = await session.run(feeds);
  const types = operatorCase.outputs ?? [operatorCase.inputs[0]!.dtype];
  return types.flatMap((dtype, i) => {
    if (dtype === undefined) return [];
    const { dims, data } = results[`y${i}`]!;
    return [{ dtype, shape: dims, data: data as Tensor["data"] }];
  });
}

const onnxRuntimeTypes: Partial<Record<DType, ort.Tensor.Type>> = {
  f64: "float64",
  f32: "float32",
  f16: "float16",
  i64: "int64",
  u64: "uint64",
  i32: "int32",
  u32: "uint32",
  i16: "int16",
  u16: "uint16",
  i8: "int8",
  u8: "uint8",
  bool: "bool",
  string: "string",
};

function toOnnxRuntime({ dtype, shape, data }: Tensor): ort.Tensor {
  return new ort.Tensor(onnxRuntimeTypes[dtype]!, data as never, shape);
}

function expectClose(computed: Tensor, expected: Tensor, { tolerance }: OperatorCase): void {
  expect(computed.dtype).toBe(expected.dtype);
  expect(computed.shape).toEqual(expected.shape);
  if (expected.dtype === "string" || typeof expected.data[0] === "bigint") {
    expect(computed.data).toEqual(expected.data);
    return;
  }
  const float = isFloat(expected.dtype);
  const given = tolerance ?? (float ? defaultTolerance(expected.dtype) : 0);
  const x = decodeNumbers(computed.dtype, computed.data);
  const y = decodeNumbers(expected.dtype, expected.data);
  let largest = 0;
  for (const value of y)
    if (Math.abs(value) < Infinity) largest = Math.max(largest, Math.abs(value));
  const allowed = float ? given * largest : given > 0 ? 1 : 0;
  for (let i = 0; i < y.length; i++) {
    const same = Object.is(x[i], y[i]) || x[i] === y[i] || Math.abs(x[i]! - y[i]!) <= allowed;
    if (!same) expect.fail(`element ${i} is ${x[i]} where ONNX Runtime has ${y[i]}`);
  }
}

function defaultTolerance(dtype: DType): number {
  return dtype === "f16" ? 1e-3 : 2e-6;
}

function expectEqual(folded: readonly Tensor[], computed: readonly Tensor[]): void {
  for (const [i, tensor] of computed.entries()) {
    expect(folded[i]!.shape).toEqual(tensor.shape);
    expect(folded[i]!.data).toEqual(tensor.data);
  }
}

/** Numbers between low and high that look random and are the same every time. */
export function numbers(
  dtype: DType,
  shape: readonly number[],
  [low, high]: readonly [number, number] = [-2, 2],
  seed = 1,
): Tensor {
  let state = (seed * 2654435761) >>> 0;
  const values = Float64Array.from({ length: elementCount(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = low + (state / 2 ** 32) * (high - low);
    return isFloat(dtype) ? value : Math.round(value);
  });
  return tensorOf(dtype, shape, values);
}

export function tensorOf(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
): Tensor {
  return { dtype, shape, data: encodeArray(dtype, values) };
}
