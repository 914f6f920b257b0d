import { describe, expect, it } from "vitest";
import { printSupport } from "../../src/analysis/print-report.js";
import { nodesOf, supportReport } from "../../src/analysis/support.js";
import { compileModel } from "../../src/compiler/compile.js";
import { mini } from "../../src/target/machines/mini.js";
import { graphProto, i64, node, onnxModel } from "../support/onnx-builder.js";

/** Relu on the device, NonZero on the host because its result's shape depends on data, Identity nowhere. */
const model = onnxModel({
  inputs: { x: "f32[4, 4]" },
  nodes: [
    node("Identity", ["x"], ["same"]),
    node("Relu", ["same"], ["y"]),
    node("NonZero", ["y"], ["places"]),
  ],
  outputs: { y: "f32[4, 4]", places: "i64[2, N]" },
});
const executable = compileModel(model, { machine: mini, machineHash: "", precision: "fp32" });

describe("what holds other nodes runs where they do", () => {
  const body = (operator: string) => ({
    graph: graphProto({ outputs: { r: "f32[4]" }, nodes: [node(operator, ["x"], ["r"])] }),
  });
  const whole = onnxModel({
    opset: { "": 21, my: 1 },
    inputs: { x: "f32[4]", c: "bool[]" },
    initializers: { trips: i64([], [5]) },
    nodes: [
      node("If", ["c"], ["branch"], { then_branch: body("Neg"), else_branch: body("Exp") }),
      node("Loop", ["trips", "", "x"], ["last"], {
        body: {
          graph: graphProto({
            inputs: { i: "i64[]", on: "bool[]", s: "f32[4]" },
            outputs: { go: "bool[]", t: "f32[4]" },
            nodes: [node("Identity", ["on"], ["go"]), node("Tanh", ["s"], ["t"])],
          }),
        },
      }),
      node("my::Half", ["x"], ["half"], {}, "call"),
    ],
    functions: [
      {
        domain: "my",
        name: "Half",
        input: ["a"],
        output: ["b"],
        opsetImport: [{ domain: "", version: 21 }],
        node: [node("Abs", ["a"], ["m"]), node("RandomUniformLike", ["m"], ["b"], { seed: 0.5 })],
      },
    ],
    outputs: { branch: "f32[4]", last: "f32[4]", half: "f32[4]" },
  });
  const compiled = compileModel(whole, { machine: mini, machineHash: "", precision: "fp32" });
  const { nodes } = supportReport(compiled, nodesOf(whole));

  it.each([
    ["branch", "device", ["neg", "exp"], undefined],
    ["last", "device", ["loop"], undefined],
    ["call", "both", ["abs"], "it has no lowering"],
  ])("%s: %s", (name, where, kernels, reason) => {
    const found = nodes.find((one) => one.node === name);
    expect(found).toMatchObject({ where, kernels });
    expect(found?.reason).toBe(reason);
  });
});

describe("the support report", () => {
  const report = supportReport(executable, nodesOf(model));

  it("says of every node where it runs and why", () => {
    expect(report.nodes.map(({ operator, where }) => [operator, where])).toEqual([
      ["Identity", "absorbed"],
      ["Relu", "device"],
      ["NonZero", "host"],
    ]);
    expect(report.nodes[1]!.kernels).toHaveLength(1);
    expect(report.nodes[1]!.patterns).toEqual(["lightloom.elementwise"]);
    expect(report.nodes[2]!.reason).toBe("it has no lowering");
    expect(report.nodes[2]!.remedy).toMatch(/a lowering/);
    expect(report.counts).toEqual({ device: 1, host: 1, both: 0, absorbed: 1 });
  });

  it("knows nodes by their first output where they have no name", () => {
    expect(nodesOf(model).map((origin) => origin.node)).toEqual(["same", "y", "places"]);
  });

  it("lists without the model what some step names", () => {
    const { nodes } = supportReport(executable);
    expect(nodes.map(({ operator }) => operator).sort()).toEqual(["NonZero", "Relu"]);
  });

  it("reads as a table", () => {
    const text = printSupport(report);
    expect(text).toMatch(/^same +Identity +no step +known when compiled/m);
    expect(text).toMatch(/^places +NonZero +host +it has no lowering/m);
    expect(text).toContain("1 of 3 nodes on the accelerator, 1 on the host");
  });

  it("counts weights that are nodes instead of listing them", () => {
    const constant = { node: "w", operator: "Constant", isCall: false };
    const text = printSupport(supportReport(executable, [constant, ...nodesOf(model)]));
    expect(text).not.toMatch(/^w /m);
    expect(text).toContain("and Constants that are known when compiled: 1\n");
  });
});
