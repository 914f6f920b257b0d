/** Host regions by another runtime and by the references: the same numbers, and each says which way it went. */
import { describe, expect, it } from "vitest";
import { regionModel } from "../../src/compiler/to-onnx/region-model.js";
import { parseGraph } from "../../src/ir/text/parse.js";
import { printGraph } from "../../src/ir/text/print.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { evaluateHostGraph } from "../../src/ops/evaluate-node.js";
import type { HostValue } from "../../src/ops/record.js";
import { describeDifference } from "../../src/runtime/compare.js";
import { createHostRegion, type HostRegion } from "../../src/runtime/host-region.js";
import type { HostRuntime, HostRuntimeChoice } from "../../src/runtime/host-runtime.js";
import { onnxRuntimeHost } from "../../src/runtime/node/onnxruntime-host.js";
import { defaultRandomGraph, randomGraph } from "../support/random-graph.js";

const none = new Map<string, number>();

function regionOf(
  graph: Graph,
  choice: HostRuntimeChoice,
  load: () => Promise<HostRuntime | undefined> = onnxRuntimeHost,
): HostRegion {
  return createHostRegion(
    { kind: "host", graph, inputs: [], outputs: [], reason: "" },
    { choice, load },
  );
}

const types = {
  "the device's types": ["f32", "f32", "i32", "f16", "i8", "bool"],
  "wide types": ["f64", "i64", "f32", "u32", "i16", "bool", "u8"],
  "rare types": ["bf16", "f8e4m3fn", "f32", "i32", "u16"],
} as const;

describe.each(Object.entries(types))("random graphs of %s in ONNX Runtime", (_, dtypes) => {
  const taken = { count: 0 };
  for (let start = 0; start < 80; start += 20) {
    it(`seeds ${start} to ${start + 19}`, async () => {
      for (let seed = start; seed < start + 20; seed++) {
        const { graph, inputs } = randomGraph(seed, { ...defaultRandomGraph, dtypes, steps: 4 });
        const region = regionOf(graph, "onnxruntime");
        const results = await region.run(inputs, none);
        if (region.ran!.by === "ONNX Runtime") taken.count++;
        else
          expect(region.ran!.why).toMatch(
            /^(ONNX has no form of it|ONNX Runtime (declines|failed))/,
          );
        // Functions differ by units in the last place, which narrow types make large.
        const tolerance = { rtol: 2e-2, atol: 1e-3 };
        evaluateHostGraph(graph, inputs).forEach((wanted, i) => {
          const difference = describeDifference(results[i], wanted, tolerance);
          expect(difference, `seed ${seed}\n${printGraph(graph)}`).toBeUndefined();
        });
        await region.release();
      }
    });
  }

  it("went there in most cases", () => expect(taken.count).toBeGreaterThan(50));
});

/** y = x * x in int64, which only the host has. */
const squares = parseGraph(`
graph "g"
symbol N in 1..100000
input %x: i64[N]
%y: i64[N] = map(%x) program={ r0 = input.i32 0; r1 = mulI r0 r0; return r1 } // Mul "n"
output "y" = %y
`);

function counting(length: number): ReadonlyMap<string, HostValue> {
  const data = BigInt64Array.from({ length }, (_, i) => BigInt(i));
  return new Map([["x", { dtype: "i64", shape: [length], data }]]);
}

/** A runtime that squares, and counts. */
function squaring(calls: string[], change: Partial<HostRuntime> = {}): HostRuntime {
  return {
    name: "Other",
    create: () => {
      calls.push("create");
      return Promise.resolve({
        outputs: new Map([[nameOfResult(), "i64"]]),
        run: (inputs) => {
          calls.push("run");
          const [x] = [...inputs.values()] as [Tensor];
          const data = (x.data as BigInt64Array).map((value) => value * value);
          return Promise.resolve(new Map([[nameOfResult(), { ...x, data }]]));
        },
        release: () => {
          calls.push("release");
          return Promise.resolve();
        },
      });
    },
    ...change,
  };
}

function nameOfResult(): string {
  const model = regionModel(squares);
  return model.kind === "model" ? model.outputs[0]!.name : "";
}

async function outcome(region: HostRegion, length: number) {
  const [y] = (await region.run(counting(length), none)) as [Tensor];
  expect(y.data.at(-1)).toBe(BigInt(length - 1) ** 2n);
  const { by, why } = region.ran!;
  return why === undefined ? by : `${by}: ${why}`;
}

