/**
 * Four A100 on NVLink, at roofline fidelity: the machine of which public measurements exist, and where the
 * efficiency curves come from. Measurements: LLMCompass (ISCA 2024), data under BSD-3.
 */
import type { RooflineMachine } from "../machine.js";

export const a100: RooflineMachine = {
  kind: "roofline",
  name: "a100",
  about: "4 x A100 80 GB on NVLink (roofline)",
  devices: 4,
  // published: dense rates; fp32 without tensor cores; fp8 is not there
  peak: { f32: 19.5e12, f16: 312e12, bf16: 312e12, i8: 624e12 },
  vectorOperationsPerSecond: 19.5e12, // published: fp32, a multiply-add being two
  memories: [
    // published; the latency is assumed
    { name: "HBM2e", capacityBytes: 80e9, bytesPerSecond: 2.039e12, latencyNs: 600 },
  ],
  links: [
    {
      name: "NVLink",
      devices: 4,
      bytesPerSecond: 300e9, // published: 600 GB/s both directions together
      latencyNs: 8_920, // published by LLMCompass
      collectiveStartNs: 12_000, // measured: all-reduces up to 1 KiB take 12.4 to 13.9 us
    },
  ],
  // published by LLMCompass
  overheadNs: {
    contraction: 21_000,
    softmax: 12_000,
    normalization: 45_000,
    elementwise: 45_000,
  },
  efficiency: {
    // derived: measured fp16 products (8192, X, X) and (M, 12288, 12288), less the overhead
    contraction: [
      [2.7e8, 0.086],
      [1.07e9, 0.236],
      [4.3e9, 0.527],
      [1.72e10, 0.768],
      [6.9e10, 0.844],
      [3.1e11, 0.86],
      [1.24e12, 0.894],
      [4.9e12, 0.93],
    ],
    // derived: measured GELU of 33 to 537 million elements, less the overhead
    memory: [
      [1.3e8, 0.86],
      [5.4e8, 0.8],
      [2.1e9, 0.79],
    ],
  },
  energy: {
    adapterPicojoulesPerBit: 65, // published for a generic adapter
    switchPicojoulesPerBit: 35, // published for a generic switch
    localPicojoulesPerBit: 50, // published: NVLink
    memoryPicojoulesPerBit: 21, // published, second hand: the whole path from DRAM to L2
    watts: 400, // published: TDP
  },
};
