import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dimAdd, symbolDim } from "../../src/ir/dim.js";
import type { Graph } from "../../src/ir/graph.js";
import type { OnnxNode, SubgraphTemplate } from "../../src/ir/onnx-node.js";
import { assemble } from "../../src/isa/assemble.js";
import { readElf, writeElf } from "../../src/isa/elf.js";
import type { SubgraphCodec } from "../../src/isa/elf-host.js";
import type { Executable } from "../../src/isa/executable.js";
import { randomGraph } from "../support/random-graph.js";

const read = (name: string) =>
  readFileSync(new URL(`../cases/accepted/${name}`, import.meta.url), "utf8");

const tokens = { name: "T", min: 1, max: 64, multipleOf: 1 };

function hostGraph(template?: SubgraphTemplate): Graph {
  const [x, y] = ["x", "y"].map((name) => ({ name, dtype: "f32" as const, shape: [40] }));
  const data = Float32Array.from({ length: 40 }, (_, i) => (i === 3 ? -0 : i / 7));
  const constant = { name: "c", dtype: "f32" as const, shape: [40] };
  const attributes = new Map<
    string,
    OnnxNode["attributes"] extends ReadonlyMap<string, infer A> ? A : never
  >();
  if (template !== undefined) attributes.set("body", { kind: "graph", value: template });
  const node: OnnxNode = {
    name: "n",
    operator: "Loop",
    domain: "",
    opset: 17,
    attributes,
    inputNames: ["x", "c"],
    outputNames: ["y"],
  };
  const tensor = { dtype: "f32" as const, shape: [40], data };
  return {
    name: "host",
    symbols: [],
    inputs: [x!],
    outputs: [{ name: "y", value: y! }],
    nodes: [
      {
        op: { kind: "host", node, reason: "no lowering" },
        inputs: [x!, { ...constant, data: tensor }],
        outputs: [y!],
        origins: [{ node: "loop 1", operator: "Loop" }],
      },
    ],
  };
}

function executable(graphs: readonly Graph[]): Executable {
  const length = symbolDim(tokens);
  const device = { where: "device", buffer: 0, offset: 4, dtype: "f32", strides: [1] } as const;
  return {
    name: "tiny é",
    machine: { name: "mini", hash: "0123" },
    symbols: [tokens],
    programs: ["gemm-resident.s", "attention-causal.s"].map((name) => assemble(read(name))),
    buffers: [
      {
        name: "x",
        dtype: "f32",
        elements: 64,
        offsetBytes: 0,
        sizeBytes: 256,
        kind: "constant",
        constantOffset: 0,
      },
    ],
    memoryBytes: 256,
    constants: Uint8Array.from({ length: 100 }, (_, i) => i),
    inputs: [
      { name: "in", dtype: "i64", shape: [length, 3], location: { where: "host", slot: 0 } },
    ],
    later: [3, 1],
    boundInputs: [
      {
        name: "sizes",
        value: { dtype: "i64", shape: [2], data: BigInt64Array.of(-1n, 2n ** 60n) },
      },
    ],
    outputs: [
      { name: "out", dtype: "f32", shape: [length], location: { ...device, shape: [length] } },
    ],
    steps: [
      {
        kind: "launch",
        program: 1,
        bindings: [{ buffer: 0, offset: 0 }],
        scalars: [dimAdd(length, 7), 3],
        origins: [[{ node: "MatMul_6", operator: "MatMul" }], []],
        plan: "tile 64 x 64",
      },
      {
        kind: "copy",
        from: { ...device, shape: [length] },
        to: { where: "host", slot: 1 },
        dtype: "f32",
      },
      ...graphs.map((graph) => ({
        kind: "host" as const,
        graph,
        inputs: [{ name: "x", slot: 1 }],
        outputs: [{ name: "y", slot: 2 }],
        reason: "no lowering",
      })),
    ],
    records: [{ what: "host", why: "no lowering", origins: [], cost: 0.5 }],
  };
}

