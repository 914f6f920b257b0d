/** Launches that threads share: the same bits and faults whoever runs the members, and no worker that is left over. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import type { Program } from "../../src/isa/program.js";
import { deviceBytes } from "../../src/sim/engine.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { word, writeFailure } from "../../src/sim/jit/threads/protocol.mjs";
import type { PoolWorker } from "../../src/sim/jit/threads/threads.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { bytesOf, launch } from "../support/programs.js";
import { type RandomProgram, randomProgram } from "../support/random-program.js";
import { differenceOf } from "../support/same-results.js";
import { untilShared, watchedPool } from "../support/threaded.js";

const reference = createReferenceEngine();
const programOf = (name: string) =>
  assemble(readFileSync(join(import.meta.dirname, "../cases/asm", name), "utf8"));
const gather = programOf("gather.s");
const elements = Array.from({ length: 16 }, (_, i) => i / 2);

/** Indices of which the one at `bad`, if any, is out of range. */
const indices = (bad?: number) =>
  Array.from({ length: 32 }, (_, i) => (i === bad ? 16 : (5 * i) % 16));

/** An engine that shares even the shortest launches, and one memory that all launches use. */
function shared(threads: number, sizeBytes: number) {
  const pool = watchedPool(threads);
  const engine = createJitEngine({ pool, sharedWorkMin: 0 });
  const memory = engine.allocate(sizeBytes);
  const run = (
    program: Program,
    contents: RandomProgram["contents"],
    scalars: readonly number[] = [],
  ) => {
    deviceBytes(memory).fill(0);
    return launch(engine, program, contents, scalars, memory);
  };
  return { pool, engine, memory, run };
}

const cases = Array.from({ length: 100 }, (_, i) => randomProgram(3000 + i)).map((made) => ({
  ...made,
  expected: launch(reference, made.program, made.contents, made.scalars),
}));

describe.each([2, 3])("%i threads", (threads) => {
  const sizeBytes = Math.max(...cases.map(({ program }) => bytesOf(program)));
  const { pool, engine, memory, run } = shared(threads, sizeBytes);
  afterAll(() => memory.release());

  it("give the bits and faults of the reference on random programs, seeds 3000 to 3099", async () => {
    for (const { program } of cases) engine.prepare(program);
    await untilShared(pool, 1, () => run(gather, [indices(), elements]));
    const before = pool.taken();
    const differences = cases.flatMap(({ seed, program, contents, scalars, expected }) =>
      Array.from({ length: 4 }, () => {
        const difference = differenceOf(expected, run(program, contents, scalars));
        return difference === undefined ? [] : [`seed ${seed}: ${difference}`];
      }).flat(),
    );
    expect(differences).toEqual([]);
    expect(pool.taken()).toBeGreaterThan(before);
  });

  it("report a fault of any member once", async () => {
    const expected = launch(reference, gather, [indices(3), elements]).faults;
    expect(expected).toEqual([{ kind: "index-out-of-range", instruction: 1, role: 0 }]);
    let bad = 0;
    await untilShared(pool, 40, () => {
      bad = (bad + 3) % 32;
      expect(run(gather, [indices(bad), elements]).faults).toEqual(expected);
      expect(run(gather, [indices(), elements]).faults).toEqual([]);
    });
  });
});

describe("workers", () => {
  it("are started for the first launch that is worth sharing", () => {
    const pool = watchedPool(2);
    const engine = createJitEngine({ pool });
    const short = launch(engine, gather, [indices(), elements]);
    expect(differenceOf(launch(reference, gather, [indices(), elements]), short)).toBeUndefined();
    expect(pool.workers).toEqual([]);
    const long = programOf("long.s");
    const memory = engine.allocate(bytesOf(long));
    launch(engine, long, [[3]], [], memory);
    expect(pool.workers).toHaveLength(1);
    memory.release();
  });

  it("stay out of programs whose members wait for one another", () => {
    const { pool, run } = shared(2, 4096);
    const waiting = Array.from({ length: 60 }, (_, seed) => randomProgram(seed)).filter(
      ({ program }) =>
        bytesOf(program) <= 4096 && /neighbour|"shared"/.test(JSON.stringify(program)),
    );
    expect(waiting.length).toBeGreaterThan(3);
    for (const { program, contents, scalars } of waiting) run(program, contents, scalars);
    expect(pool.workers).toEqual([]);
  });

  it("end when the memory is released, and begin again for the next", async () => {
    const { pool, memory, engine, run } = shared(3, 4096);
    await untilShared(pool, 1, () => run(gather, [indices(), elements]));
    expect(pool.workers.map((worker) => worker.failure())).toEqual([undefined, undefined]);
    memory.release();
    await expect.poll(() => pool.workers.every((worker) => worker.failure())).toBe(true);
    const next = engine.allocate(4096);
    const again = () => void launch(engine, gather, [indices(), elements], [], next);
    await untilShared(pool, 1, again);
    expect(pool.workers).toHaveLength(4);
    next.release();
  });

  it("that die make the next launch fail, not hang; then there are new ones", async () => {
    const { pool, memory, run } = shared(2, 4096);
    const go = () => run(gather, [indices(), elements]);
    await untilShared(pool, 1, go);
    pool.workers[0]!.end();
    await expect.poll(() => pool.workers[0]!.failure()).toBeDefined();
    expect(go).toThrow("a thread of the simulator has ended");
    await untilShared(pool, 1, go);
    expect(pool.workers).toHaveLength(2);
    memory.release();
  });

  it("that die in a launch make it fail, not hang", () => {
    const engine = engineWith((words) => void Atomics.add(words, word.busy, 1));
    expect(() => launch(engine, gather, [indices(), elements])).toThrow("has ended");
  });

  it("that throw make the launch fail", () => {
    const engine = engineWith((words) => writeFailure(words, new RangeError("too deep")));
    expect(() => launch(engine, gather, [indices(), elements])).toThrow("RangeError: too deep");
  });
});

/** An engine with a worker that lives until it is waited for, and does nothing but what happens when it joins. */
function engineWith(join: (words: Int32Array) => void) {
  let failure: string | undefined;
  const worker: PoolWorker = {
    post: (message) => void (message.kind === "join" && join(message.words)),
    failure: () => failure,
    end: () => {},
  };
  const sleep = (): void => void (failure = "it ran out of memory");
  return createJitEngine({ pool: { threads: 2, start: () => worker, sleep }, sharedWorkMin: 0 });
}
