import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { createDiskStore, defaultCacheFolder } from "../../src/runtime/node/disk-store.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { decodeModel } from "../../src/onnx/model.js";
import { mini } from "../../src/target/machines/mini.js";
import { f32, node, onnxFile } from "../support/onnx-builder.js";

const modelBytes = onnxFile({
  inputs: { x: "f32[3]" },
  nodes: [node("Add", ["x", "x"], ["y"])],
  outputs: { y: "f32[3]" },
});
const inputs = new Map([["x", f32([3], [1, 2, 3])]]);
const outputs = new Map([["y", f32([3], [2, 4, 6])]]);

let folder = "";
let warnings: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lightloom-"));
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(precision: "fp32" | "bf16" = "fp32") {
  const runner = createModelRunner({
    model: decodeModel(modelBytes),
    machine: mini,
    precision,
    dims: new Map(),
    device: createSimulatedDevice(createReferenceEngine()),
    store: createDiskStore({ folder, modelBytes, warn: (text) => warnings.push(text) }),
  });
  expect((await runner.run(inputs)).outputs).toEqual(outputs);
  return runner.stats;
}

test("a program that has been compiled is found again", async () => {
  expect(await run()).toMatchObject({ compiles: 1, storeHits: 0 });
  expect(await run()).toMatchObject({ compiles: 0, storeHits: 1 });
  expect(await run("bf16")).toMatchObject({ compiles: 1, storeHits: 0 });
  expect(readdirSync(folder)).toHaveLength(2);
  expect(warnings).toEqual([]);
});

test("a damaged file is reported and made again", async () => {
  await run();
  const path = join(folder, readdirSync(folder)[0]!);
  writeFileSync(path, readFileSync(path).subarray(0, 200));
  expect(await run()).toMatchObject({ compiles: 1, storeHits: 0 });
  expect(warnings).toEqual([expect.stringContaining("the kept program is damaged: L0502")]);
  expect(await run()).toMatchObject({ storeHits: 1 });
});

test("a folder that cannot be written is reported once", async () => {
  writeFileSync(join(folder, "file"), "");
  const store = createDiskStore({
    folder: join(folder, "file"),
    modelBytes,
    warn: (text) => warnings.push(text),
  });
  const runner = createModelRunner({
    model: decodeModel(modelBytes),
    machine: mini,
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(createReferenceEngine()),
    store,
  });
  expect((await runner.run(inputs)).outputs).toEqual(outputs);
  expect(warnings).toHaveLength(1);
});

test("the default folder", () => {
  expect(defaultCacheFolder({ LIGHTLOOM_CACHE: "/a" })).toBe("/a");
  expect(defaultCacheFolder({ XDG_CACHE_HOME: "/b" })).toBe(join("/b", "lightloom"));
  expect(defaultCacheFolder({})).toMatch(/\.cache.lightloom$/);
});
