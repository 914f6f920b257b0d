/** Programs so small that their cycles can be worked out on paper; the arithmetic stands beside each. */
import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { timeProgram } from "../../src/sim/timing/timing.js";
import type { DeviceMachine } from "../../src/target/machine.js";
import { mini } from "../../src/target/machines/mini.js";

/**
 * One cycle per ns; memory: 64 bytes per cycle after 200 + 100 cycles (loads), 200 cycles (stores) and 100 to
 * acknowledge; a channel 16 bytes per cycle (4,800 outstanding over 300).
 */
const machine: DeviceMachine = {
  ...mini,
  name: "paper",
  l1: { ...mini.l1, accessStartCycles: 10 },
  tensor: { ...mini.tensor, startCycles: 30, issueCycles: 4, passCyclesMin: 16 },
  vector: { ...mini.vector, startCycles: 20, issueCycles: 4 },
  channels: {
    ...mini.channels,
    latencyNs: 200,
    outstandingBytes: 4800,
    accessBytes: 64,
    runOverheadBytes: 0,
    issueCycles: 8,
  },
  network: { bytesPerCycle: 8, hopCycles: 7, injectionCycles: 5, torus: false },
  hbm: { capacityBytes: 1e9, bytesPerSecond: 64e9, latencyNs: 100 },
};

function time(text: string, on: DeviceMachine = machine, scalars: readonly number[] = []) {
  return timeProgram(assemble(text), on, scalars);
}

function cyclesOf(timing: ReturnType<typeof time>, engine: string) {
  const found = timing.engines.find((e) => JSON.stringify(e.engine).includes(engine))!;
  return Object.fromEntries(Object.entries(found.cycles).filter(([, n]) => n > 0));
}

const copy = (body: string, { depth = 1, grid = "1 x 1", elements = 4096 } = {}) => `program copy
grid ${grid}
scalars 1
binding x f32 ${elements} read
binding y f32 ${elements} write
queue q l1 f32 512 depth ${depth} at 0 from load.0 -> store.0
role copy

${body}
halt
`;

