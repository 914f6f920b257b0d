/**
 * If, Loop and Scan on the device: against ONNX Runtime, and against the meaning of the graph to the bit, on several
 * machines and engines. The schedule is held against what was meant: launches of whole loops, steps of control flow,
 * launches in their bodies.
 */
import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { optionsFor } from "../../src/compiler/1-import/evaluate-model.js";
import { importModel } from "../../src/compiler/1-import/import.js";
import { compileGraph } from "../../src/compiler/compile.js";
import { subgraphCodec } from "../../src/compiler/1-import/subgraph-codec.js";
import { readElf, writeElf } from "../../src/isa/elf.js";
import { everyStep } from "../../src/isa/executable.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { decodeModel } from "../../src/onnx/model.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { loadExecutable } from "../../src/runtime/walk.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { mini } from "../../src/target/machines/mini.js";
import {
  type AttributeInit,
  bool,
  f32,
  graphProto,
  type GraphInit,
  i64,
  type ModelInit,
  node,
  onnxFile,
} from "../support/onnx-builder.js";
import { differences, expectedOutputs, variantsOf } from "../support/plan-variants.js";

interface ControlCase {
  readonly model: ModelInit;
  readonly runs: readonly Readonly<Record<string, Tensor>>[];
  /** Kernels and other steps in the order of the schedule, bodies after what holds them; copies are left out. */
  readonly steps: readonly string[];
}

function graph(init: GraphInit): AttributeInit {
  return { graph: graphProto(init) };
}

const weight = f32([3, 3], [0.5, -0.25, 1, 0.125, 0.75, -0.5, 0.25, 0.5, -0.125]);

/** Halves x while its largest element is above 1, seven times at most. */
const halving = node("Loop", ["trips", "go", "x"], ["last", "all"], {
  body: graph({
    inputs: { i: "i64[]", goIn: "bool[]", s: "f32[3]" },
    nodes: [
      node("Mul", ["s", "half"], ["next"]),
      node("ReduceMax", ["next"], ["most"], { keepdims: 0 }),
      node("Greater", ["most", "one"], ["on"]),
      node("Neg", ["next"], ["each"]),
    ],
    outputs: { on: "bool[]", next: "f32[3]", each: "f32[3]" },
  }),
});

