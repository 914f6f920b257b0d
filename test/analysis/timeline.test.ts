import { describe, expect, it } from "vitest";
import { timelineOf } from "../../src/analysis/timeline.js";
import { compileModel } from "../../src/compiler/compile.js";
import { timeExecutable } from "../../src/sim/timing/execution.js";
import { mini } from "../../src/target/machines/mini.js";
import { node, onnxModel } from "../support/onnx-builder.js";

const model = onnxModel({
  inputs: { x: "f32[64, 96]", w: "f32[96, 80]" },
  nodes: [node("MatMul", ["x", "w"], ["y"]), node("Softmax", ["y"], ["z"])],
  outputs: { z: "f32[64, 80]" },
});
const executable = compileModel(model, { machine: mini, machineHash: "", precision: "fp32" });

describe("the timeline of an execution", () => {
  const bindings = new Map<string, number>();
  const { traceEvents } = timelineOf({ executable, machine: mini, bindings, members: [0, 3] });
  const slices = traceEvents.flatMap((event) => (event.ph === "X" ? [event] : []));

  it("shows every launch, one after the other", () => {
    const timing = timeExecutable(executable, mini, bindings);
    const launches = slices.filter(({ pid }) => pid === 0);
    expect(launches.map(({ args }) => args["cycles"])).toEqual(
      timing.steps.map(({ cycles }) => cycles),
    );
    // one cycle is a nanosecond
    const last = launches.at(-1)!;
    expect(last.ts + last.dur).toBeCloseTo((timing.cycles.inputs + timing.cycles.device) / 1000, 6);
  });

  it("shows the instructions of the members asked for, none at the same time on one engine", () => {
    const rows = new Map<string, number>();
    for (const { pid, tid, ts, dur, args } of slices.filter((slice) => slice.pid > 0)) {
      expect([1, 4]).toContain(pid);
      const key = `${pid} ${tid}`;
      expect(ts).toBeGreaterThanOrEqual((rows.get(key) ?? 0) - 1e-9);
      rows.set(key, ts + dur);
      expect(args["instruction"]).toMatch(/^(ld|st|mma|vec|gather|scatter)/);
    }
    expect(rows.size).toBeGreaterThan(6);
    const names = traceEvents.flatMap((event) => (event.ph === "M" ? [event.args.name] : []));
    expect(names).toEqual(expect.arrayContaining(["schedule", "member 0", "member 3", "tensor"]));
  });

  it("names the ONNX nodes behind an instruction", () => {
    const nodes = new Set(slices.map(({ args }) => args["nodes"]));
    expect([...nodes].join()).toContain("y");
  });
});
