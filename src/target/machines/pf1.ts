/**
 * One accelerator of the size of an H100, with photonic ports. Each figure says where it is from:
 *   published  a figure of the fabric's maker, or of the named public machine that it is borrowed from
 *   derived    arithmetic on published figures
 *   assumed    our choice, with the reason
 */
import type { DeviceMachine } from "../machine.js";

export const pf1: DeviceMachine = {
  kind: "device",
  name: "pf1",
  about: "one device: 4x4 tiles, 996 bf16 TFLOPS, 80 GB HBM, 4 photonic ports of 0.9 TB/s",
  clock: {
    // assumed: between TPU v5e (1.5 GHz) and Trainium (2.4 to 2.8), so that the peak is an H100's
    frequencyHz: 1.9e9,
  },
  // assumed: 16 tiles, as many as an appliance has ports; small schedules
  tile: { rows: 4, columns: 4 },
  tensor: {
    // published for Trainium and TPU up to v5: 128 x 128 weight-stationary
    rows: 128,
    columns: 128,
    // published for Trainium: fp32 a quarter, fp8 twice bf16; int8 as fp8 assumed
    rate: { f32: 0.25, f16: 1, bf16: 1, f8: 2, i8: 2 },
    // published for Trainium: the interval between passes is max(N, 64)
    passCyclesMin: 64,
    // derived: the array is filled and drained once, 128 rows plus 128 columns
    startCycles: 256,
    // assumed: one descriptor word per cycle, 16 words
    issueCycles: 16,
  },
  vector: {
    // assumed: 486 G lane operations per second hold softmax at four operations per score against the tensor engine
    lanes: 256,
    // assumed: one operation per lane and cycle
    simpleCycles: 1,
    // assumed: one transcendental per lane and cycle, as the activation engines of Trainium have
    transcendentalCycles: 1,
    // assumed: L1 banks conflict on random addresses
    lookupCycles: 4,
    // published for Trainium: about 100 cycles on short vectors, of which 60 are L1's
    startCycles: 40,
    issueCycles: 16, // assumed: as the tensor engine
  },
  l1: {
    // assumed: 256 MiB per chip, as Trainium 3
    bytes: 16 * 2 ** 20,
    // derived: 256 lanes of 4 bytes
    portBytesPerCycle: 1024,
    // published for Trainium
    accessStartCycles: 60,
  },
  accumulators: {
    // published for Trainium: 128 partitions of 16 KiB
    bytes: 2 * 2 ** 20,
    // derived: 256 lanes of 4 bytes
    portBytesPerCycle: 1024,
  },
  channels: {
    // assumed: two operands double-buffered with their scales; result and residual
    load: 4,
    store: 2,
    // assumed: between Trainium's descriptor cost and none
    issueCycles: 64,
    // assumed: between 600 to 1,300 ns (Trainium) and none (Groq)
    latencyNs: 200,
    // derived: 67 KB in flight per tile hide 320 ns at the tile's share of 209 GB/s; one channel can do it
    outstandingBytes: 65_536,
    // assumed: one HBM burst
    accessBytes: 64,
    // derived: full rate at 2 KiB (94 %), as published for Trainium's DMA
    runOverheadBytes: 128,
    efficientRunBytes: 2048, // published for Trainium
    // assumed: one address per bank and cycle, 16 banks
    elementsPerCycle: 16,
  },
  network: {
    // assumed: 243 GB/s per link, above a tile's share of HBM (209 GB/s)
    bytesPerCycle: 128,
    hopCycles: 9, // published for Tenstorrent Tensix
    injectionCycles: 5, // published for Tenstorrent Tensix
    torus: true, // assumed
  },
  hbm: {
    capacityBytes: 80e9, // published: H100
    bytesPerSecond: 3.35e12, // published: H100
    latencyNs: 120, // assumed
  },
  fabric: {
    // derived: four first-generation ports hold the 3.35 TB/s per device that the paper's evaluation takes
    ports: 4,
    // published: 7.2 Tbps per direction
    portBytesPerSecond: 0.9e12,
    // published (Gazettabyte): device to device
    latencyNs: 128,
  },
  launch: {
    overheadNs: 500, // assumed, the same in all our published figures
  },
  host: {
    bytesPerSecond: 55e9, // assumed: PCIe 5 x16, 87 % of 63 GB/s
    latencyNs: 5_000, // assumed: submission and completion of one copy
    operationsPerSecond: 200e9, // assumed: a few cores with vector units
    memoryBytesPerSecond: 100e9, // assumed
  },
  energy: {
    // assumed, inside 1.5 pJ (fp16 at 45 nm) and a whole H100's 0.71 pJ per operation; int8 as fp8
    macPicojoules: { f32: 1.6, f16: 0.4, bf16: 0.4, f8: 0.2, i8: 0.2 },
    laneOperationPicojoules: 1, // assumed
    transcendentalPicojoules: 4, // assumed
    l1PicojoulesPerBit: 0.3, // published of Groq's SRAM, second hand
    accumulatorPicojoulesPerBit: 0.15, // assumed: half of L1, a smaller memory
    hopPicojoulesPerBit: 1, // assumed; Cerebras claims less
    hbmPicojoulesPerBit: 3.9, // published: HBM2 and HBM3 devices
    fabric: {
      adapterPicojoulesPerBit: 5, // published: photonic transceiver
      switchPicojoulesPerBit: 25, // published: photonic switch
      localPicojoulesPerBit: 10, // published: within a tray
    },
    poolCachePicojoulesPerBit: 3.9, // published: HBM3E is between 3.0 and 3.9
    poolBackingPicojoulesPerBit: 20, // published for DDR4, second hand
    idleWatts: 100, // assumed: an idle H100 draws 60 to 120
  },
  topology: { devices: 1 },
};
