import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import { optionalSchema, sequenceSchema, tensorSchema } from "../../src/onnx/schema.js";
import { tensorToProto } from "../../src/onnx/tensor.js";
import { encodeMessage } from "../../src/onnx/wire.js";
import type { FileSource } from "../../src/runtime/files.js";
import { externalDataBeside } from "../../src/runtime/node/external-data.js";
import { openFiles, readFileBytes } from "../../src/runtime/node/files.js";
import { loadModelFile, loadValueFile } from "../../src/runtime/node/model-file.js";
import { decodeNpy, encodeNpy } from "../../src/runtime/npy.js";
import { tarFiles } from "../../src/runtime/tar.js";
import { findTestCases, readTestModel, readTestSet } from "../../src/runtime/test-case.js";
import { f32, i64, node, onnxFile } from "../support/onnx-builder.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lightloom-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const text = (s: string) => new TextEncoder().encode(s);
const at = (...names: string[]) => join(folder, ...names);

describe("files", () => {
  test("are read whole", () => {
    writeFileSync(at("a"), "abc");
    expect(readFileBytes(at("a"))).toEqual(text("abc"));
  });

  test("that are missing or folders are L0101", () => {
    expect(() => readFileBytes(at("none"))).toThrow(
      "L0101: the file cannot be read: it does not exist",
    );
    expect(() => readFileBytes(folder)).toThrow("L0101: this is not a file");
  });

  test("of a folder are listed with their paths", () => {
    mkdirSync(at("x", "y"), { recursive: true });
    writeFileSync(at("x", "y", "f"), "1");
    writeFileSync(at("g"), "2");
    const source = openFiles(folder);
    expect(source.paths).toEqual(["g", "x/y/f"]);
    expect(source.read("x/y/f")).toEqual(text("1"));
  });
});

describe("external data", () => {
  const read = (location: string, offset = 0, length?: number) =>
    externalDataBeside(at("model", "m.onnx")).read(location, offset, length);
  beforeEach(() => {
    mkdirSync(at("model", "sub"), { recursive: true });
    writeFileSync(at("model", "w.bin"), "0123456789");
    writeFileSync(at("model", "sub", "v.bin"), "abc");
    writeFileSync(at("secret"), "secret");
  });

  test("is read by range", () => {
    expect(read("w.bin", 2, 3)).toEqual(text("234"));
    expect(read("w.bin", 8)).toEqual(text("89"));
    expect(read("w.bin", 10, 0)).toEqual(text(""));
    expect(read("sub/v.bin")).toEqual(text("abc"));
  });

  test("outside the file is refused", () => {
    expect(() => read("w.bin", 8, 3)).toThrow("bytes 8 to 11 lie outside its 10 bytes");
    expect(() => read("w.bin", 11)).toThrow("L0106");
    expect(() => read("w.bin", 0, Number.MAX_SAFE_INTEGER)).toThrow("L0106");
  });

  test("outside the folder is refused", () => {
    expect(() => read("../secret")).toThrow("it leaves the model's folder");
  });

  test("through links is refused", () => {
    symlinkSync(at("secret"), at("model", "link"));
    symlinkSync(folder, at("model", "up"));
    linkSync(at("secret"), at("model", "hard"));
    expect(() => read("link")).toThrow("symbolic link");
    expect(() => read("up/secret")).toThrow("symbolic link");
    expect(() => read("hard")).toThrow("second name");
  });

  test("in a model folder that is itself a link is fine", () => {
    symlinkSync(at("model"), at("alias"));
    expect(externalDataBeside(at("alias", "m.onnx")).read("w.bin", 0, 1)).toEqual(text("0"));
  });

  test("that is missing or a folder is refused", () => {
    expect(() => read("none")).toThrow("it does not exist");
    expect(() => read("sub")).toThrow("this is not a file");
  });

  test("that is a pipe is refused, not waited for", () => {
    execFileSync("mkfifo", [at("model", "pipe")]);
    expect(() => read("pipe")).toThrow("this is not a file");
  });

  test("beyond 4 GiB is reached", () => {
    truncateSync(at("model", "w.bin"), 5 * 2 ** 30);
    expect(read("w.bin", 5 * 2 ** 30 - 2, 2)).toEqual(new Uint8Array(2));
  });
});

