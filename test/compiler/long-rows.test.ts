/** Rows that do not fit L1 go through it in chunks, with the bits of rows that do. */
import { describe, expect, it } from "vitest";
import { compileGraph } from "../../src/compiler/compile.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import type { Graph, Value } from "../../src/ir/graph.js";
import type { GraphBuilder } from "../../src/ir/builder.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import { bytesFromData } from "../../src/numerics/convert.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { loadExecutable } from "../../src/runtime/walk.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { findDevice } from "../../src/target/machines.js";

const rows = 2;

function softmax(b: GraphBuilder, x: Value): Value {
  const m = b.reduce(x, "max", [1], { keepDims: true });
  const e = b.map("f32", [x, m], (l, v, max) => l.exp(l.sub(v!, max!)));
  const sum = b.reduce(e, "sum", [1], { keepDims: true });
  return b.map("f32", [e, sum], (l, v, s) => l.div(v!, s!));
}

function layerNorm(b: GraphBuilder, x: Value): Value {
  const n = b.full("f32", x.shape[1] as number);
  const mean = b.map("f32", [b.reduce(x, "sum", [1], { keepDims: true }), n], (l, s, c) =>
    l.div(s!, c!),
  );
  const centred = b.map("f32", [x, mean], (l, v, m) => l.sub(v!, m!));
  const square = b.map("f32", [centred], (l, v) => l.mul(v!, v!));
  const variance = b.map("f32", [b.reduce(square, "sum", [1], { keepDims: true }), n], (l, s, c) =>
    l.sqrt(l.add(l.div(s!, c!), l.constF(1e-5))),
  );
  return b.map("f32", [centred, variance], (l, v, s) => l.div(v!, s!));
}

function build(length: number, body: (b: GraphBuilder, x: Value) => Value): Graph {
  const b = createGraphBuilder();
  const x = b.input("x", "f32", [rows, length]);
  return b.finish("rows", [{ name: "y", value: body(b, x) }]);
}

function ramp(length: number): Tensor {
  const data = Float32Array.from({ length: rows * length }, (_, i) => Math.sin(i * 0.7) * 3);
  return { dtype: "f32", shape: [rows, length], data };
}

describe("rows longer than L1", () => {
  for (const [name, body] of [
    ["softmax", softmax],
    ["layer norm", layerNorm],
  ] as const) {
    for (const [machine, length] of [
      ["mini", 70_001],
      ["mini", 4_096],
    ] as const) {
      it(`${name} of ${length} on ${machine}`, async () => {
        const graph = build(length, body);
        const x = ramp(length);
        const wanted = evaluateGraph(graph, new Map([["x", x]]), () => []).get("y") as Tensor;
        const plans: string[] = [];
        const executable = compileGraph(graph, {
          machine: findDevice(machine),
          machineHash: "",
          precision: "fp32",
          observe: (stage) => {
            if (stage.name !== "tile" || stage.kind !== "tiled") return;
            for (const step of stage.tiled.steps) if (step.kind === "launch") plans.push(step.plan);
          },
        });
        const loaded = loadExecutable(executable, createSimulatedDevice(createReferenceEngine()));
        const y = (await loaded.run(new Map([["x", x]]))).get("y") as Tensor;
        expect(plans.length).toBe(1);
        expect(plans[0]!.includes("chunk")).toBe(length * 4 > 256 * 1024);
        expect(bytesFromData("f32", y.data)).toEqual(bytesFromData("f32", wanted.data));
      });
    }
  }
});