describe("transfers", () => {
  it("a load waits for its latency, then moves at the channel's rate; a store is acknowledged", () => {
    const timing = time(
      copy(`ld.0 q.pub <- x[0] (512: 1 -> 1) as copy
st.0 q.pop -> y[0] (512: 1 -> 1) as copy`),
    );
    // load: 300 + 2048 / 16 = 428; store: 200 + 128 more, and 100 to the acknowledgement
    expect(timing.cycles).toBe(428 + 328 + 100);
    expect(cyclesOf(timing, "load")).toEqual({ latency: 300, busy: 128, finished: 428 });
    expect(cyclesOf(timing, "store")).toEqual({
      data: 428,
      latency: 200,
      busy: 128,
      finished: 100,
    });
    expect(timing.tally).toMatchObject({
      loadedBytes: 2048,
      storedBytes: 2048,
      readAccessBytes: 2048,
      l1ReadBytes: 2048,
      l1WriteBytes: 2048,
      instructions: 2,
    });
  });

  it("with one slot a load waits until it is free; with two they overlap", () => {
    const body = `loop i 0..2048 step 512
  ld.0 q.pub <- x[i] (512: 1 -> 1) as copy
  st.0 q.pop -> y[i] (512: 1 -> 1) as copy
end`;
    // a slot is free when the store's data have moved: 428 + 328 = 756 per trip
    expect(time(copy(body)).cycles).toBe(4 * 756 + 100);
    // The first two loads move at 300..428 and 428..556, the stores at 628..756 and 756..884. The third load is
    // issued at 756, moves at 1056..1184, the fourth at 884 after it, 1184..1312; stores 1384..1512, 1512..1640.
    expect(time(copy(body, { depth: 2 })).cycles).toBe(1640 + 100);
  });

  it("no more bytes are outstanding than a channel may have", () => {
    const body = `loop i 0..4096 step 512
  ld.0 q.pub <- x[i] (512: 1 -> 1) as copy
end
loop j 0..4096 step 512
  st.0 q.pop -> y[j] (512: 1 -> 1) as copy
end`;
    const few = time(copy(body, { depth: 8 }), {
      ...machine,
      channels: { ...machine.channels, outstandingBytes: 2400 },
    });
    // 8 bytes per cycle: 256 cycles per transfer. The 1st and 2nd are issued at 0 and 8; the 3rd as soon as no
    // more than 2,400 of 4,096 bytes are left, at 512. All follow one another closely: loads end at 300 + 8 * 256 = 2348. The
    // first store's slot is full at 556, so stores move from 756 on, 256 cycles each: until 2804.
    expect(few.cycles).toBe(2804 + 100);
  });

  it("short runs cost whole accesses and their overhead", () => {
    const timing = time(
      copy(`ld.0 q.pub <- x[0] (8: 64 -> 8) (8: 1 -> 1) as copy
st.0 q.pop -> y[0] (64: 1 -> 1) as copy`),
      { ...machine, channels: { ...machine.channels, runOverheadBytes: 128 } },
    );
    // 8 runs of 32 bytes, each an access of 64 and 128 more: 1,536 bytes, 96 cycles; the store: 256 + 128, 24
    expect(timing.cycles).toBe(300 + 96 + 200 + 24 + 100);
    expect(timing.tally.loadedBytes).toBe(256);
    expect(timing.tally.readAccessBytes).toBe(512);
    expect(timing.tally.readBandwidthBytes).toBe(1536);
  });

  it("a transposing walk places an element at a time", () => {
    const timing = time(
      copy(`ld.0 q.pub <- x[0] (16: 1 -> 32) (32: 16 -> 1) as copy
st.0 q.pop -> y[0] (512: 1 -> 1) as copy`),
      { ...machine, channels: { ...machine.channels, elementsPerCycle: 2 } },
    );
    // memory is read in one run, but 512 elements at 2 per cycle take 256 cycles
    expect(timing.cycles).toBe(300 + 256 + 200 + 128 + 100);
  });

  it("reads what is inside the clip, and writes all of the slot", () => {
    const timing = time(
      copy(`ld.0 q.pub <- x[0] (512: 1 -> 1 clip -256 by 1 in 10000) fill 1 as copy
st.0 q.pop -> y[0] (512: 1 -> 1) as copy`),
    );
    expect(timing.tally.loadedBytes).toBe(1024);
    expect(timing.tally.l1WriteBytes).toBe(2048);
    expect(timing.cycles).toBe(300 + 64 + 200 + 128 + 100);
  });

  it("members share the bandwidth of memory evenly", () => {
    const timing = time(
      copy(
        `loop m members 0..4 step 1
  ld.0 q.pub <- x[512*m] (512: 1 -> 1) as copy
  st.0 q.pop -> y[512*m] (512: 1 -> 1) as copy
end`,
        { grid: "2 x 2" },
      ),
      { ...machine, hbm: { ...machine.hbm, bytesPerSecond: 32e9 } },
    );
    // 8 instead of 16 bytes per cycle and member: 256 cycles instead of 128
    expect(timing.cycles).toBe(300 + 256 + 200 + 256 + 100);
    expect(timing.effort.classes).toBe(1);
    expect(cyclesOf(timing, "load")).toEqual({
      latency: 4 * 300,
      busy: 4 * 128,
      bandwidth: 4 * 128,
      finished: 4 * 556,
    });
  });

  it("a multicast is read once and comes to the farthest member", () => {
    const timing = time(
      copy(
        `loop m members 0..4 step 1
  ld.0 q.pub <- x[0] (512: 1 -> 1) to multicast m as copy
  st.0 q.pop -> y[512*m] (512: 1 -> 1) as copy
end`,
        { grid: "2 x 2" },
      ),
    );
    // links carry 8 bytes per cycle: 256 cycles; to the opposite corner 5 + 2 * 7
    expect(timing.cycles).toBe(300 + 256 + 19 + 200 + 128 + 100);
    expect(timing.tally).toMatchObject({
      loadedBytes: 2048,
      storedBytes: 4 * 2048,
      l1WriteBytes: 4 * 2048,
      linkBytes: 3 * 2048,
    });
  });

  it("a barrier waits for the acknowledgements of all members", () => {
    const timing = time(
      copy(`ld.0 q.pub <- x[0] (512: 1 -> 1) as copy
st.0 q.pop -> y[0] (512: 1 -> 1) as copy
barrier
ld.0 q.pub <- x[0] (512: 1 -> 1) as copy
st.0 q.pop -> y[0] (512: 1 -> 1) as copy`),
    );
    expect(timing.cycles).toBe(2 * 856);
    expect(cyclesOf(timing, "load")["barrier"]).toBe(428);
  });

  it("trip counts follow the scalars", () => {
    const body = `loop i 0..$0 in 0..4096 step 512
  ld.0 q.pub <- x[i] (ext(i) <= 512: 1 -> 1) as copy
  st.0 q.pop -> y[i] (ext(i) <= 512: 1 -> 1) as copy
end`;
    expect(time(copy(body), machine, [0]).cycles).toBe(0);
    expect(time(copy(body), machine, [512]).cycles).toBe(856);
    expect(time(copy(body), machine, [768]).cycles).toBe(756 + 300 + 64 + 200 + 64 + 100);
  });
});

const matmul = `program matmul
grid 1 x 1
scalars 0
binding a f32 4096 read
binding b f32 4096 read
binding c f32 4096 write
queue qa l1 f32 4096 depth 1 at 0 from load.0 -> tensor
queue qb l1 f32 4096 depth 1 at 16384 from load.1 -> tensor
queue acc accumulator f32 4096 depth 1 at 0 from tensor -> vector
queue qc l1 f32 4096 depth 1 at 32768 from vector -> store.0
role matmul
`;