test("a model file comes with its external data", () => {
  writeFileSync(
    at("m.onnx"),
    onnxFile({
      inputs: { x: "f32" },
      nodes: [node("Relu", ["x"], ["y"])],
      outputs: { y: "f32" },
    }),
  );
  writeFileSync(at("w"), "x");
  const { model, externalData } = loadModelFile(at("m.onnx"));
  expect(model.graph.node).toHaveLength(1);
  expect(externalData.read("w", 0, 1)).toEqual(text("x"));
});

describe("npy", () => {
  const tensors: Tensor[] = [
    f32([2, 3], [1, 2, 3, 4, 5, 6]),
    i64([2], [-1, 7]),
    f32([], [0.5]),
    f32([0, 4], []),
    { dtype: "bool", shape: [2], data: Uint8Array.of(0, 1) },
    { dtype: "f16", shape: [1], data: Uint16Array.of(0x3c00) },
  ];
  test.each(tensors.map((t) => [`${t.dtype}[${t.shape}]`, t] as const))("%s round trip", (_, t) => {
    expect(decodeNpy(encodeNpy(t))).toEqual(t);
  });

  const npy = (header: string, data: Uint8Array) => {
    const head = `${header}\n`;
    return Uint8Array.of(
      ...text("x"),
      ...text("NUMPY"),
      1,
      0,
      head.length,
      0,
      ...text(head),
      ...data,
    ).with(0, 0x93);
  };

  test("in Fortran order and big-endian", () => {
    const columns = new Uint8Array(Int16Array.of(1, 4, 2, 5, 3, 6).buffer);
    const fortran = npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}", columns);
    expect(decodeNpy(fortran)).toEqual({
      dtype: "i16",
      shape: [2, 3],
      data: Int16Array.of(1, 2, 3, 4, 5, 6),
    });
    const big = npy("{'descr': '>i2', 'fortran_order': False, 'shape': (1,)}", Uint8Array.of(1, 2));
    expect(decodeNpy(big).data).toEqual(Int16Array.of(258));
  });

  test("that is something else is refused", () => {
    expect(() => decodeNpy(text("hello, this is no array"))).toThrow("has no NumPy header");
    const text4 = npy(
      "{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}",
      new Uint8Array(16),
    );
    expect(() => decodeNpy(text4)).toThrow("element type U4");
    const short = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9,)}", new Uint8Array(4));
    expect(() => decodeNpy(short)).toThrow("ends too early");
  });

  test("and pb files are values", () => {
    writeFileSync(at("x.npy"), encodeNpy(f32([1], [2])));
    writeFileSync(at("x.pb"), encodeMessage(tensorSchema, tensorToProto(f32([1], [3]), "x")));
    expect(loadValueFile(at("x.npy"))).toEqual(f32([1], [2]));
    expect(loadValueFile(at("x.pb"))).toEqual(f32([1], [3]));
    expect(() => loadValueFile(at("x.txt"))).toThrow("L0602");
  });
});

