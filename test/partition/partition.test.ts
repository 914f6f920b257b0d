/** From patterns to regions: what goes where, for which reason, and at which cost. */
import { describe, expect, it } from "vitest";
import { annotate } from "../../src/compiler/3-partition/annotate.js";
import { partition } from "../../src/compiler/3-partition/partition.js";
import { patternTable } from "../../src/compiler/3-partition/pattern-table.js";
import { parseGraph } from "../../src/ir/text/parse.js";
import { printGraph } from "../../src/ir/text/print.js";
import { verifyGraph } from "../../src/ir/verify.js";
import { mini } from "../../src/target/machines/mini.js";
import { pf1 } from "../../src/target/machines/pf1.js";

const negate = "program={ r0 = input.f32 0; r1 = neg r0; return r1 }";
/** A map that the device declines. */
const decline = `encode=[saturate false] ${negate}`;

function composites(text: string) {
  return annotate(parseGraph(text)).map((composite) => [
    composite.target === "device" ? composite.pattern : composite.whyNot.reason,
    ...composite.nodes.map((node) => node.outputs[0]!.name),
  ]);
}

describe("the pattern table", () => {
  it("names its rows once, for the backend", () => {
    const names = patternTable.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.every((name) => name.startsWith("lightloom."))).toBe(true);
  });
});

describe("composites", () => {
  it("hold a window and what reads it", () => {
    const text = `
graph "g"
input %x: f32[1, 4, 10]
input %w: f32[8, 4, 3]
%p: f32[1, 4, 12] = pad(%x) low=[0, 0, 1] high=[0, 0, 1] value=0
%v: f32[1, 4, 10, 3] = window(%p) axes=[2 size 3 stride 1 dilation 1]
%t: f32[1, 10, 4, 3] = transpose(%v) perm=[0, 2, 1, 3]
%y: f32[1, 8, 10] = contract(%t, %w) a="blck" b="mck" out="bml" order="ck"
output "y" = %y
`;
    expect(composites(text)).toEqual([
      ["lightloom.movement", "p"],
      ["lightloom.convolution", "y", "t", "v"],
    ]);
  });

  it("hold nothing that others read", () => {
    const text = `
graph "g"
input %x: f32[4, 10]
%v: f32[4, 8, 3] = window(%x) axes=[1 size 3 stride 1 dilation 1]
%y: f32[4, 8] = reduce(%v) reduction=max axes=[2]
%z: f32[4, 8, 3] = map(%v) ${negate}
output "y" = %y
output "z" = %z
`;
    expect(composites(text)).toEqual([
      ["lightloom.movement", "v"],
      ["lightloom.reduction", "y"],
      ["lightloom.elementwise", "z"],
    ]);
  });

  it("fall apart where a part of them is declined", () => {
    const text = `
graph "g"
input %x: f64[4, 10]
%v: f64[4, 8, 3] = window(%x) axes=[1 size 3 stride 1 dilation 1]
%y: f64[4, 8] = reduce(%v) reduction=max axes=[2]
output "y" = %y
`;
    expect(composites(text)).toEqual([
      ['the device has no f64 ("x")', "v"],
      ['the device has no f64 ("v")', "y"],
    ]);
  });
});

/** host -> device -> host, the device part of `size` x `size` elements. */
function sandwich(size: number): string {
  return `
graph "g"
input %x: f64[${size}, ${size}]
%a: f32[${size}, ${size}] = map(%x) program={ r0 = input.f32 0; return r0 }
%b: f32[${size}, ${size}] = contract(%a, %a) a="mk" b="kn" out="mn" order="k"
%y: f64[${size}, ${size}] = map(%b) program={ r0 = input.f32 0; return r0 }
output "y" = %y
`;
}