const move = (n: number) => `vec (parallel ${n}) in acc.pop (1) lanes {
  r0:f32 = input 0
  r1 = exp r0
  r2 = add r0 r1
  -> r2 }
  out qc.pub (1) as matmul
st.0 qc.pop -> c[0] (${n}: 1 -> 1) as matmul
halt
`;

describe("engines", () => {
  it("an mma takes its passes, and shows its results one pipeline later", () => {
    // 48 x 64 times 64 x 40 on a 32 x 32 engine at a quarter rate: b is held in 2 x 2 blocks, each pass
    // streams 48 vectors in 192 cycles (held the other way, 40 in 160). Operands: 48 * 64 * 2 + 64 * 40 elements.
    const timing = time(`${matmul}
ld.0 qa.pub <- a[0] (3072: 1 -> 1) as matmul
ld.1 qb.pub <- b[0] (2560: 1 -> 1) as matmul
mma acc.pub += qa.pop * qb.pop (m 48: 64, 0, 40) (n 40: 0, 1, 1) (k 64: 1, 40, 0) clear fold as matmul
${move(1920)}`);
    // loads: 300 + 12288 / 16 = 1068; mma: 4 passes of 160 and 10 + 30 more; vec: 1920 / 32 = 60 vectors of two
    // operations and 10 + 20 more; store: 200 + 480 + 100
    expect(timing.cycles).toBe(1068 + 640 + 40 + 120 + 30 + 780);
    expect(timing.tally).toMatchObject({
      macsF32: 48 * 40 * 64,
      laneOperations: 1920,
      transcendentals: 1920,
      accumulatorReadBytes: 2 * 1920 * 8 + 1920 * 4,
      accumulatorWriteBytes: 2 * 1920 * 8,
    });
    expect(cyclesOf(timing, "tensor")).toEqual({ data: 1068, busy: 640, finished: 970 });
  });

  it("the pipeline is filled once for instructions in a row", () => {
    const parts = (n: number) =>
      Array.from(
        { length: n },
        (_, i) => `mma acc${i === n - 1 ? ".pub" : ""} += qa${i === n - 1 ? ".pop" : ""} * \
qb${i === n - 1 ? ".pop" : ""} (m 4: 32, 0, 4) (n 4: 0, 1, 1) (k 32: 1, 4, 0) \
${i === 0 ? "clear " : ""}fold as matmul`,
      ).join("\n");
    const cycles = (n: number) =>
      time(`${matmul}
ld.0 qa.pub <- a[0] (128: 1 -> 1) as matmul
ld.1 qb.pub <- b[0] (128: 1 -> 1) as matmul
${parts(n)}
${move(16)}`).cycles;
    // 4 vectors at a quarter rate are 16 cycles, the least that a pass takes
    expect(cycles(2) - cycles(1)).toBe(16);
    expect(cycles(5) - cycles(1)).toBe(64);
  });

  it("a sum takes its sixteen partials side by side, then folds them", () => {
    const reduce = (reduction: string) => `program reduce
grid 1 x 1
scalars 0
binding a f32 4096 read
binding c f32 4096 write
queue qa l1 f32 4096 depth 1 at 0 from load.0 -> vector
queue qc l1 f32 16 depth 1 at 32768 from vector -> store.0
role reduce

ld.0 qa.pub <- a[0] (2048: 1 -> 1) as reduce
vec (parallel 2) (reduce 1024) in qa.pop (1024, 1) lanes {
  r0:f32 = input 0
  -> r0 }
  out qc.pub (1, 0) reduce ${reduction} init as reduce
st.0 qc.pop -> c[0] (2: 1 -> 1) as reduce
halt
`;
    const vector = (reduction: string) => cyclesOf(time(reduce(reduction)), "vector")["busy"];
    // 32 lanes: 2 x 16 partials at once, 64 vectors of one addition, folds of 2 x 8, 4, 2, 1
    expect(vector("sum")).toBe(64 + 4);
    expect(vector("max")).toBe(64 + 4);
    // one after the other
    expect(vector("seqsum")).toBe(1024);
  });
});

describe("energy", () => {
  it("is counted events times the machine's figures, and idle power times the time", () => {
    const { energy, tally, cycles } = time(
      copy(`ld.0 q.pub <- x[0] (512: 1 -> 1) as copy
st.0 q.pop -> y[0] (512: 1 -> 1) as copy`),
    );
    expect(energy.hbm).toBe((tally.readAccessBytes + tally.writeAccessBytes) * 8 * 3.9);
    expect(energy.l1).toBeCloseTo(2 * 2048 * 8 * 0.3);
    expect(energy.idle).toBeCloseTo(100 * cycles * 1e-9 * 1e12);
    expect(energy.tensor).toBe(0);
  });
});
