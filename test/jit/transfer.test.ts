/** Loads and stores larger than random programs make them: permuted, clipped on all sides, converted. */
import { describe, expect, it } from "vitest";
import type { TransferAxis } from "../../src/ir/tile.js";
import type { Program } from "../../src/isa/program.js";
import type { DeviceDType } from "../../src/numerics/dtype.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { at, count, dest, launch, run, source } from "../support/programs.js";
import { differenceOf } from "../support/same-results.js";

interface Case {
  readonly from: DeviceDType;
  readonly slot: DeviceDType;
  readonly to: DeviceDType;
  readonly elements: readonly [memory: number, slot: number];
  readonly axes: readonly TransferAxis[];
  readonly offset: number;
  /** The store walks as the load does, but writes what the load read only where it read. */
  readonly storeAxes: readonly TransferAxis[];
}

function copy({ from, slot, to, elements, axes, offset, storeAxes }: Case): Program {
  return {
    name: "copy",
    grid: { rows: 1, columns: 1 },
    scalarCount: 0,
    bindings: [
      { name: "x", dtype: from, elements: elements[0], access: "read" },
      { name: "y", dtype: to, elements: Math.max(...elements), access: "write" },
    ],
    queues: [
      {
        name: "q",
        space: "l1",
        dtype: slot,
        elements: elements[1],
        depth: 1,
        offsetBytes: 0,
        producer: { engine: "load", channel: 0 },
        consumers: [{ engine: "store", channel: 0 }],
      },
    ],
    body: [
      run({
        op: "load",
        axes,
        memory: { binding: 0, offset: at(offset) },
        dest: dest(0),
        fill: -2,
      }),
      run({
        op: "store",
        axes: storeAxes,
        memory: { binding: 1, offset: at(0) },
        source: source(0),
      }),
    ],
    roles: ["role"],
  };
}

const types: readonly (readonly [DeviceDType, DeviceDType, DeviceDType])[] = [
  ["f32", "f32", "f32"],
  ["f16", "f32", "f16"],
  ["f32", "bf16", "f32"],
  ["i32", "i32", "i32"],
  ["u8", "f32", "i8"],
];

describe("transfers leave the same bits in the jit as by definition", () => {
  const jit = createJitEngine();
  const reference = createReferenceEngine();
  const check = (test: Case): void => {
    const program = copy(test);
    const isFloat = test.from.includes("f");
    const contents = [
      Array.from({ length: test.elements[0] }, (_, i) => (isFloat ? Math.sin(i) * 9 : i % 251)),
    ];
    const expected = launch(reference, program, contents);
    expect(differenceOf(expected, launch(jit, program, contents))).toBeUndefined();
  };

  const shape = [5, 19, 36] as const;
  const strides = [19 * 36, 36, 1] as const;
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const;
  for (const order of orders) {
    it(`permuted to ${order.join()}`, () => {
      const permuted = [0, 0, 0];
      let stride = 1;
      for (const axis of [...order].reverse()) {
        permuted[axis] = stride;
        stride *= shape[axis];
      }
      const axes = shape.map((n, i) => ({
        count: count(n),
        memoryStride: strides[i]!,
        slotStride: permuted[i]!,
      }));
      const turned = axes.map((axis) => ({ ...axis, memoryStride: axis.slotStride }));
      for (const [from, slot, to] of types) {
        const elements = [stride, stride] as const;
        check({ from, slot, to, elements, axes, offset: 0, storeAxes: turned });
        check({ from, slot, to, elements, axes: turned, offset: 0, storeAxes: axes });
      }
    });
  }

  for (const [channelsLast, step] of [
    [true, 1],
    [false, 1],
    [true, 2],
    [false, 2],
  ] as const) {
    it(`padded ${channelsLast ? "NHWC" : "NCHW"} by steps of ${step}`, () => {
      const [c, h, w, border] = [6, 11, 21, 3];
      const [hp, wp] = [h + 2 * border, w + 2 * border].map((n) => Math.ceil(n / step)) as [
        number,
        number,
      ];
      const memory = channelsLast ? [1, w * c, c] : [h * w, w, 1];
      const slot = channelsLast ? [1, wp * c, c] : [hp * wp, wp, 1];
      const clip = (limit: number) => ({ origin: at(-border), step, limit: count(limit) });
      const axes = [
        { count: count(c), memoryStride: memory[0]!, slotStride: slot[0]! },
        {
          count: count(hp),
          memoryStride: step * memory[1]!,
          slotStride: slot[1]!,
          clip: clip(h),
        },
        {
          count: count(wp),
          memoryStride: step * memory[2]!,
          slotStride: slot[2]!,
          clip: clip(w),
        },
      ];
      const cells = c * hp * wp;
      const whole = [{ count: count(cells), memoryStride: 1, slotStride: 1 }];
      const offset = -border * (memory[1]! + memory[2]!);
      for (const [from, slotType, to] of types) {
        const elements = [c * h * w, cells] as const;
        check({ from, slot: slotType, to, elements, axes, offset, storeAxes: whole });
      }
    });
  }
});
