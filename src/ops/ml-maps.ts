/** Maps of ai.onnx.ml, and strings as categories: on the host, which alone knows both. */
import { dtypeFromOnnx } from "../onnx/dtypes.js";
import type { Tensor } from "../numerics/tensor.js";
import { convertData } from "../numerics/convert.js";
import { parseNumber } from "./casts.js";
import { range } from "./helpers.js";
import { hostOperator, int64Tensor, numbersOf, stringTensor, tensorOf } from "./host.js";
import { entriesOf } from "./host-value.js";
import type { EvaluateContext, HostMap, HostValue, NodeContext, OperatorRecord } from "./record.js";

const versions = { domain: "ai.onnx.ml", since: 1 };

function mapInput(c: EvaluateContext): HostMap {
  const value = c.inputs[0];
  if (value !== undefined && "kind" in value && value.kind === "map") return value;
  return c.invalid("L0202", "input 0 is no map");
}

/** The keys or classes that an attribute lists as integers or as strings. */
function keysOf(c: NodeContext, ints: string, strings: string): Tensor {
  const names = c.strings(strings);
  if (names !== undefined && names.length > 0) return stringTensor([names.length], [...names]);
  const numbers = c.ints(ints) ?? c.invalid("L0108", `neither ${ints} nor ${strings} is given`);
  return int64Tensor([numbers.length], numbers);
}

/** Each row [n, classes] becomes a map from the classes to its numbers. */
function zipMap(c: EvaluateContext): readonly HostValue[] {
  const x = c.tensorInput(0);
  const keys = keysOf(c, "classlabels_int64s", "classlabels_strings");
  const classes = x.shape.at(-1) ?? 0;
  if (classes !== keys.data.length) {
    c.invalid("L0201", `rows of ${classes} numbers for ${keys.data.length} classes`);
  }
  const numbers = numbersOf(x);
  const items = range(0, numbers.length / classes).map((row): HostMap => {
    const own = numbers.subarray(row * classes, (row + 1) * classes);
    return { kind: "map", keys, values: tensorOf(x.dtype, [classes], own) };
  });
  return [{ kind: "sequence", elementType: x.dtype, items }];
}

/** What the map has for each word of the vocabulary, 0 or "" where it has nothing: [1, words]. */
function vectorize(c: EvaluateContext): readonly HostValue[] {
  const map = mapInput(c);
  const vocabulary = keysOf(c, "int64_vocabulary", "string_vocabulary");
  const found = new Map(entriesOf(map));
  const words = Array.from(vocabulary.data as ArrayLike<string | bigint>, (word) =>
    typeof word === "bigint" ? Number(word) : word,
  );
  return [
    valuesTensor(
      c,
      map.values.dtype,
      [1, words.length],
      words.map((word) => found.get(word)),
    ),
  ];
}

/** 0 or "" where there is no value. */
function valuesTensor(
  c: EvaluateContext,
  dtype: Tensor["dtype"],
  shape: readonly number[],
  values: readonly (string | number | undefined)[],
): Tensor {
  if (dtype === "string")
    return stringTensor(
      shape,
      values.map((value) => String(value ?? "")),
    );
  const numbers = values.map((value) =>
    typeof value === "string" ? parseNumber(c, value) : (value ?? 0),
  );
  return { dtype, shape, data: convertData("f64", Float64Array.from(numbers), dtype) };
}

const castTypes: Readonly<Record<string, number>> = { TO_FLOAT: 1, TO_STRING: 8, TO_INT64: 7 };

/** The values in the order of their keys, or (SPARSE) each at the place that its key names: [1, count]. */
function castMap(c: EvaluateContext): readonly HostValue[] {
  const map = mapInput(c);
  const dtype = dtypeFromOnnx(castTypes[c.string("cast_to", "TO_FLOAT")] ?? 0);
  if (dtype === undefined) return c.invalid("L0108", "cast_to names no type");
  const entries = entriesOf(map).toSorted(([a], [b]) => Number(a) - Number(b));
  if (c.string("map_form", "DENSE") !== "SPARSE") {
    return [
      valuesTensor(
        c,
        dtype,
        [1, entries.length],
        entries.map(([, value]) => value),
      ),
    ];
  }
  const places = new Map(entries);
  const count = c.int("max_map", 1);
  return [
    valuesTensor(
      c,
      dtype,
      [1, count],
      range(0, count).map((place) => places.get(place)),
    ),
  ];
}

/** Strings to the integers beside them, integers to the strings. */
function mapCategories(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const names = c.strings("cats_strings") ?? [];
  const numbers = c.ints("cats_int64s") ?? [];
  if (names.length !== numbers.length) c.invalid("L0108", "the categories do not pair");
  if (Array.isArray(x.data)) {
    const table = new Map(names.map((name, i) => [name, numbers[i]!]));
    const otherwise = c.int("default_int64", -1);
    return [
      int64Tensor(
        x.shape,
        x.data.map((name) => table.get(name) ?? otherwise),
      ),
    ];
  }
  const table = new Map(numbers.map((number, i) => [number, names[i]!]));
  const otherwise = c.string("default_string", "_Unused");
  const data = Array.from(numbersOf(x), (number) => table.get(number) ?? otherwise);
  return [stringTensor(x.shape, data)];
}

export const mlMapOperators: readonly OperatorRecord[] = [
  hostOperator("ZipMap", versions, zipMap),
  hostOperator("DictVectorizer", versions, vectorize),
  hostOperator("CastMap", versions, castMap),
  hostOperator("CategoryMapper", versions, mapCategories, (c) => {
    const { dtype, shape } = c.input(0);
    return [{ dtype: dtype === "string" ? "i64" : "string", shape }];
  }),
];
