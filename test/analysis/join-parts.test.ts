/** Reports of a run in parts are those of all parts together. */
import { expect, test } from "vitest";
import { joinParts } from "../../src/analysis/join-parts.js";
import { reportOf } from "../../src/analysis/report.js";
import { nodesOf } from "../../src/analysis/support.js";
import { timelineOf } from "../../src/analysis/timeline.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { mini } from "../../src/target/machines/mini.js";
import { chosenTwice, numbers, stackedTrips } from "../support/data-dependent.js";
import { f32, type ModelInit, onnxModel } from "../support/onnx-builder.js";

const cases: Readonly<Record<string, readonly [ModelInit, ReturnType<typeof numbers>]>> = {
  chosenTwice: [chosenTwice, numbers(11, 50, 80)],
  stackedTrips: [stackedTrips, numbers(12, 64)],
};

test.each(Object.entries(cases))("%s", async (_, [init, x]) => {
  const model = onnxModel(init);
  const runner = createModelRunner({
    model,
    machine: mini,
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(createJitEngine()),
  });
  const inputs = new Map([
    ["x", x],
    ["least", f32([], [0.125])],
  ]);
  const parts = await runner.prepare(inputs);
  const each = parts.map((part) => reportOf({ ...part, machine: mini }));
  const whole = reportOf({ ...joinParts(parts), machine: mini, nodes: nodesOf(model) });
  const sum = (of: (report: (typeof each)[number]) => number) =>
    each.reduce((total, report) => total + of(report), 0);

  expect(whole.cycles.total).toBe(sum(({ cycles }) => cycles.total));
  expect(whole.kernels).toHaveLength(sum(({ kernels }) => kernels.length));
  expect(whole.regions.map(({ bytesIn, bytesOut }) => [bytesIn, bytesOut])).toEqual(
    each.flatMap(({ regions }) => regions.map(({ bytesIn, bytesOut }) => [bytesIn, bytesOut])),
  );
  expect(whole.memory.allocatedBytes).toBe(sum(({ memory }) => memory.allocatedBytes));
  expect(whole.records.filter(({ what }) => what === "later")).toHaveLength(parts.length - 1);
  const { traceEvents } = timelineOf({ ...joinParts(parts), machine: mini });
  expect(traceEvents.length).toBeGreaterThan(whole.kernels.length);

  const where = new Map(whole.support.nodes.map((one) => [one.node, one.where]));
  expect(where.size).toBe(model.graph.node.length);
  expect(where.get("y")).toBe("device");
});
