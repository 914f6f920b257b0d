/** Every command as a user calls it: what it prints, its exit code, and what it says of mistakes. */
import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../../src/cli/command-line.js";
import { stageNames } from "../../src/compiler/pipeline.js";
import { readElf } from "../../src/isa/elf.js";
import { loadValueFile } from "../../src/runtime/node/model-file.js";
import { encodeNpy } from "../../src/runtime/npy.js";
import { tensorToProto } from "../../src/onnx/tensor.js";
import { tensorSchema } from "../../src/onnx/schema.js";
import { encodeMessage } from "../../src/onnx/wire.js";
import { f32, node, onnxFile } from "../support/onnx-builder.js";

let folder = "";
const at = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lightloom-"));
  process.env["LIGHTLOOM_CACHE"] = at("cache");
  const model = onnxFile({
    inputs: { x: "f32[N, 3]" },
    nodes: [node("Mul", ["x", "x"], ["y"], {}, "square")],
    outputs: { y: "f32[N, 3]" },
  });
  writeFileSync(at("model.onnx"), model);
  writeFileSync(at("x.npy"), encodeNpy(f32([2, 3], [1, 2, 3, 4, 5, 6])));
  const set = at("case/test_data_set_0");
  mkdirSync(set, { recursive: true });
  writeFileSync(at("case/model.onnx"), model);
  const pb = (values: readonly number[]) =>
    encodeMessage(tensorSchema, tensorToProto(f32([1, 3], values)));
  writeFileSync(join(set, "input_0.pb"), pb([1, 2, 3]));
  writeFileSync(join(set, "output_0.pb"), pb([1, 4, 9]));
  const wrong = at("wrong/test_data_set_0");
  mkdirSync(wrong, { recursive: true });
  writeFileSync(at("wrong/model.onnx"), model);
  writeFileSync(join(wrong, "input_0.pb"), pb([1, 2, 3]));
  writeFileSync(join(wrong, "output_0.pb"), pb([1, 4, 8]));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  process.exitCode = 0;
});

interface TraceEvent {
  readonly ph: "M" | "X";
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: { readonly name?: string };
}

