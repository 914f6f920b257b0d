/** Sixteen appliances, tiered to 256 devices. */
import type { DeviceMachine } from "../machine.js";
import { appliancePool } from "./pf1-pod16.js";
import { pf1 } from "./pf1.js";

export const pf1Pod256: DeviceMachine = {
  ...pf1,
  name: "pf1-pod256",
  about: "16 appliances tiered to 256 pf1 devices",
  topology: {
    devices: 256, // published: several appliances tiered to 128 or 256 devices
    pool: {
      ...appliancePool,
      appliances: 16, // derived: 256 devices, 16 per appliance
      tier: {
        latencyNs: 100, // assumed: one more switch
        linkBytesPerSecond: 0.9e12, // assumed: one port's rate per device pair of appliances
      },
    },
  },
};
