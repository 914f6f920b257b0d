/** The forms that a differential test must have met: every row with every type and every way to use it. */
import { laneOps } from "../../../src/numerics/lane.js";
import { allTypes, floatTypes, integerTypes } from "./context.js";

const pairs = <A extends string, B extends string>(a: readonly A[], b: readonly B[]) =>
  a.flatMap((x) => b.map((y) => [x, y] as const));

const transfers = pairs(allTypes, allTypes).flatMap(([from, to]) => [
  `load ${from} to ${to}`,
  `store ${from} to ${to}`,
]);

const combines = pairs(["add", "mul", "min", "max"], allTypes).flatMap(([combine, type]) => [
  `store ${combine} to ${type}`,
  `scatter ${combine} to ${type}`,
]);

const dequantized = [
  ...pairs(["i16", "u16", "i8", "u8", "i4", "u4", "f8e4m3fn"], ["f32", "f16", "bf16"]).map(
    ([from, to]) => `load ${from} dequantized to ${to}`,
  ),
  ...floatTypes.map((type) => `load with scale ${type}`),
  ...["none", "i16", "u16", "i8", "u8", "i4", "u4", "i32", "f32"].map(
    (type) => `load with zero ${type}`,
  ),
];

const walks = pairs(["load", "store"], ["scalar", "extent"]).flatMap(([op, by]) => [
  `${op} axis counted by ${by}`,
  ...["index", "scalar"].map((kind) => `${op} clipped ${kind === "index" ? "from" : "to"} ${kind}`),
  ...[1, 2, -1].map((step) => `${op} clipped by ${step}`),
  ...[1, 2, 3, 4, 5].map((axes) => `${op} over ${axes} axes`),
  `${op} backwards`,
  `${op} with index`,
  `${op} with index in a dynamic extent`,
]);

const deliveries = [
  "load multicast",
  "load gather",
  ...pairs(["rows", "columns"], ["1 true", "-1 true", "1 false", "-1 false"]).map(
    ([axis, how]) => `load neighbour ${axis} ${how}`,
  ),
];

const products = [
  ...[floatTypes, integerTypes].flatMap((types) =>
    pairs<string, string>(types, types).map(([a, b]) => `mma ${a} by ${b}`),
  ),
  ...integerTypes.flatMap((type) => [`mma zeroA ${type}`, `mma zeroB ${type}`]),
  ...Object.entries({ g: 1, m: 2, n: 2, k: 3 }).flatMap(([role, most]) =>
    Array.from({ length: most + 1 }, (_, axes) => `mma with ${axes} axes ${role}`),
  ),
  ...["never", "always", "first", "conjunction"].map((when) => `mma clear ${when}`),
  ...["never", "always", "first", "last", "!first", "!last", "conjunction"].map(
    (when) => `mma fold ${when}`,
  ),
];

const floatReductions = ["sum", "prod", "seqsum", "max", "min"] as const;
const integerReductions = [...floatReductions, "and", "or"] as const;

const vectors = [
  ...Object.keys(laneOps).map((op) => `lane ${op}`),
  ...allTypes.flatMap((type) => [
    `lane input l1 ${type}`,
    `lane lookup l1 ${type}`,
    `vec output ${type}`,
    `reduce to ${type}`,
    `carry state ${type}`,
  ]),
  ...["f32", "i32"].flatMap((type) => [`lane input accumulator ${type}`, `lane carry ${type}`]),
  ...floatReductions.map((reduction) => `reduce ${reduction} of f32`),
  ...integerReductions.map((reduction) => `reduce ${reduction} of i32`),
  ...["sum", "prod"].map((reduction) => `reduce ${reduction} of f32 in partials`),
  ...pairs(integerReductions, ["always", "first"]).map(([r, when]) => `reduce ${r} init ${when}`),
  "reduce sum init conjunction",
  "carry without state",
  ...["always", "first", "conjunction"].map((when) => `carry init ${when}`),
  ...[0, 1, 2, 3, 4].map((axes) => `vec with ${axes} axes parallel`),
  ...[0, 1, 2].map((axes) => `vec with ${axes} axes reduce`),
  "vec with 1 axes scan",
  ...[1, 2, 3, 4, 8].map((inputs) => `vec with ${inputs} inputs`),
  ...[1, 2, 3].map((outputs) => `vec with ${outputs} outputs`),
  ...[0, 1, 2, 3, 4].map((carries) => `vec with ${carries} carries`),
];

const flow = [
  ...["time", "rows", "columns", "members"].map((over) => `loop over ${over}`),
  ...["scalar", "extent", "index"].map((by) => `loop total by ${by}`),
  "loop start by index",
  "loop to the least of two totals",
  "loop without trips",
  ...["never", "always", "last", "!last", "conjunction"].map((when) => `pop ${when}`),
  ...["never", "always", "last", "!first", "conjunction"].map((when) => `publish ${when}`),
  "update",
  "source that moves inside its slot",
  "destination that moves inside its slot",
  ...[1, 2, 3].map((stage) => `stage ${stage}`),
  "queue with 3 consumers",
  "waits for a token",
  "signals a token",
  "barrier",
  ...["1x1", "1x2", "2x1", "2x2", "3x2", "1x4"].map((grid) => `grid ${grid}`),
];

export const requiredForms: readonly string[] = [
  ...transfers,
  ...combines,
  ...dequantized,
  ...new Set(walks),
  ...deliveries,
  ...products,
  ...vectors,
  ...flow,
];
