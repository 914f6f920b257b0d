/** Sixteen `pf1` on one appliance of pooled memory. */
import type { DeviceMachine, Pool } from "../machine.js";
import { pf1 } from "./pf1.js";

export const appliancePool: Pool = {
  appliances: 1,
  appliance: {
    radix: 16, // published
    modules: 16, // published
    switchBytesPerSecond: 14.4e12, // published: 115 Tbps
    interleaveBytes: 4096, // assumed
  },
  module: {
    cache: {
      capacityBytes: 72e9, // published: two HBM3E stacks of 36 GB
      bytesPerSecond: 2.4e12, // derived: 1.2 TB/s per stack
      latencyNs: 200, // published: below 200 ns from chip to memory (Hot Chips 2025)
    },
    backing: {
      capacityBytes: 2e12, // published: DDR5
      bytesPerSecond: 0.41e12, // derived: eight channels of DDR5-6400
      latencyNs: 100, // assumed, on top of the cache's
    },
    portBytesPerSecond: 0.9e12, // published: 7.2 Tbps per direction
  },
};

export const pf1Pod16: DeviceMachine = {
  ...pf1,
  name: "pf1-pod16",
  about: "16 pf1 on one photonic appliance: 1.15 TB HBM3E over 32 TB DDR5, any port to any module",
  topology: { devices: 16, pool: appliancePool },
};
