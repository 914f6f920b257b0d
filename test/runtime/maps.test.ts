/** Pipelines as scikit-learn's exporter writes them: sequences of maps come out, maps go in. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { expect, test, vi } from "vitest";
import { runCommandLine } from "../../src/cli/command-line.js";
import type { SessionOptions } from "../../src/runtime/session-options.js";
import { InferenceSession } from "../../src/runtime/inference-session.js";
import { encodeNpy } from "../../src/runtime/npy.js";
import { f32, node, onnxFile } from "../support/onnx-builder.js";

const options: SessionOptions = { machine: "mini", cacheDir: false };
const opset = { "": 21, "ai.onnx.ml": 3 };
const names = ["setosa", "versicolor", "virginica"];
const rows = Float32Array.of(5.1, 3.5, 1.4, 0.2, 6.7, 3, 5.2, 2.3, 5.9, 3, 4.2, 1.5);

/** Scaled, classified, normalized. */
const steps = [
  node("ai.onnx.ml::Scaler", ["x"], ["scaled"], {
    offset: { floats: [5.8, 3, 3.7, 1.2] },
    scale: { floats: [1.2, 2.3, 0.6, 1.3] },
  }),
  node("ai.onnx.ml::LinearClassifier", ["scaled"], ["label", "scores"], {
    coefficients: { floats: [-1, 1.1, -1.8, -1.7, 0.5, -0.3, -0.3, -0.7, 0.5, -0.8, 2.1, 2.4] },
    intercepts: { floats: [-0.2, 2.1, -1.9] },
    classlabels_strings: names,
    multi_class: 1,
    post_transform: "LOGISTIC",
  }),
  node("ai.onnx.ml::Normalizer", ["scores"], ["probabilities"], { norm: "L1" }),
];

const pipeline = onnxFile({
  opset,
  inputs: { x: "f32[N, 4]" },
  nodes: [
    ...steps,
    node("ai.onnx.ml::ZipMap", ["probabilities"], ["maps"], { classlabels_strings: names }),
  ],
  outputs: { label: "string[N]", maps: "seq(map(string, f32))" },
});

async function expected() {
  const file = onnxFile({
    opset,
    inputs: { x: "f32[N, 4]" },
    nodes: steps,
    outputs: { label: "string[N]", probabilities: "f32[N, 3]" },
  });
  const session = await ort.InferenceSession.create(file);
  return session.run({ x: new ort.Tensor("float32", rows, [3, 4]) });
}

test("a pipeline gives each row's probabilities by class", async () => {
  const wanted = await expected();
  const session = await InferenceSession.create(pipeline, options);
  const results = await session.run({ x: new ort.Tensor("float32", rows, [3, 4]) });
  expect(results["label"]!.data).toEqual(wanted["label"]!.data);
  const maps = results["maps"] as unknown as ReadonlyMap<string, number>[];
  expect(maps.map((map) => [...map.keys()])).toEqual([names, names, names]);
  const numbers = maps.flatMap((map) => [...map.values()]);
  for (const [i, value] of (wanted["probabilities"]!.data as Float32Array).entries()) {
    expect(numbers[i]).toBeCloseTo(value, 6);
  }
  expect([...session.stats.hostRuns]).toEqual([]);
  expect(session.outputMetadata[1]).toEqual({ name: "maps", isTensor: false });
  await session.release();
});

test("the command line shows maps, as objects with --json", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lightloom-maps-"));
  const out: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out.push(String(text));
    return true;
  });
  try {
    writeFileSync(join(folder, "m.onnx"), pipeline);
    writeFileSync(join(folder, "x.npy"), encodeNpy(f32([3, 4], [...rows])));
    const input = `x=${join(folder, "x.npy")}`;
    await runCommandLine([
      "run",
      join(folder, "m.onnx"),
      "-i",
      input,
      "--machine",
      "mini",
      "--no-cache",
      "--json",
    ]);
  } finally {
    write.mockRestore();
    rmSync(folder, { recursive: true });
  }
  const { outputs } = JSON.parse(out.join("")) as {
    outputs: { type: string; value?: Record<string, number>[] }[];
  };
  expect(outputs[1]!.type).toBe("sequence of 3");
  expect(outputs[1]!.value!.map((map) => Object.keys(map))).toEqual([names, names, names]);
});

test("trees give classes that are integers", async () => {
  const file = onnxFile({
    opset,
    inputs: { x: "f32[N, 2]" },
    nodes: [
      node("ai.onnx.ml::TreeEnsembleClassifier", ["x"], ["label", "scores"], {
        nodes_treeids: [0, 0, 0],
        nodes_nodeids: [0, 1, 2],
        nodes_featureids: [1, 0, 0],
        nodes_values: { floats: [0.5, 0, 0] },
        nodes_modes: ["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids: [1, 0, 0],
        nodes_falsenodeids: [2, 0, 0],
        class_treeids: [0, 0],
        class_nodeids: [1, 2],
        class_ids: [0, 0],
        class_weights: { floats: [0.2, 0.9] },
        classlabels_int64s: [10, 20],
      }),
      node("ai.onnx.ml::ZipMap", ["scores"], ["maps"], { classlabels_int64s: [10, 20] }),
    ],
    outputs: { label: "i64[N]", maps: "seq(map(i64, f32))" },
  });
  const session = await InferenceSession.create(file, options);
  const x = new ort.Tensor("float32", Float32Array.of(0, 0, 0, 1), [2, 2]);
  const { label, maps } = await session.run({ x });
  expect([...(label!.data as BigInt64Array)]).toEqual([10n, 20n]);
  const scores = (maps as unknown as ReadonlyMap<number, number>[]).map((map) => map.get(20));
  expect(scores).toEqual([Math.fround(0.2), Math.fround(0.9)]);
  await session.release();
});

test("a map that goes in becomes a vector", async () => {
  const file = onnxFile({
    opset,
    inputs: { words: "map(string, f32)", cast: "map(i64, f32)" },
    nodes: [
      node("ai.onnx.ml::DictVectorizer", ["words"], ["v"], { string_vocabulary: ["a", "b", "c"] }),
      node("Mul", ["v", "v"], ["y"]),
      node("ai.onnx.ml::CastMap", ["cast"], ["dense"], {
        cast_to: "TO_FLOAT",
        map_form: "SPARSE",
        max_map: 4,
      }),
    ],
    outputs: { y: "f32[1, 3]", dense: "f32[1, 4]" },
  });
  const session = await InferenceSession.create(file, options);
  const { y, dense } = await session.run({
    words: new Map([
      ["c", 3],
      ["a", 2],
    ]),
    cast: new Map([[2, 7]]),
  });
  expect([...(y!.data as Float32Array)]).toEqual([4, 0, 9]);
  expect([...(dense!.data as Float32Array)]).toEqual([0, 0, 7, 0]);
  await expect(
    session.run({ words: new Map([[{}, 1]]) as never, cast: new Map() }),
  ).rejects.toThrow("L0602");
  await session.release();
});