/** One ustar entry; `type` "0" is a file. */
function tarEntry(name: string, content: Uint8Array, type = "0"): Uint8Array {
  const header = new Uint8Array(512);
  header.set(text(name).subarray(0, 100));
  header.set(text(content.length.toString(8).padStart(11, "0")), 124);
  header.set(text(type), 156);
  header.set(text("ustar\u000000"), 257);
  header.fill(32, 148, 156);
  const sum = header.reduce((a, b) => a + b, 0);
  header.set(text(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  const padded = new Uint8Array(Math.ceil(content.length / 512) * 512);
  padded.set(content);
  return Uint8Array.of(...header, ...padded);
}

function archive(...entries: Uint8Array[]): Uint8Array {
  return Uint8Array.of(...entries.flatMap((e) => [...e]), ...new Uint8Array(1024));
}

describe("tar", () => {
  test("files, folders, long names of both kinds", () => {
    const long = `${"d/".repeat(80)}file`;
    const pax = `path=${long}2\n`;
    const source = tarFiles(
      archive(
        tarEntry("a/", new Uint8Array(0), "5"),
        tarEntry("./a/b", text("hello")),
        tarEntry("././@LongLink", text(`${long}\0`), "L"),
        tarEntry(long, text("1")),
        tarEntry("pax", text(`${pax.length + 4} ${pax}`), "x"),
        tarEntry("short", text("2")),
        tarEntry("c", text("3")),
      ),
    );
    expect(source.paths).toEqual(["a/b", long, `${long}2`, "c"]);
    expect(source.read("a/b")).toEqual(text("hello"));
    expect(source.read(`${long}2`)).toEqual(text("2"));
    expect(() => source.read("none")).toThrow("L0101");
  });

  test("damage is seen", () => {
    const whole = archive(tarEntry("a", text("hello")));
    expect(() => tarFiles(whole.with(0, 66))).toThrow("checksum");
    expect(() => tarFiles(whole.subarray(0, 512))).toThrow("ends too early");
  });

  test("is read through gzip", () => {
    writeFileSync(at("t.tar.gz"), gzipSync(archive(tarEntry("a", text("1")))));
    expect(openFiles(at("t.tar.gz")).paths).toEqual(["a"]);
    writeFileSync(at("bad.tgz"), "no gzip");
    expect(() => openFiles(at("bad.tgz"))).toThrow("L0101");
  });
});

describe("test directories", () => {
  const pb = (tensor: Tensor, name?: string) =>
    encodeMessage(tensorSchema, tensorToProto(tensor, name));
  const source = (files: Record<string, Uint8Array>): FileSource => ({
    paths: Object.keys(files),
    read: (path) => files[path]!,
  });
  const model = onnxFile({
    inputs: { x: "f32[1]", w: "f32[1]", y: "f32[1]", s: "seq(f32[1])", o: "opt(f32[1])" },
    nodes: [node("Sum", ["x", "w", "y"], ["z"])],
    initializers: { w: f32([1], [9]) },
    outputs: { z: "f32[1]" },
  });

  test("are found, sorted by number", () => {
    const files = source({
      "b/model.onnx": model,
      "b/test_data_set_10/input_0.pb": pb(f32([1], [1])),
      "b/test_data_set_2/output_0.pb": pb(f32([1], [1])),
      "b/test_data_set_2/input_1.pb": pb(f32([1], [1])),
      "a/net.onnx": model,
      "a/test_data_set_0/input_0.pb": pb(f32([1], [1])),
      "c/model.onnx": model,
      README: text(""),
    });
    const cases = findTestCases(files);
    expect(cases.map((c) => [c.path, c.modelPath, c.sets.map((s) => s.path)])).toEqual([
      ["a", "a/net.onnx", ["a/test_data_set_0"]],
      ["b", "b/model.onnx", ["b/test_data_set_2", "b/test_data_set_10"]],
    ]);
  });

  test("match tensors by name, else by position among the inputs without initializer", () => {
    const sequence = encodeMessage(sequenceSchema, {
      elemType: 1,
      tensorValues: [tensorToProto(f32([1], [5]))],
    });
    const files = source({
      "model.onnx": model,
      "test_data_set_0/input_0.pb": pb(f32([1], [1]), "y"),
      "test_data_set_0/input_1.pb": pb(f32([1], [2]), "w"),
      "test_data_set_0/input_2.pb": sequence,
      "test_data_set_0/input_3.pb": encodeMessage(optionalSchema, { elemType: 1 }),
      "test_data_set_0/output_0.pb": pb(f32([1], [3])),
      "test_data_set_1/input_1.pb": pb(f32([1], [4])),
    });
    const [test] = findTestCases(files);
    const read = readTestModel(files, test!);
    const first = readTestSet(files, read, test!.sets[0]!);
    expect([...first.inputs]).toEqual([
      ["y", f32([1], [1])],
      ["w", f32([1], [2])],
      ["s", { kind: "sequence", elementType: "f32", items: [f32([1], [5])] }],
      ["o", { kind: "optional", item: undefined }],
    ]);
    expect([...first.outputs]).toEqual([["z", f32([1], [3])]]);
    expect([...readTestSet(files, read, test!.sets[1]!).inputs]).toEqual([["y", f32([1], [4])]]);
  });
});