const cases: Readonly<Record<string, ControlCase>> = {
  "an If whose branches compute, with what they capture": {
    model: {
      inputs: { x: "f32[2, 3]", positive: "bool[]" },
      nodes: [
        node("Mul", ["x", "x"], ["square"]),
        node("If", ["positive"], ["r"], {
          then_branch: graph({
            nodes: [node("MatMul", ["square", "w"], ["a"])],
            outputs: { a: "f32[2, 3]" },
          }),
          else_branch: graph({
            nodes: [node("Flatten", ["x"], ["b"])],
            outputs: { b: "f32[2, 3]" },
          }),
        }),
        node("Add", ["r", "square"], ["y"]),
      ],
      initializers: { w: weight },
      outputs: { y: "f32[2, 3]" },
    },
    runs: [true, false].map((positive) => ({
      x: f32([2, 3], [1, -2, 3, -4, 5, 6]),
      positive: bool([], [positive]),
    })),
    steps: ["mul", "if", "matmul", "map", "add"],
  },
  "an If with a result that each branch computes, and one that is a constant in each": {
    model: {
      inputs: { x: "f32[2]", positive: "bool[]" },
      nodes: [
        node("If", ["positive"], ["r", "sign"], {
          then_branch: graph({
            nodes: [node("Abs", ["x"], ["a"])],
            outputs: { a: "f32[2]", one: "f32[2]" },
            initializers: { one: f32([2], [1, 1]) },
          }),
          else_branch: graph({
            nodes: [node("Neg", ["x"], ["b"])],
            outputs: { b: "f32[2]", minus: "f32[2]" },
            initializers: { minus: f32([2], [-1, -1]) },
          }),
        }),
        node("Mul", ["r", "sign"], ["y"]),
      ],
      outputs: { y: "f32[2]" },
    },
    runs: [true, false].map((positive) => ({
      x: f32([2], [1.5, -3]),
      positive: bool([], [positive]),
    })),
    steps: ["if", "map", "abs", "map", "neg", "mul"],
  },
  "a counted Loop with a state, its trip number, a captured product and stacked rows": {
    model: {
      inputs: { x: "f32[5, 3]", start: "f32[3]" },
      nodes: [
        node("MatMul", ["x", "w"], ["p"]),
        node("Loop", ["trips", "", "start"], ["end", "all"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", s: "f32[3]" },
            nodes: [
              node("Gather", ["p", "i"], ["row"], { axis: 0 }),
              node("Mul", ["s", "half"], ["less"]),
              node("Add", ["less", "row"], ["next"]),
              node("Cast", ["i"], ["number"], { to: 1 }),
              node("Add", ["next", "number"], ["each"]),
              node("Identity", ["go"], ["on"]),
            ],
            outputs: { on: "bool[]", next: "f32[3]", each: "f32[3]" },
          }),
        }),
      ],
      initializers: { w: weight, trips: i64([], [5]), half: f32([], [0.5]) },
      outputs: { end: "f32[3]", all: "f32[5, 3]" },
    },
    runs: [
      {
        x: f32(
          [5, 3],
          Array.from({ length: 15 }, (_, i) => i - 7),
        ),
        start: f32([3], [1, 2, 3]),
      },
    ],
    steps: ["matmul", "loop"],
  },
  "a Loop that stops by a condition of the device": {
    model: {
      inputs: { x: "f32[1]", limit: "f32[1]" },
      nodes: [
        node("Loop", ["trips", "", "x"], ["y"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", s: "f32[1]" },
            nodes: [
              node("Mul", ["s", "two"], ["next"]),
              node("Less", ["next", "limit"], ["less"]),
              node("Squeeze", ["less"], ["on"]),
            ],
            outputs: { on: "bool[]", next: "f32[1]" },
          }),
        }),
      ],
      initializers: { two: f32([], [2]), trips: i64([], [2 ** 53]) },
      outputs: { y: "f32[1]" },
    },
    runs: [
      { x: f32([1], [1]), limit: f32([1], [100]) },
      { x: f32([1], [1]), limit: f32([1], [0.5]) },
    ],
    steps: ["map", "loop", "mul", "squeeze_less"],
  },
  "a Loop of as many trips as an input says, down to none": {
    model: {
      inputs: { x: "f32[2]", trips: "i64[]", go: "bool[]" },
      nodes: [
        node("Loop", ["trips", "go", "x"], ["y"], {
          body: graph({
            inputs: { i: "i64[]", go_in: "bool[]", s: "f32[2]" },
            nodes: [node("Mul", ["s", "two"], ["next"]), node("Identity", ["go_in"], ["on"])],
            outputs: { on: "bool[]", next: "f32[2]" },
          }),
        }),
      ],
      initializers: { two: f32([], [2]) },
      outputs: { y: "f32[2]" },
    },
    runs: [
      { x: f32([2], [1, -3]), trips: i64([], [4]), go: bool([], [true]) },
      { x: f32([2], [1, -3]), trips: i64([], [0]), go: bool([], [true]) },
      { x: f32([2], [1, -3]), trips: i64([], [4]), go: bool([], [false]) },
    ],
    steps: ["loop", "map", "loop", "mul", "identity"],
  },
  "a Loop that stacks its trips until a condition fails, down to none": {
    model: {
      inputs: { x: "f32[3]", go: "bool[]" },
      nodes: [
        halving,
        node("MatMul", ["all", "w"], ["product"]),
        node("Shape", ["all"], ["shape"]),
        node("Cast", ["shape"], ["floats"], { to: 1 }),
        node("Add", ["product", "last"], ["y"]),
      ],
      initializers: { w: weight, trips: i64([], [7]), half: f32([], [0.5]), one: f32([], [1]) },
      outputs: { y: "f32[n, 3]", floats: "f32[2]" },
    },
    runs: [[9, 2, -1] as const, [1, 1, 1] as const, [1000, 1, 2] as const].flatMap((x) =>
      [true, false].map((go) => ({ x: f32([3], x), go: bool([], [go]) })),
    ),
    steps: ["map", "loop", "mul", "greater_reducemax", "neg", "cast", "add_matmul"],
  },
  "a Loop of no trips: its state as it was, and nothing stacked": {
    model: {
      inputs: { x: "f32[3]", go: "bool[]" },
      nodes: [halving, node("Neg", ["last"], ["y"])],
      initializers: { trips: i64([], [0]), half: f32([], [0.5]), one: f32([], [1]) },
      outputs: { y: "f32[3]", all: "f32[0, 3]" },
    },
    runs: [{ x: f32([3], [9, 2, 4]), go: bool([], [true]) }],
    steps: ["neg"],
  },
  "a counted Loop of no trips": {
    model: {
      inputs: { x: "f32[3]" },
      nodes: [
        node("Loop", ["trips", "", "x"], ["last", "all"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", s: "f32[3]" },
            nodes: [
              node("Neg", ["s"], ["next"]),
              node("Identity", ["go"], ["on"]),
              node("Abs", ["s"], ["size"]),
            ],
            outputs: { on: "bool[]", next: "f32[3]", size: "f32[3]" },
          }),
        }),
        node("Neg", ["last"], ["y"]),
      ],
      initializers: { trips: i64([], [0]) },
      outputs: { y: "f32[3]", all: "f32[0, 3]" },
    },
    runs: [{ x: f32([3], [9, 2, 4]) }],
    steps: ["neg"],
  },
  "a Loop of no trips whose body does not fit: there is nothing to index": {
    model: {
      inputs: { x: "f32[3]", rows: "f32[0, 3]" },
      nodes: [
        node("Shape", ["rows"], ["shape"]),
        node("Slice", ["shape", "zero", "end"], ["trips"]),
        node("Loop", ["trips", "", "x"], ["last"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", s: "f32[3]" },
            nodes: [
              node("Gather", ["rows", "i"], ["row"], { axis: 0 }),
              node("Add", ["s", "row"], ["next"]),
              node("Identity", ["go"], ["on"]),
            ],
            outputs: { on: "bool[]", next: "f32[3]" },
          }),
        }),
        node("Neg", ["last"], ["y"]),
      ],
      initializers: { zero: i64([1], [0]), end: i64([1], [1]) },
      outputs: { y: "f32[3]" },
    },
    runs: [{ x: f32([3], [9, 2, 4]), rows: f32([0, 3], []) }],
    steps: ["neg"],
  },
  "a Loop that stacks its trips for what needs to know how many there are": {
    model: {
      inputs: { x: "f32[3]", go: "bool[]" },
      nodes: [halving, node("Reshape", ["all", "two"], ["y"])],
      initializers: {
        ...{ trips: i64([], [7]), half: f32([], [0.5]), one: f32([], [1]) },
        two: i64([2], [2, -1]),
      },
      outputs: { last: "f32[3]", y: "f32[2, n]" },
    },
    runs: [{ x: f32([3], [9, 2, 4]), go: bool([], [true]) }],
    steps: ["host"],
  },
  "a Loop that decodes greedily, with its token, its length and its mask in int64": {
    model: {
      inputs: { start: "i64[2]", h: "f32[2, 3]" },
      nodes: [
        node(
          "Loop",
          ["trips", "", "start", "h", "none", "none"],
          ["token", "y", "length", "ended"],
          {
            body: graph({
              inputs: {
                i: "i64[]",
                go: "bool[]",
                t: "i64[2]",
                s: "f32[2, 3]",
                n: "i64[2]",
                done: "i64[2]",
              },
              nodes: [
                node("Gather", ["table", "t"], ["embedded"], { axis: 0 }),
                node("Add", ["embedded", "s"], ["mixed"]),
                node("MatMul", ["mixed", "w"], ["next"]),
                node("ArgMax", ["next"], ["best"], { axis: 1, keepdims: 0 }),
                node("Equal", ["best", "end"], ["isEnd"]),
                node("Cast", ["isEnd"], ["one"], { to: 7 }),
                node("Max", ["done", "one"], ["over"]),
                node("Sub", ["ones", "over"], ["more"]),
                node("Add", ["n", "more"], ["longer"]),
                node("ReduceMin", ["over", "axes"], ["all"], { keepdims: 0 }),
                node("Cast", ["all"], ["stop"], { to: 9 }),
                node("Not", ["stop"], ["on"]),
              ],
              outputs: {
                on: "bool[]",
                best: "i64[2]",
                next: "f32[2, 3]",
                longer: "i64[2]",
                over: "i64[2]",
              },
            }),
          },
        ),
      ],
      initializers: {
        trips: i64([], [6]),
        none: i64([2], [0, 0]),
        ones: i64([2], [1, 1]),
        end: i64([], [2]),
        axes: i64([1], [0]),
        w: weight,
        table: f32(
          [4, 3],
          Array.from({ length: 12 }, (_, i) => ((i * 5) % 7) - 3),
        ),
      },
      outputs: { token: "i64[2]", y: "f32[2, 3]", length: "i64[2]", ended: "i64[2]" },
    },
    runs: [[0, 1] as const, [3, 2] as const].map((start) => ({
      start: i64([2], start),
      h: f32([2, 3], [0.5, -1, 2, 1, 0.25, -0.5]),
    })),
    steps: [
      ...["map", "map.2", "map", "map", "loop", "gather", "add", "matmul", "argmax"],
      ...["max_cast_equal", "add_sub", "not_cast_reducemin"],
    ],
  },
  "a Loop in a Loop, states that change places": {
    model: {
      inputs: { a: "f32[3]", b: "f32[3]" },
      nodes: [
        node("Loop", ["three", "", "a", "b"], ["y", "z"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", p: "f32[3]", q: "f32[3]" },
            nodes: [
              node("Loop", ["two", "", "p"], ["inner"], {
                body: graph({
                  inputs: { j: "i64[]", go2: "bool[]", s: "f32[3]" },
                  nodes: [
                    node("Add", ["s", "q"], ["t"]),
                    node("Cast", ["i"], ["outer"], { to: 1 }),
                    node("Sub", ["t", "outer"], ["u"]),
                    node("Identity", ["go2"], ["on2"]),
                  ],
                  outputs: { on2: "bool[]", u: "f32[3]" },
                }),
              }),
              node("Identity", ["go"], ["on"]),
              node("Identity", ["q"], ["first"]),
            ],
            outputs: { on: "bool[]", first: "f32[3]", inner: "f32[3]" },
          }),
        }),
      ],
      initializers: { two: i64([], [2]), three: i64([], [3]) },
      outputs: { y: "f32[3]", z: "f32[3]" },
    },
    runs: [{ a: f32([3], [1, 2, 3]), b: f32([3], [-1, 0.5, 4]) }],
    steps: ["map", "map", "loop", "map", "loop", "map"],
  },
  "a Scan of two sequences, one backwards, stacked along the last axis": {
    model: {
      inputs: { first: "f32[2]", x: "f32[4, 2]", z: "f32[2, 4]" },
      nodes: [
        node("Scan", ["first", "x", "z"], ["last", "sums"], {
          num_scan_inputs: 2,
          scan_input_axes: [0, 1],
          scan_input_directions: [0, 1],
          scan_output_axes: [-1],
          scan_output_directions: [1],
          body: graph({
            inputs: { s: "f32[2]", e: "f32[2]", f: "f32[2]" },
            nodes: [
              node("Mul", ["e", "f"], ["product"]),
              node("Add", ["s", "product"], ["next"]),
              node("Relu", ["next"], ["each"]),
            ],
            outputs: { next: "f32[2]", each: "f32[2]" },
          }),
        }),
      ],
      outputs: { last: "f32[2]", sums: "f32[2, 4]" },
    },
    runs: [
      {
        first: f32([2], [0.5, -1]),
        x: f32([4, 2], [1, 2, 3, 4, -5, 6, 7, -8]),
        z: f32([2, 4], [1, -1, 2, 0.5, 3, 1, -2, 4]),
      },
    ],
    steps: ["scan"],
  },
  "a Loop with a host operation in its body, and a state on the host": {
    model: {
      inputs: { x: "f32[4]", count: "i64[1]" },
      nodes: [
        node("Loop", ["trips", "", "x", "count"], ["y", "n"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", s: "f32[4]", c: "i64[1]" },
            nodes: [
              node("Mul", ["s", "s"], ["squared"]),
              node("Cast", ["squared"], ["whole"], { to: 7 }),
              node("ReduceSum", ["whole"], ["total"]),
              node("Add", ["c", "total"], ["sum"]),
              node("Reshape", ["sum", "one"], ["more"]),
              node("Mul", ["c", "c"], ["wide"]),
              node("Cast", ["wide"], ["scale"], { to: 1 }),
              node("Mul", ["squared", "scale"], ["next"]),
              node("Identity", ["go"], ["on"]),
            ],
            outputs: { on: "bool[]", next: "f32[4]", more: "i64[1]" },
          }),
        }),
      ],
      initializers: { trips: i64([], [2]), one: i64([1], [1]) },
      outputs: { y: "f32[4]", n: "i64[1]" },
    },
    runs: [{ x: f32([4], [1, 0, -2, 0.5]), count: i64([1], [2]) }],
    steps: ["map", "loop", "mul", "host", "host", "mul.2"],
  },
};

