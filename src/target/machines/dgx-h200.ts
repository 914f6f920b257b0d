/** NVIDIA's DGX H200: the H100's compute with more and faster memory. */
import type { RooflineMachine } from "../machine.js";
import { dgxH100 } from "./dgx-h100.js";

export const dgxH200: RooflineMachine = {
  ...dgxH100,
  name: "dgx-h200",
  about: "8 x H200 on NVLink (roofline)",
  memories: [
    // published; the latency is assumed
    { name: "HBM3E", capacityBytes: 141e9, bytesPerSecond: 4.8e12, latencyNs: 600 },
  ],
};