describe("islands", () => {
  it("join the host, with both costs", () => {
    const { graph, regions, records } = partition(parseGraph(sandwich(8)), pf1);
    expect(graph.nodes.map(({ op }) => op.kind)).toEqual(["host"]);
    expect([...regions.values()].map(({ body }) => body.nodes.length)).toEqual([3]);
    const island = records.find(({ estimate }) => estimate !== undefined)!;
    expect(island.why).toMatch(/^an island: 1\d us on the device with copies, [\d.e-]+ us here$/);
    const { deviceSeconds, deviceCopySeconds, hostSeconds, hostCopySeconds } = island.estimate!;
    expect(deviceCopySeconds).toBeGreaterThan(2 * 5e-6);
    expect(deviceSeconds).toBeGreaterThanOrEqual(0.5e-6);
    expect(hostCopySeconds).toBe(0);
    expect(hostSeconds).toBeLessThan(deviceSeconds + deviceCopySeconds);
  });

  it("stay on the device where computing is worth the way", () => {
    const { graph, records } = partition(parseGraph(sandwich(2048)), pf1);
    expect(graph.nodes.map(({ op }) => op.kind)).toEqual(["host", "contract", "host"]);
    expect(records.map(({ what }) => what)).toEqual(["host", "device", "host"]);
  });

  it("are none where the model's own inputs or outputs have to cross anyway", () => {
    const text = `
graph "g"
input %x: f32[4]
%a: f32[4] = map(%x) ${negate}
%b: f8e4m3fn[4] = map(%a) ${decline}
output "b" = %b
`;
    const { graph } = partition(parseGraph(text), mini);
    expect(graph.nodes.map(({ op }) => op.kind)).toEqual(["map", "host"]);
  });
});

describe("regions", () => {
  it("are cut out as functions of what they read", () => {
    const text = `
graph "g"
input %x: f32[4]
input %i: i64[4]
%j: i64[4] = map(%i) program={ r0 = input.i32 0; r1 = mulI r0 r0; return r1 }
%a: f32[4] = map(%x) ${negate}
%k: f32[4] = map(%j, %a) program={ r0 = input.i32 0; r1 = toF r0; r2 = input.f32 1; r3 = add r1 r2; return r3 }
%y: f32[4] = map(%k, %a) program={ r0 = input.f32 0; r1 = input.f32 1; r2 = add r0 r1; return r2 }
output "y" = %y
output "j" = %j
`;
    const { graph, regions } = partition(parseGraph(text), mini);
    expect(verifyGraph(graph)).toEqual([]);
    const [region] = [...regions.values()];
    expect(verifyGraph(region!.body)).toEqual([]);
    expect(region!.body.inputs.map(({ name }) => name)).toEqual(["i", "a"]);
    expect(region!.body.outputs.map(({ name }) => name)).toEqual(["j", "k"]);
    expect(graph.nodes.map(({ op }) => op.kind)).toEqual(["map", "host", "map"]);
    expect(printGraph(graph)).toContain('operator="HostRegion"');
  });

  it("may begin before and end behind a long model", () => {
    const length = 12_000;
    const chain = Array.from({ length }, (_, i) => `%v${i + 1}: f32[4] = map(%v${i}) ${negate}`);
    const text = `
graph "g"
input %v0: f32[4]
input %i: i64[4]
%first: i64[4] = map(%i) program={ r0 = input.i32 0; r1 = mulI r0 r0; return r1 }
${chain.join("\n")}
%last: i64[4] = map(%first, %v${length}) program={ r0 = input.i32 0; r1 = mulI r0 r0; return r1 }
output "last" = %last
`;
    const { nodes } = partition(parseGraph(text), mini).graph;
    expect(nodes.map(({ op }) => op.kind).lastIndexOf("map")).toBe(length - 1);
    expect(nodes.at(-1)!.op.kind).toBe("host");
  });

  it("say of every node of the model where it went", () => {
    const text = `
graph "g"
input %x: f32[4]
%a: f32[4] = map(%x) ${negate} // Neg "n1"
%b: f8e4m3fn[4] = map(%a) ${decline} // Cast "n2"
output "b" = %b
`;
    const { records } = partition(parseGraph(text), mini);
    expect(records).toEqual([
      {
        what: "device",
        why: "lightloom.elementwise",
        origins: [{ operator: "Neg", node: "n1" }],
      },
      {
        what: "host",
        why: "the device rounds to fp8 with saturation only",
        remedy: "let the conversion saturate",
        origins: [{ operator: "Cast", node: "n2" }],
      },
    ]);
  });
});