test.each(Object.entries(cases))(
  "%s",
  { timeout: 120_000 },
  async (_, { model: init, runs, steps }) => {
    const file = onnxFile(init);
    const model = decodeModel(file);
    const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
    for (const feeds of runs) {
      const inputs = new Map(Object.entries(feeds));
      const { graph: imported } = importModel(model, optionsFor(model, inputs));
      const expected = expectedOutputs(imported, inputs);
      for (const variant of variantsOf(7)) {
        expect(await differences(imported, inputs, variant, expected)).toEqual([]);
      }
      const executable = compileGraph(imported, {
        machine: mini,
        machineHash: "",
        precision: "fp32",
      });
      const kinds = everyStep(executable.steps).flatMap((step) => {
        const isWork = step.kind !== "host" || step.graph.nodes.length > 0;
        if (step.kind === "copy" || !isWork) return [];
        return [step.kind === "launch" ? executable.programs[step.program]!.name : step.kind];
      });
      expect(kinds).toEqual(steps);
      const bytes = writeElf(executable, subgraphCodec);
      const read = readElf(bytes, subgraphCodec);
      expect(writeElf(read, subgraphCodec)).toEqual(bytes);
      const loaded = loadExecutable(read, createSimulatedDevice(createJitEngine()));
      const first = await loaded.run(inputs);
      expect(await loaded.run(inputs)).toEqual(first);
      await loaded.release();
      const reference = await session.run(
        Object.fromEntries(Object.entries(feeds).map(([name, x]) => [name, toOrt(x)])),
      );
      for (const [name, { data, dims }] of Object.entries(reference)) {
        const own = first.get(name) as Tensor;
        expect(own.shape).toEqual(dims);
        Array.from(data as Float32Array, (value, i) =>
          expect(Number(own.data[i])).toBeCloseTo(Number(value), 4),
        );
      }
    }
  },
);

function toOrt({ dtype, shape, data }: Tensor): ort.Tensor {
  const types = { f32: "float32", i64: "int64", bool: "bool" } as const;
  return new ort.Tensor(types[dtype as keyof typeof types], data as Float32Array, [...shape]);
}