describe("who runs a region", () => {
  it("is ONNX Runtime, for any extent of an open dim", async () => {
    const region = regionOf(squares, "onnxruntime");
    expect(await outcome(region, 3)).toBe("ONNX Runtime");
    expect(await outcome(region, 300)).toBe("ONNX Runtime");
  });

  it("is nobody else where that is asked for", async () => {
    expect(await outcome(regionOf(squares, "reference"), 9)).toBe("reference");
  });

  it("is another runtime where the region is worth it, by a session that is made once", async () => {
    const calls: string[] = [];
    const region = regionOf(squares, "auto", () => Promise.resolve(squaring(calls)));
    expect(await outcome(region, 9)).toBe("reference: it is too small to be handed over");
    expect(calls).toEqual([]);
    expect(await outcome(region, 20_000)).toBe("Other");
    expect(await outcome(region, 30_000)).toBe("Other");
    await region.release();
    expect(calls).toEqual(["create", "run", "run", "release"]);
  });

  it("is the reference where there is no other", async () => {
    const region = regionOf(squares, "onnxruntime", () => Promise.resolve(undefined));
    expect(await outcome(region, 9)).toBe("reference: no other runtime is installed");
  });

  it("is the reference where the other declines, which is asked once", async () => {
    const calls: string[] = [];
    const create = () => {
      calls.push("create");
      return Promise.reject(new Error("no Mul here\nat line 7"));
    };
    const load = () => Promise.resolve(squaring(calls, { create }));
    const region = regionOf(squares, "onnxruntime", load);
    const declined = "reference: Other declines it: no Mul here";
    expect([await outcome(region, 9), await outcome(region, 5)]).toEqual([declined, declined]);
    expect(calls).toEqual(["create"]);
  });

  it("is the reference once the other fails where it should not", async () => {
    const calls: string[] = [];
    const other = squaring(calls);
    const create: HostRuntime["create"] = async (bytes) => ({
      ...(await other.create(bytes)),
      run: () => Promise.reject(new Error("only odd sizes")),
    });
    const region = regionOf(squares, "onnxruntime", () => Promise.resolve({ ...other, create }));
    const failed = "reference: Other failed to run it: only odd sizes";
    expect([await outcome(region, 8), await outcome(region, 8)]).toEqual([failed, failed]);
    expect(calls).toEqual(["create", "release"]);
  });

  it("says in our words what is wrong with the inputs, and keeps the session", async () => {
    const graph = parseGraph(`
graph "g"
input %x: f64[3]
input %i: i64[2]
%y: f64[2] = gather(%x, %i) axis=0 // Gather "pick"
output "y" = %y
`);
    const inputs = (second: bigint) =>
      new Map<string, HostValue>([
        ["x", { dtype: "f64", shape: [3], data: Float64Array.of(1, 2, 3) }],
        ["i", { dtype: "i64", shape: [2], data: BigInt64Array.of(0n, second) }],
      ]);
    const region = regionOf(graph, "onnxruntime");
    await expect(region.run(inputs(7n), none)).rejects.toMatchObject({
      diagnostics: [
        { code: "L0604", notes: [expect.stringMatching(/ONNX Runtime failed.*'pick'/)] },
      ],
    });
    const [y] = await region.run(inputs(-1n), none);
    expect(y).toEqual({ dtype: "f64", shape: [2], data: Float64Array.of(1, 3) });
    expect(region.ran!.by).toBe("ONNX Runtime");
  });
});

describe("regions that stay here", () => {
  const reason = (text: string) => {
    const model = regionModel(parseGraph(text));
    return model.kind === "none" ? model.reason : "written";
  };
  const host = (operator: string, types: string) => `
graph "g"
input %x: ${types.split(" ")[0]}[3]
%y: ${types.split(" ")[1]}[3] = host(%x) operator="${operator}" node="n" domain="" opset=21 inputs=["x"] outputs=["y"] reason="" attributes=[]
output "y" = %y
`;

  it.each([
    ["draw at random", host("Bernoulli", "f32 f32"), "values drawn at random"],
    ["write floats as text", host("Cast", "f32 string"), "the text of floats"],
    ["have narrow integers at the border", host("Identity", "i2 i2"), "values of type i2"],
    ["read strings alone are written", host("Identity", "string string"), "written"],
  ])("%s", (_, text, expected) => expect(reason(text)).toContain(expected));
});

it("floats that other runtimes do not exchange travel as fp32", async () => {
  const graph = parseGraph(`
graph "g"
input %x: bf16[3]
%y: bf16[3] = map(%x) program={ r0 = input.f32 0; r1 = add r0 r0; return r1 }
output "y" = %y
`);
  const x: Tensor = { dtype: "bf16", shape: [3], data: Uint16Array.of(0x3f80, 0xc000, 0x7f80) };
  const region = regionOf(graph, "onnxruntime");
  expect(await region.run(new Map([["x", x]]), none)).toEqual([
    { dtype: "bf16", shape: [3], data: Uint16Array.of(0x4000, 0xc080, 0x7f80) },
  ]);
  expect(region.ran!.by).toBe("ONNX Runtime");
});
