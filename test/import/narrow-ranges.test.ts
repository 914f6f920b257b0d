/** Dims that may stay open within a limit: of the positions of a table that a slice takes, as many as there are. */
import { expect, test } from "vitest";
import { importModel } from "../../src/compiler/1-import/import.js";
import { narrowedRanges } from "../../src/compiler/1-import/narrow-ranges.js";
import { dimAdd, symbolDim } from "../../src/ir/dim.js";
import { f32, node, onnxModel } from "../support/onnx-builder.js";

const wide = { min: 1, max: 1024, multipleOf: 1 };
const past = { ...wide, name: "past", min: 0 };
const tokens = { ...wide, name: "tokens" };
const total = dimAdd(symbolDim(past), symbolDim(tokens));

test.each([
  ["one symbol takes the whole limit", symbolDim(tokens), { tokens: 7 }, { tokens: 64 }],
  ["the longer gets the room", total, { past: 6, tokens: 1 }, { past: 62, tokens: 2 }],
  ["the first run has no past", total, { past: 0, tokens: 5 }, { past: 2, tokens: 62 }],
  ["at the limit both are as they are", total, { past: 61, tokens: 3 }, { past: 61, tokens: 3 }],
  ["beyond it there is none", total, { past: 60, tokens: 5 }, undefined],
  ["a size has to be known", total, { past: 6 }, undefined],
] as const)("%s", (_, dim, now, wanted) => {
  const ranges = narrowedRanges(dim, 64, new Map(Object.entries(now)));
  const tops = ranges && Object.fromEntries([...ranges].map(([name, { max }]) => [name, max]));
  expect(tops).toEqual(wanted);
});

test("the positions of a transformer leave its dims open as far as their table goes", () => {
  const model = onnxModel({
    inputs: { x: "f32[tokens, 2]", cache: "f32[past, 2]" },
    nodes: [
      node("Shape", ["x"], ["new"], { end: 1 }),
      node("Shape", ["cache"], ["old"], { end: 1 }),
      node("Add", ["old", "new"], ["all"]),
      node("Slice", ["table", "old", "all"], ["positions"]),
      node("Add", ["x", "positions"], ["y"]),
    ],
    initializers: { table: f32([64, 2], new Array<number>(128).fill(1)) },
    outputs: { y: "f32[?, 2]" },
  });
  const imported = (tokensNow: number, pastNow: number) =>
    importModel(model, {
      dims: new Map([
        ["tokens", wide],
        ["past", { ...wide, min: 0 }],
      ]),
      inputShapes: new Map([
        ["x", [tokensNow, 2]],
        ["cache", [pastNow, 2]],
      ]),
    });
  expect(imported(1, 9).graph.symbols).toMatchObject([
    { name: "tokens", max: 2 },
    { name: "past", max: 62 },
  ]);
  expect(imported(1, 9).notes).toEqual([]);
  expect(() => imported(60, 9)).toThrow("[60, 2] and [55, 2]");
});
