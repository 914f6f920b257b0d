/**
 * The test twin: the same instruction set on sizes so small that everything is ragged. All sizes are assumed,
 * near Gemmini's and VTA's; what is not named here is as in `pf1`.
 */
import type { DeviceMachine } from "../machine.js";
import { pf1 } from "./pf1.js";

export const mini: DeviceMachine = {
  ...pf1,
  name: "mini",
  about: "test twin: 2x2 tiles, 32x32 tensor engine, 32 lanes, 256 KiB L1",
  clock: { frequencyHz: 1e9 },
  tile: { rows: 2, columns: 2 },
  tensor: { ...pf1.tensor, rows: 32, columns: 32, passCyclesMin: 16, startCycles: 64 },
  vector: { ...pf1.vector, lanes: 32 },
  // derived: ports carry 32 lanes of 4 bytes
  l1: { ...pf1.l1, bytes: 256 * 2 ** 10, portBytesPerCycle: 128 },
  accumulators: { bytes: 64 * 2 ** 10, portBytesPerCycle: 128 },
  channels: { ...pf1.channels, outstandingBytes: 4096 },
  network: { ...pf1.network, bytesPerCycle: 16 },
  hbm: { capacityBytes: 4e9, bytesPerSecond: 50e9, latencyNs: 120 },
  fabric: { ...pf1.fabric, ports: 1, portBytesPerSecond: 12.5e9 },
  topology: {
    devices: 1,
    pool: {
      appliances: 1,
      appliance: { radix: 2, modules: 2, switchBytesPerSecond: 25e9, interleaveBytes: 4096 },
      module: {
        cache: { capacityBytes: 16 * 2 ** 20, bytesPerSecond: 30e9, latencyNs: 200 },
        backing: { capacityBytes: 256 * 2 ** 20, bytesPerSecond: 5e9, latencyNs: 100 },
        portBytesPerSecond: 12.5e9,
      },
    },
  },
};

/** Three rows by two columns: members that do not divide anything evenly. */
export const mini32: DeviceMachine = {
  ...mini,
  name: "mini32",
  about: "test twin with 3x2 tiles",
  tile: { rows: 3, columns: 2 },
};
