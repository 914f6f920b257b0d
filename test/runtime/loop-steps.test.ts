/** Loops as steps: what they cost is counted for every trip, and buffers change places only where that is safe. */
import { describe, expect, test } from "vitest";
import { compileGraph } from "../../src/compiler/compile.js";
import { everyStep, type Executable, type LoopStep } from "../../src/isa/executable.js";
import { symbolDim } from "../../src/ir/dim.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import { buildLoop } from "../../src/ir/build/loop-builder.js";
import { requireSafeSchedule } from "../../src/runtime/launch-safety.js";
import { timeExecutable } from "../../src/sim/timing/execution.js";
import { mini } from "../../src/target/machines/mini.js";

/** x doubled as often as T says. */
function doubling(): Executable {
  const T = symbolDim({ name: "T", min: 0, max: 9, multipleOf: 1 });
  const b = createGraphBuilder();
  const x = b.input("x", "f32", [40]);
  const times = b.input("times", "f32", [T]);
  const { states } = buildLoop(b, {
    name: "double",
    trips: T,
    origins: [],
    states: [x],
    captured: [times],
    body: (inner, { index, states: [s], captured: [all] }) => {
      const own = inner.sliceAxis(all!, 0, index, 1);
      const next = inner.map("f32", [s!, own], (l, p, q) => l.add(l.add(p!, p!), q!));
      return { states: [next], scanned: [] };
    },
  });
  const graph = b.finish("doubling", [{ name: "y", value: states[0]! }]);
  return compileGraph(graph, { machine: mini, machineHash: "", precision: "fp32" });
}

function cost(executable: Executable, trips: number) {
  const timing = timeExecutable(executable, mini, new Map([["T", trips]]));
  const inLoop = timing.steps.at(-1)!;
  return { runs: inLoop.runs, cycles: inLoop.cycles, total: timing.cycles.device };
}

describe("a loop", () => {
  const executable = doubling();

  test("costs what its trips cost", () => {
    const [none, one, five] = [0, 1, 5].map((trips) => cost(executable, trips));
    expect([none!.runs, one!.runs, five!.runs]).toEqual([0, 1, 5]);
    expect(none!.cycles).toBe(0);
    expect(five!.cycles).toBe(5 * one!.cycles);
    expect(five!.total - none!.total).toBe(five!.cycles);
  });

  test("has two buffers per state, which change places", () => {
    const loop = everyStep(executable.steps).find(
      (step): step is LoopStep => step.kind === "loop",
    )!;
    expect(loop.exchanged).toHaveLength(1);
    expect(() => requireSafeSchedule(executable)).not.toThrow();
  });

  const unsafe: readonly (readonly [
    string,
    (loop: LoopStep, e: Executable) => LoopStep["exchanged"],
  ])[] = [
    ["buffers that do not exist", () => [[0, 99]]],
    ["a buffer with itself", ({ exchanged: [pair] }) => [[pair![0], pair![0]]]],
    ["one buffer with two", ({ exchanged: [pair] }) => [pair!, pair!]],
    [
      "buffers of different sizes",
      ({ exchanged: [pair] }, { buffers }) => {
        const size = buffers[pair![0]]!.sizeBytes;
        return [[pair![0], buffers.findIndex((buffer) => buffer.sizeBytes !== size)]];
      },
    ],
  ];
  test.each(unsafe)("is refused where it exchanges %s", (_, exchange) => {
    const buffers = executable.buffers.map((buffer, i) =>
      i === executable.buffers.length - 1 ? { ...buffer, sizeBytes: 2 * buffer.sizeBytes } : buffer,
    );
    const steps = executable.steps.map((step) =>
      step.kind === "loop"
        ? { ...step, exchanged: exchange(step, { ...executable, buffers }) }
        : step,
    );
    expect(() => requireSafeSchedule({ ...executable, buffers, steps })).toThrow("change places");
  });
});