describe("executables as ELF files", () => {
  it("come back as they were", () => {
    const graphs = [hostGraph(), ...[1, 2, 3].map((seed) => randomGraph(seed).graph)];
    const written = executable(graphs);
    const back = readElf(writeElf(written));
    expect(back).toStrictEqual(written);
    const [launch] = back.steps;
    const atom =
      launch?.kind === "launch" && typeof launch.scalars[0] !== "number"
        ? launch.scalars[0]!.terms.flatMap((term) => term.atoms)[0]
        : undefined;
    expect(atom?.kind === "symbol" && atom.symbol).toBe(back.symbols[0]);
  });

  it("keep the bodies of control flow by what the codec makes of them", () => {
    const template: SubgraphTemplate = {
      inputNames: ["i"],
      outputNames: ["o"],
      captures: [],
      instantiate: () => hostGraph(),
      inline: () => [],
    };
    const codec: SubgraphCodec = {
      encode: () => Uint8Array.of(1, 2, 3),
      decode: (bytes) => {
        expect([...bytes]).toEqual([1, 2, 3]);
        return template;
      },
    };
    const written = executable([hostGraph(template)]);
    const file = writeElf(written, codec);
    expect(readElf(file, codec)).toStrictEqual(written);
    expect(() => writeElf(written)).toThrow("L0301: a step on the host has control flow");
    expect(() => readElf(file)).toThrow("L0502: the file holds control flow of the host");
  });

  it("have no byte that can change unnoticed", () => {
    const written = executable([hostGraph()]);
    const file = writeElf(written);
    let rejected = 0;
    for (let at = 0; at < file.length; at += 7) {
      const damaged = file.slice();
      damaged[at]! ^= 1 << (at % 8);
      let back: Executable;
      try {
        back = readElf(damaged);
      } catch (error) {
        expect(String(error)).toContain("L0502");
        rejected++;
        continue;
      }
      expect(back).toStrictEqual(written);
    }
    expect(rejected).toBeGreaterThan(file.length / 8);
  });

  it("are rejected when cut short, of another version, or something else", () => {
    const file = writeElf(executable([]));
    for (const length of [0, 63, 64, 1000, file.length - 1]) {
      expect(() => readElf(file.subarray(0, length))).toThrow(/L0502/);
    }
    const newer = file.slice();
    newer[48] = 2;
    expect(() => readElf(newer)).toThrow(
      "L0502: the file has format version 2; this version reads 1",
    );
    const foreign = file.slice();
    foreign[18] = 62;
    expect(() => readElf(foreign)).toThrow("L0502: the file is for machine number");
    expect(() => readElf(new TextEncoder().encode("not an executable"))).toThrow(
      "L0502: the file is not a little-endian ELF64 file",
    );
  });

  it("have the sections that tools list", () => {
    const file = writeElf(executable([hostGraph()]));
    const sections = listSections(file);
    expect(sections).toEqual([
      ".lightloom.meta PROGBITS 8",
      ".programs PROGBITS AX 16",
      ".descriptors PROGBITS A 8",
      ".constants PROGBITS A 64",
      ".schedule PROGBITS 8",
      ".placement PROGBITS 8",
      ".host PROGBITS 8",
      ".host.data PROGBITS A 64",
      ".origins PROGBITS 8",
      ".records PROGBITS 8",
      ".lightloom.hashes PROGBITS 8",
      ".shstrtab STRTAB 1",
    ]);
    const listed = readelf(file);
    if (listed !== undefined) expect(listed).toEqual(sections);
  });
});

/** The section headers by the letter of the ELF specification: name, type, flags, alignment. */
function listSections(file: Uint8Array): string[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const table = Number(view.getBigUint64(0x28, true));
  const count = view.getUint16(0x3c, true);
  const namesAt = Number(view.getBigUint64(table + 64 * view.getUint16(0x3e, true) + 0x18, true));
  return Array.from({ length: count - 1 }, (_, i) => {
    const header = table + 64 * (i + 1);
    const start = namesAt + view.getUint32(header, true);
    const name = Buffer.from(file.subarray(start, file.indexOf(0, start))).toString();
    const type = { 1: "PROGBITS", 3: "STRTAB" }[view.getUint32(header + 4, true)];
    const flags = Number(view.getBigUint64(header + 8, true));
    const letters = `${(flags & 2) !== 0 ? "A" : ""}${(flags & 4) !== 0 ? "X" : ""}`;
    const alignment = Number(view.getBigUint64(header + 0x30, true));
    expect(Number(view.getBigUint64(header + 0x18, true)) % alignment).toBe(0);
    return [name, type, letters, alignment].filter((word) => word !== "").join(" ");
  });
}

/** The same from binutils, where they are installed. */
function readelf(file: Uint8Array): string[] | undefined {
  const folder = mkdtempSync(join(tmpdir(), "lightloom-elf-"));
  try {
    const path = join(folder, "model.elf");
    writeFileSync(path, file);
    const { error, stdout, stderr } = spawnSync("readelf", ["-S", "-W", path], {
      encoding: "utf8",
    });
    if (error !== undefined) return undefined;
    expect(stderr).toBe("");
    return stdout.split("\n").flatMap((line) => {
      const match = /^ +\[ *\d+\] (\.\S+) +(\S+) +(?:[0-9a-f]+ ){4}([A-Z ]*) +0 +0 +(\d+)$/.exec(
        line,
      );
      return match === null
        ? []
        : [
            match
              .slice(1)
              .map((w) => w.trim())
              .filter(Boolean)
              .join(" "),
          ];
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
