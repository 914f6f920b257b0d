/** A matrix product with bias, tiled and double buffered on 2 x 2 members, ragged everywhere. */
import type { Program } from "../../src/isa/program.js";
import { laneProgramBuilder } from "../../src/numerics/lanes.js";
import { at, dest, edge, extent, loop, run, source } from "../support/programs.js";

export const gemmShape = { m: 13, n: 11, k: 70 };

export function gemm(): Program {
  const { m, n, k } = gemmShape;
  const bm = 4;
  const bn = 3;
  const bk = 32;
  const lanes = laneProgramBuilder();
  const sum = lanes.l.add(lanes.source("input", 0, "f32"), lanes.source("input", 1, "f32"));
  const load0 = { engine: "load", channel: 0 } as const;
  const load1 = { engine: "load", channel: 1 } as const;
  const firstK = edge(4, "first");
  const lastK = edge(4, "last");
  const bounded = (id: number, max: number) => ({ value: extent(id), max });
  const l1 = { space: "l1", dtype: "f32", depth: 2 } as const;
  return {
    name: "gemm",
    grid: { rows: 2, columns: 2 },
    scalarCount: 0,
    bindings: [
      { name: "a", dtype: "f32", elements: m * k, access: "read" },
      { name: "b", dtype: "f32", elements: k * n, access: "read" },
      { name: "bias", dtype: "f32", elements: n, access: "read" },
      { name: "c", dtype: "f32", elements: m * n, access: "write" },
    ],
    queues: [
      {
        name: "qa",
        ...l1,
        elements: bm * bk,
        offsetBytes: 0,
        producer: load0,
        consumers: [{ engine: "tensor" }],
      },
      {
        name: "qb",
        ...l1,
        elements: bk * bn,
        offsetBytes: 1024,
        producer: load1,
        consumers: [{ engine: "tensor" }],
      },
      {
        name: "acc",
        space: "accumulator",
        dtype: "f32",
        depth: 1,
        elements: bm * bn,
        offsetBytes: 0,
        producer: { engine: "tensor" },
        consumers: [{ engine: "vector" }],
      },
      {
        name: "qbias",
        ...l1,
        elements: bn,
        offsetBytes: 4096,
        producer: load1,
        consumers: [{ engine: "vector" }],
      },
      {
        name: "qc",
        ...l1,
        elements: bm * bn,
        offsetBytes: 5120,
        producer: { engine: "vector" },
        consumers: [{ engine: "store", channel: 0 }],
      },
    ],
    roles: ["contract", "bias"],
    body: [
      loop(
        { id: 0, name: "rows", over: "rows", end: m, step: 7 },
        loop(
          { id: 1, name: "columns", over: "columns", end: n, step: 6 },
          loop(
            { id: 2, name: "m", end: 7, total: [extent(0)], step: bm },
            loop(
              { id: 3, name: "n", end: 6, total: [extent(1)], step: bn },
              loop(
                { id: 4, name: "k", end: k, step: bk },
                run({
                  op: "load",
                  axes: [
                    { count: bounded(2, bm), memoryStride: k, slotStride: bk },
                    { count: bounded(4, bk), memoryStride: 1, slotStride: 1 },
                  ],
                  memory: {
                    binding: 0,
                    offset: {
                      constant: 0,
                      terms: [
                        { of: "index", id: 0, coefficient: k },
                        { of: "index", id: 2, coefficient: k },
                        { of: "index", id: 4, coefficient: 1 },
                      ],
                    },
                  },
                  dest: dest(0),
                  fill: 0,
                  delivery: { kind: "multicast", loop: 1 },
                }),
                run(
                  {
                    op: "load",
                    axes: [
                      { count: bounded(4, bk), memoryStride: n, slotStride: bn },
                      { count: bounded(3, bn), memoryStride: 1, slotStride: 1 },
                    ],
                    memory: {
                      binding: 1,
                      offset: {
                        constant: 0,
                        terms: [
                          { of: "index", id: 1, coefficient: 1 },
                          { of: "index", id: 3, coefficient: 1 },
                          { of: "index", id: 4, coefficient: n },
                        ],
                      },
                    },
                    dest: dest(1),
                    fill: 0,
                    delivery: { kind: "multicast", loop: 0 },
                  },
                  { channel: 1 },
                ),
                run({
                  op: "mma",
                  axes: [
                    { role: "m", count: bounded(2, bm), strideA: bk, strideB: 0, strideC: bn },
                    { role: "n", count: bounded(3, bn), strideA: 0, strideB: 1, strideC: 1 },
                    { role: "k", count: bounded(4, bk), strideA: 1, strideB: bn, strideC: 0 },
                  ],
                  a: source(0),
                  b: source(1),
                  dest: dest(2, lastK),
                  clear: firstK,
                  fold: lastK,
                }),
              ),
              run(
                {
                  op: "load",
                  axes: [{ count: bounded(3, bn), memoryStride: 1, slotStride: 1 }],
                  memory: {
                    binding: 2,
                    offset: {
                      constant: 0,
                      terms: [
                        { of: "index", id: 1, coefficient: 1 },
                        { of: "index", id: 3, coefficient: 1 },
                      ],
                    },
                  },
                  dest: dest(3),
                  fill: 0,
                },
                { channel: 1, role: 1 },
              ),
              run(
                {
                  op: "vec",
                  axes: [
                    { kind: "parallel", count: bounded(2, bm), base: at(0) },
                    { kind: "parallel", count: bounded(3, bn), base: at(0) },
                  ],
                  inputs: [
                    { source: source(2), strides: [bn, 1] },
                    { source: source(3), strides: [0, 1] },
                  ],
                  program: lanes.finish([sum]),
                  carries: [],
                  outputs: [{ dest: dest(4), strides: [bn, 1] }],
                },
                { role: 1 },
              ),
              run(
                {
                  op: "store",
                  axes: [
                    { count: bounded(2, bm), memoryStride: n, slotStride: bn },
                    { count: bounded(3, bn), memoryStride: 1, slotStride: 1 },
                  ],
                  memory: {
                    binding: 3,
                    offset: {
                      constant: 0,
                      terms: [
                        { of: "index", id: 0, coefficient: n },
                        { of: "index", id: 2, coefficient: n },
                        { of: "index", id: 1, coefficient: 1 },
                        { of: "index", id: 3, coefficient: 1 },
                      ],
                    },
                  },
                  source: source(4),
                },
                { role: 1 },
              ),
            ),
          ),
        ),
      ),
    ],
  };
}
