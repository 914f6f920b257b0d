/** A cache handed back unread stays on the device; whatever else the caller does with it, the numbers are right. */
import { describe, expect, it } from "vitest";
import { compileGraph } from "../../src/compiler/compile.js";
import { symbolDim, dimAdd } from "../../src/ir/dim.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { createSimulatedDevice, type Device } from "../../src/runtime/device.js";
import { loadExecutable, type LoadedExecutable } from "../../src/runtime/walk.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { findDevice } from "../../src/target/machines.js";

/** present = concat(past, 2 * x) along the first dim, past of 0 to 8 rows. */
function growingCache(writes: string[]): LoadedExecutable {
  const b = createGraphBuilder();
  const rows = symbolDim({ name: "P", min: 0, max: 8, multipleOf: 1 });
  const past = b.input("past", "f32", [rows, 2]);
  const x = b.input("x", "f32", [1, 2]);
  const twice = b.map("f32", [x], (l, v) => l.add(v!, v!));
  const present = b.concat([past, twice], 0);
  expect(present.shape[0]).toEqual(dimAdd(rows, 1));
  const graph = b.finish("cache", [{ name: "present", value: present }]);
  const executable = compileGraph(graph, {
    machine: findDevice("mini"),
    machineHash: "",
    precision: "fp32",
  });
  const names = executable.buffers.map((buffer) => [buffer.offsetBytes, buffer.name] as const);
  return loadExecutable(
    executable,
    counting(createSimulatedDevice(createReferenceEngine()), writes, new Map(names)),
  );
}

/** Notes the name of every buffer that the host writes to. */
function counting(device: Device, writes: string[], names: ReadonlyMap<number, string>): Device {
  return {
    ...device,
    allocate: (sizeBytes) => {
      const region = device.allocate(sizeBytes);
      return {
        ...region,
        write: (offset, bytes) => {
          writes.push(names.get(offset) ?? String(offset));
          region.write(offset, bytes);
        },
      };
    },
  };
}

function row(...values: number[]): Tensor {
  return { dtype: "f32", shape: [values.length / 2, 2], data: Float32Array.from(values) };
}

async function step(loaded: LoadedExecutable, past: Tensor, x: Tensor): Promise<Tensor> {
  const inputs = new Map([
    ["past", past],
    ["x", x],
  ]);
  return (await loaded.run(inputs)).get("present") as Tensor;
}

describe("a growing cache", () => {
  it("is not moved while it is handed back unread", async () => {
    const writes: string[] = [];
    const loaded = growingCache(writes);
    let cache = await step(loaded, row(), row(1, 2));
    writes.length = 0;
    for (const value of [3, 5, 7]) cache = await step(loaded, cache, row(value, value + 1));
    expect(new Set(writes)).toEqual(new Set(["x"]));
    expect([...(cache.data as Float32Array)]).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
  });

  it("keeps earlier states for those who ask later", async () => {
    const loaded = growingCache([]);
    const first = await step(loaded, row(), row(1, 2));
    const second = await step(loaded, first, row(3, 4));
    const branch = await step(loaded, first, row(5, 6));
    expect([...(second.data as Float32Array)]).toEqual([2, 4, 6, 8]);
    expect([...(branch.data as Float32Array)]).toEqual([2, 4, 10, 12]);
    expect([...(first.data as Float32Array)]).toEqual([2, 4]);
  });

  it("takes data that the caller has changed, or made", async () => {
    const loaded = growingCache([]);
    const first = await step(loaded, row(), row(1, 2));
    (first.data as Float32Array)[0] = 100;
    const second = await step(loaded, first, row(3, 4));
    const fresh = await step(loaded, row(9, 9), row(1, 1));
    expect([...(second.data as Float32Array)]).toEqual([100, 4, 6, 8]);
    expect([...(fresh.data as Float32Array)]).toEqual([9, 9, 2, 2]);
  });
});
