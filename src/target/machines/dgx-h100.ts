/** NVIDIA's DGX H100: eight GPUs on NVLink, at roofline fidelity. */
import type { RooflineMachine } from "../machine.js";
import { a100 } from "./a100.js";

export const dgxH100: RooflineMachine = {
  kind: "roofline",
  name: "dgx-h100",
  about: "8 x H100 on NVLink (roofline)",
  devices: 8,
  // published: dense rates; fp32 without tensor cores
  peak: { f32: 67e12, f16: 989e12, bf16: 989e12, f8: 1979e12, i8: 1979e12 },
  vectorOperationsPerSecond: 67e12, // published: fp32, a multiply-add being two
  memories: [
    // published; the latency is assumed
    { name: "HBM3", capacityBytes: 80e9, bytesPerSecond: 3.35e12, latencyNs: 600 },
  ],
  links: [
    {
      name: "NVLink",
      devices: 8,
      bytesPerSecond: 450e9, // published: 900 GB/s both directions together
      latencyNs: 1_900, // published by GenZ as its default
      collectiveStartNs: 5_000, // published by GenZ
    },
    {
      name: "InfiniBand",
      devices: 64,
      bytesPerSecond: 50e9, // published: 100 GB/s both directions together
      latencyNs: 5_000, // assumed
      collectiveStartNs: 10_000, // assumed
    },
  ],
  // assumed: a generation's launch cost less than the A100's measured overheads
  overheadNs: { contraction: 5_000, softmax: 5_000, normalization: 5_000, elementwise: 4_000 },
  // derived: the A100's measured curves; the fractions carry over, absolute sizes only roughly
  efficiency: a100.efficiency,
  energy: {
    adapterPicojoulesPerBit: 65, // published
    switchPicojoulesPerBit: 35, // published
    localPicojoulesPerBit: 50, // published: NVLink
    memoryPicojoulesPerBit: 21, // published, second hand: the whole path from DRAM to L2
    watts: 700, // published: TDP
  },
};
