/** Operators of ai.onnx.ml on features: scaling, normalizing, filling in. */
import type { Value } from "../ir/graph.js";
import type { GraphBuilder } from "../ir/builder.js";
import { type DType, isFloat } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { allInputs, computeType, declineStrings, operator } from "./helpers.js";
import { int64Tensor, numbersOf, tensorOf } from "./host.js";
import {
  Decline,
  type EvaluateContext,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
} from "./record.js";

const versions = { domain: "ai.onnx.ml", since: 1 };

export const mlFeatureOperators: readonly OperatorRecord[] = [
  operator("Scaler", versions, (c) => {
    const x = c.b.cast(c.input(0), "f32");
    const offset = vector(c.b, c.floats("offset") ?? [0]);
    const scale = vector(c.b, c.floats("scale") ?? [1]);
    return c.b.map("f32", [x, offset, scale], (l, v, o, s) => l.mul(l.sub(v!, o!), s!));
  }),
  operator("Normalizer", versions, normalizer),
  operator("Imputer", versions, imputer),
  operator("FeatureVectorizer", versions, (c) =>
    c.b.concat(
      allInputs(c).map((x) => c.b.cast(x, "f32")),
      1,
    ),
  ),
  {
    ...operator("OneHotEncoder", versions, oneHotEncoder),
    evaluate: evaluateOneHotEncoder,
    infer: (c) => {
      const { dtype, shape } = c.input(0);
      const categories = dtype === "string" ? c.strings("cats_strings") : c.ints("cats_int64s");
      return [{ dtype: "f32", shape: [...shape, categories?.length ?? 0] }];
    },
  },
];

export function vector(b: GraphBuilder, values: readonly number[]): Value {
  return b.constant({ dtype: "f32", shape: [values.length], data: Float32Array.from(values) });
}

/** Rows divided by their largest magnitude, their sum of magnitudes, or their length. */
function normalizer(c: LowerContext): Value {
  const x = c.b.cast(c.input(0), "f32");
  const norm = c.string("norm", "MAX");
  const last = x.shape.length - 1;
  const magnitude = c.b.map("f32", [x], (l, v) => (norm === "L2" ? l.mul(v!, v!) : l.abs(v!)));
  if (norm !== "MAX" && norm !== "L1" && norm !== "L2") {
    return c.invalid("L0108", `norm "${norm}" does not exist`);
  }
  const reduction = norm === "MAX" ? "max" : "sum";
  const reduced = c.b.reduce(norm === "MAX" ? x : magnitude, reduction, [last], { keepDims: true });
  return c.b.map("f32", [x, reduced], (l, v, r) => {
    const by = norm === "L2" ? l.sqrt(r!) : r!;
    return l.select(l.eq(by, l.constF(0)), v!, l.div(v!, by));
  });
}

/** Elements that equal the replaced value (or are NaN, if it is) become the imputed one of their column. */
function imputer(c: LowerContext): Value {
  const x = c.input(0);
  const floats = c.floats("imputed_value_floats");
  if (floats !== undefined) {
    const replaced = c.float("replaced_value_float", 0);
    return c.b.map(x.dtype, [x, c.b.cast(vector(c.b, floats), x.dtype)], (l, v, imputed) => {
      const isSame = l.eq(v!, Number.isNaN(replaced) ? v! : l.constF(replaced));
      return Number.isNaN(replaced)
        ? l.select(isSame, v!, imputed!)
        : l.select(isSame, imputed!, v!);
    });
  }
  const ints = c.ints("imputed_value_int64s") ?? c.invalid("L0108", "no imputed value is given");
  const replaced = c.int("replaced_value_int64", 0);
  const shape = [ints.length];
  const data = BigInt64Array.from(ints, BigInt);
  const imputed = c.b.cast(c.b.constant({ dtype: "i64", shape, data }), x.dtype);
  return c.b.map(x.dtype, [x, imputed], (l, v, i) =>
    l.selectI(l.eqI(v!, l.constI(replaced)), i!, v!),
  );
}

/** 1 where an element is the category of the new last axis, all 0 for an element that is none of them. */
function oneHotEncoder(c: LowerContext): Value {
  declineStrings(c);
  if (c.int("zeros", 1) === 0) throw new Decline("it is an error if an element has no category");
  const x = c.b.unsqueeze(c.input(0), [c.input(0).shape.length]);
  const known = categoriesFor(c, x.dtype);
  const isIt = isFloat(x.dtype)
    ? c.b.map("bool", [x, known], (l, v, category) => l.eq(l.trunc(v!), category!))
    : c.b.map("bool", [c.b.cast(x, "i64"), known], (l, v, category) => l.eqI(v!, category!));
  return c.b.cast(isIt, "f32");
}

/** The categories as elements are compared with them; NaN for one that no element can be. */
function categoriesFor(c: LowerContext, dtype: DType): Value {
  const categories = requiredCategories(c);
  if (!isFloat(dtype)) return c.b.constant(int64Tensor([categories.length], categories));
  const type = computeType(dtype);
  const held = categories.map((n) => (type === "f64" || Math.fround(n) === n ? n : Number.NaN));
  return c.b.constant(tensorOf(type, [held.length], held));
}

function requiredCategories(c: NodeContext): readonly number[] {
  return c.ints("cats_int64s") ?? c.invalid("L0108", "no categories of numbers are given");
}

function evaluateOneHotEncoder(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const isText = x.dtype === "string";
  const categories: readonly (string | number)[] = isText
    ? (c.strings("cats_strings") ?? c.invalid("L0108", "no categories of strings are given"))
    : requiredCategories(c);
  const elements: ArrayLike<string | number> = isText
    ? (x.data as readonly string[])
    : numbersOf(x).map(Math.trunc);
  const rows = Array.from(elements, (element) => {
    if (c.int("zeros", 1) === 0 && !categories.includes(element)) {
      c.invalid("L0202", `${JSON.stringify(element)} is no category, and zeros are not allowed`);
    }
    return categories.map((category) => (category === element ? 1 : 0));
  });
  return [tensorOf("f32", [...x.shape, categories.length], rows.flat())];
}
