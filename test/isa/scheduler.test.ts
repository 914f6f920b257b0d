import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { disassemble } from "../../src/isa/disassemble.js";
import { sitesOf } from "../../src/isa/sites.js";
import { verifyContents } from "../../src/isa/verify-contents.js";
import { verifyQueues } from "../../src/isa/verify-queues.js";
import { verifyStructure } from "../../src/isa/verify-structure.js";
import { schedule } from "../support/queue-scheduler.js";
import { randomQueues } from "../support/random-queues.js";
import { Random } from "../support/random.js";

describe("the queue theorem", () => {
  it("holds: no accepted program deadlocks, and all orders give the same data", () => {
    let programs = 0;
    for (let seed = 0; seed < 1500; seed++) {
      const { program } = randomQueues(seed);
      const problems = [...verifyStructure(program, undefined)];
      if (problems.length === 0) {
        const sites = sitesOf(program);
        problems.push(...verifyQueues(program, sites), ...verifyContents(program, sites));
      }
      if (problems.length > 0) continue;
      programs++;
      const scalars = [seed % 4, 1 + (seed % 3)];
      const outcomes = new Set<string>();
      for (let run = 0; run < 4; run++) {
        outcomes.add(JSON.stringify(schedule(program, scalars, new Random(7 * seed + run))));
      }
      expect(outcomes.size, `seed ${seed}\n${disassemble(program)}`).toBe(1);
      expect([...outcomes][0]).toContain("done");
    }
    expect(programs).toBeGreaterThan(1000);
  });

  it("can fail: this scheduler sees a deadlock, and data that depend on the order", () => {
    const text = (second: string) => `program two
grid 1 x 1
scalars 0
binding x f32 16 read
binding y f32 16 write
queue a l1 f32 1 depth 1 at 0 from load.0 -> store.0
queue b l1 f32 1 depth 2 at 64 from load.0 -> store.0
role r
role s
ld.0 a.pub <- x[0] (1: 1 -> 1) as r
${second}
st.0 b.pop -> y[0] (1: 1 -> 1) as r
st.0 a.pop -> y[0] (1: 1 -> 1) as r
st.0 a.pop -> y[0] (1: 1 -> 1) as r
halt
`;
    const stuck = assemble(
      text("ld.0 a.pub <- x[0] (1: 1 -> 1) as s\nld.0 b.pub <- x[0] (1: 1 -> 1) as s"),
    );
    expect(verifyQueues(stuck, sitesOf(stuck))).not.toEqual([]);
    expect(schedule(stuck, [], new Random(1))).toEqual({ kind: "deadlock" });

    const twoProducers = assemble(
      text("ld.1 a.pub <- x[0] (1: 1 -> 1) as s\nld.0 b.pub <- x[0] (1: 1 -> 1) as s").replace(
        "a l1 f32 1 depth 1",
        "a l1 f32 1 depth 2",
      ),
    );
    expect(verifyStructure(twoProducers, undefined)).not.toEqual([]);
    const outcomes = new Set<string>();
    for (let run = 0; run < 20; run++) {
      outcomes.add(JSON.stringify(schedule(twoProducers, [], new Random(run))));
    }
    expect(outcomes.size).toBeGreaterThan(1);
  });
});