interface Called {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function call(...argv: string[]): Promise<Called> {
  let [out, err] = ["", ""];
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text;
    return true;
  });
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += text;
    return true;
  });
  try {
    const code = await runCommandLine(argv);
    return { code, out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

describe("run", () => {
  test("shows the outputs", async () => {
    const { code, out } = await call(
      "run",
      at("model.onnx"),
      "-m",
      "mini",
      "-i",
      `x=${at("x.npy")}`,
    );
    expect(code).toBe(0);
    expect(out).toMatch(/y +float32 +\[2, 3\] +1 +36 +largest at 2 2/);
    expect(out).toMatch("ran on the accelerator of mini");
  });

  test("makes inputs up and says so", async () => {
    const { code, err, out } = await call("run", at("model.onnx"), "-d", "N=4", "--json");
    expect(code).toBe(0);
    expect(err).toMatch('input "x" is made up: f32 [4, 3]');
    expect(JSON.parse(out)).toMatchObject({
      ranOn: "accelerator",
      outputs: [{ name: "y", type: "float32", shape: [4, 3] }],
    });
  });

  test("writes outputs", async () => {
    const args = ["run", at("model.onnx"), "-m", "mini", "-i", `x=${at("x.npy")}`, "-o"];
    expect((await call(...args, `y=${at("y.pb")}`)).code).toBe(0);
    const squares = f32([2, 3], [1, 4, 9, 16, 25, 36]);
    expect(loadValueFile(at("y.pb"))).toEqual(squares);
    expect((await call(...args, `y=${at("out/y.npy")}`)).code).toBe(0);
    expect(loadValueFile(at("out/y.npy"))).toEqual(squares);
  });

  test.each([
    ["z=z.npy", /L0601.*no output "z"/],
    ["y=y.txt", /L0901.*written to \.npy and \.pb files\n +file: y\.txt/],
    ["y", /L0901.*name=file/],
  ])("refuses to write %s", async (pair, message) => {
    const { code, err } = await call("run", at("model.onnx"), "-m", "mini", "-o", pair);
    expect(code).not.toBe(0);
    expect(err).toMatch(message);
  });

  test("keeps the program", async () => {
    const args = ["run", at("model.onnx"), "-m", "mini", "-d", "N=9"];
    expect((await call(...args)).out).toMatch("compiled in");
    expect((await call(...args)).out).toMatch("loaded from the cache in");
    expect((await call(...args, "--no-cache")).out).toMatch("compiled in");
  });
});

test("run takes a number of threads", async () => {
  const args = ["run", at("model.onnx"), "-m", "mini", "-d", "N=9", "--threads"];
  expect((await call(...args, "2")).code).toBe(0);
  expect(await call(...args, "none")).toMatchObject({ code: 2 });
});

describe("test", () => {
  test("passes and fails", async () => {
    const { code, out } = await call("test", at("case"), at("wrong"), "-m", "mini", "--json");
    expect(code).toBe(1);
    const { totals, records } = JSON.parse(out);
    expect(totals).toMatchObject({ pass: 1, fail: 1, error: 0, accelerator: 2 });
    expect(records).toMatchObject([
      { name: "case/test_data_set_0", verdict: "pass", worstRelativeError: 0 },
      { name: "wrong/test_data_set_0", verdict: "fail", worstRelativeError: 1 / 8 },
    ]);
  });

  test("as a table", async () => {
    const { code, out } = await call("test", folder, "-f", "^case", "-m", "mini");
    expect(code).toBe(0);
    expect(out).toMatch(/case\/test_data_set_0 +pass +accelerator +0.0e\+0/);
    expect(out).toMatch("1 pass, 0 fail, 0 refused, 0 error; ran on the accelerator 1");
  });

  test("a case that throws is a record", async () => {
    const set = at("broken/test_data_set_0");
    mkdirSync(set, { recursive: true });
    writeFileSync(at("broken/model.onnx"), "no model");
    writeFileSync(join(set, "input_0.pb"), "");
    const { code, out } = await call("test", at("broken"), "--json");
    expect(code).toBe(1);
    expect(JSON.parse(out).records).toMatchObject([
      { verdict: "error", reason: expect.stringContaining("L0102") },
    ]);
  });

  test("tolerance", async () => {
    expect((await call("test", at("wrong"), "--tolerance", "0.2", "-m", "mini")).code).toBe(0);
    expect((await call("test", at("wrong"), "--tolerance", "x")).code).toBe(2);
  });
});

describe("compile, disasm, asm", () => {
  test("writes an executable that reads back", async () => {
    const file = at("model.elf");
    const { code, out } = await call("compile", at("model.onnx"), "-d", "N=1..64", "-o", file);
    expect(code).toBe(0);
    expect(out).toMatch(/open dims +N=1..64/);
    expect(readElf(readFileSync(file)).programs).toHaveLength(1);
    const text = (await call("disasm", file)).out;
    expect(text).toMatch('Mul "square"');
    const source = at("square.s");
    writeFileSync(source, text);
    const ran = await call("asm", source, "--run", "--scalars", "6", "--engine", "reference");
    expect(ran.out).toMatch("0 1 4 9 16 25");
    expect(ran.code).toBe(0);
  });

  test("prints, stops and dumps", async () => {
    const graph = await call("compile", at("model.onnx"), "-d", "N=1", "--stop-after", "import");
    expect(graph.out).toMatch("input %x: f32[1, 3]");
    const dumps = at("dumps");
    await call("compile", at("model.onnx"), "-d", "N=1", "--dump-dir", dumps, "--time-passes");
    expect(readdirSync(dumps)).toHaveLength(stageNames.length);
    const bad = await call("compile", at("model.onnx"), "--print-after", "emti");
    expect(bad.code).toBe(2);
    expect(bad.err).toMatch('Did you mean "emit"?');
  });

  test("an open dim without a value is explained", async () => {
    const { code, err } = await call("compile", at("model.onnx"));
    expect(code).toBe(1);
    expect(err).toMatch("hint: bind with --dim N=1, or give a range: --dim N=1..64");
  });
});

describe("report, bench", () => {
  test("a report", async () => {
    const { code, out } = await call("report", at("model.onnx"), "-m", "mini", "-d", "N=4");
    expect(code).toBe(0);
    expect(out).toMatch("mul");
    const json = JSON.parse((await call("report", at("model.onnx"), "-d", "N=4", "--json")).out);
    expect(json.kernels).toHaveLength(1);
    expect(json.support.counts.device).toBe(1);
  });

  test("what a lower precision costs", async () => {
    const product = onnxFile({
      inputs: { x: "f32[4, 64]", w: "f32[64, 8]" },
      nodes: [node("MatMul", ["x", "w"], ["y"])],
      outputs: { y: "f32[4, 8]" },
    });
    writeFileSync(at("product.onnx"), product);
    const args = ["report", at("product.onnx"), "-m", "mini"];
    expect((await call(...args)).out).not.toMatch("Accuracy");
    expect((await call(...args, "-p", "bf16")).out).toMatch(/^y: worst \d\.\de-3 of the largest/m);
    const json = JSON.parse((await call(...args, "-p", "bf16", "--json")).out);
    expect(json.accuracy).toMatchObject([{ output: "y", rows: 4 }]);
    expect(json.accuracy[0].worstRelative).toBeGreaterThan(0);
  });

  test("only where every node runs", async () => {
    const args = ["report", at("model.onnx"), "-m", "mini", "-d", "N=4", "--support"];
    const { code, out } = await call(...args);
    expect(code).toBe(0);
    expect(out).toMatch(/^square +Mul +accelerator +mul/m);
    expect(out).not.toMatch("cycles");
    expect(JSON.parse((await call(...args, "--json")).out)).toMatchObject({
      nodes: [{ node: "square", operator: "Mul", where: "device" }],
      counts: { device: 1, host: 0, both: 0, absorbed: 0 },
    });
  });

  test("a trace: one track per engine and channel that works", async () => {
    const file = at("traces/model.json");
    const args = ["report", at("model.onnx"), "-m", "mini", "-d", "N=4", "--trace"];
    expect((await call(...args, file)).code).toBe(0);
    expect(readdirSync(at("traces"))).toEqual(["model.json"]);
    const { traceEvents } = JSON.parse(readFileSync(file, "utf8")) as { traceEvents: TraceEvent[] };
    const tracks = traceEvents.filter(({ name }) => name === "thread_name");
    expect(tracks.map(({ args: { name } }) => name)).toEqual(["load.0", "vector", "store.0"]);
    for (const { ph, pid, tid, ts, dur } of traceEvents) {
      if (ph !== "X") continue;
      expect(dur).toBeGreaterThanOrEqual(0);
      expect(ts).toBeGreaterThanOrEqual(0);
      if (pid > 0)
        expect(tracks.some((track) => track.pid === pid && track.tid === tid)).toBe(true);
    }
    // A folder cannot become a file: coded, and nothing is left behind.
    const failed = await call(...args, at("traces"));
    expect(failed.err).toMatch("L0101: the file cannot be written");
    expect(readdirSync(folder).filter((name) => name.startsWith("traces"))).toEqual(["traces"]);
    expect(failed.code).toBe(2);
  });

  test("a benchmark", async () => {
    const { code, out } = await call("bench", at("model.onnx"), "-n", "2", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ machine: "pf1", deviceCycles: expect.any(Number) });
    expect((await call("bench", at("model.onnx"), "-n", "0")).code).toBe(2);
  });
});

describe("bisect", () => {
  test("nothing is wrong: 0", async () => {
    const { code, out } = await call("bisect", at("model.onnx"), at("case"), "-m", "mini");
    expect(code).toBe(0);
    expect(out).toMatch(/right +operator[\s\S]*right +schedule[\s\S]*nothing is wrong/);
  });

  test("something is: 1, and it says what", async () => {
    const set = at("wrong/test_data_set_0");
    const { code, out } = await call("bisect", at("model.onnx"), set, "-m", "mini", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject([
      {
        set,
        checked: ["operator"],
        finding: {
          level: "operator",
          nodes: [{ node: "square", operator: "Mul" }],
          difference: { tensor: "y", index: [0, 2], expected: 8, got: 9 },
        },
      },
    ]);
    const alone = await call("bisect", at("model.onnx"), set, "-m", "mini", "--no-host");
    expect(alone.out).toMatch('ONNX node: Mul "square"\n"y" at [0, 2] is 9, not 8');
  });

  test("no test data, or that of another model: 2", async () => {
    writeFileSync(
      at("pair.onnx"),
      onnxFile({
        inputs: { x: "f32[1, 3]", z: "f32[1, 3]" },
        nodes: [node("Add", ["x", "z"], ["y"])],
        outputs: { y: "f32[1, 3]" },
      }),
    );
    const other = await call("bisect", at("pair.onnx"), at("case"));
    expect([other.code, other.err]).toEqual([2, expect.stringMatching(/^L0603: .*"z"/)]);
    expect((await call("bisect", at("model.onnx"), at("cache"))).code).toBe(2);
    expect((await call("bisect", at("model.onnx"))).code).toBe(2);
    expect((await call("bisect", "--help")).out).toMatch("Exit code 0: nothing is wrong");
  });
});

describe("lists", () => {
  test.each(["machines", "ops", "passes"])("%s", async (name) => {
    const table = await call(name);
    expect(table.code).toBe(0);
    const json = JSON.parse((await call(name, "--json")).out) as unknown[];
    expect(table.out.trimEnd().split("\n")).toHaveLength(json.length + 1);
  });
});

describe("mistakes", () => {
  test("of usage give 2", async () => {
    expect((await call("nothing")).code).toBe(2);
    expect((await call("run", "--nothing")).code).toBe(2);
    expect((await call("run", at("missing.onnx"))).code).toBe(2);
    expect((await call("run", at("model.onnx"), "-m", "pf2")).code).toBe(2);
    expect((await call("run", at("model.onnx"), "-d", "N")).code).toBe(2);
    expect((await call("run", at("model.onnx"), "-i", "z=z.npy")).err).toMatch("L0601");
  });

  test("of usage have a code, whoever finds them", async () => {
    expect((await call("run", "--threads", "abc")).err).toMatch(/^L0901: option .*'abc'/);
    expect((await call("nothing")).err).toMatch("L0901: unknown command");
    expect((await call("ops", "Conw")).err).toMatch(/^L0901: .*\n {2}hint: Did you mean "Conv"/);
    const unmade = await call("compile", at("model.onnx"), "--stop-after", "tile", "-o", at("no"));
    expect(unmade.err).toMatch("L0901: --stop-after tile makes no executable");
  });

  test.each([
    ["--output", "x.npy/model.elf", "there is a file where a folder is needed"],
    ["--output", "case", "there is a folder where a file is needed"],
    ["--dump-dir", "x.npy", "there is a file where a folder is needed"],
  ])("%s %s is no place to write to", async (option, path, why) => {
    const before = readdirSync(folder);
    const { code, err } = await call("compile", at("model.onnx"), "-d", "N=2", option, at(path));
    expect(code).toBe(2);
    expect(err).toMatch(`L0101: the file cannot be written: ${why}`);
    expect(readdirSync(folder)).toEqual(before);
  });

  test("of a file's contents name the file", async () => {
    const cycle = [node("Neg", ["b"], ["a"]), node("Neg", ["a"], ["b"])];
    writeFileSync(at("cycle.onnx"), onnxFile({ nodes: cycle, outputs: { a: "f32[1]" } }));
    expect((await call("run", at("cycle.onnx"))).err).toMatch("cycle.onnx");
    expect((await call("disasm", at("x.npy"))).err).toMatch(/^L0502: .*\n {2}file: .*x.npy/);
    expect((await call("asm", at("x.npy"))).err).toMatch(/^L0503: .*\n {2}file: .*x.npy/);
  });

  test("that ask for inputs larger than can be made up are found at once", async () => {
    const { err } = await call("run", at("model.onnx"), "-d", "N=9000000000");
    expect(err).toMatch("L0402: no value of shape [9000000000, 3] can be made up");
  });

  test("of the work give 1, without a stack", async () => {
    const { code, err } = await call("run", at("x.npy"));
    expect(code).toBe(1);
    expect(err).toMatch(/^L0102: /);
    expect(err).not.toMatch(/\n\s+at /);
  });

  test("help is no mistake", async () => {
    expect((await call("--help")).code).toBe(0);
    expect((await call("test", "--help")).out).toMatch("--tolerance");
  });
});
