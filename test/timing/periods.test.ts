/** Long loops: periods are found, and multiplying them changes nothing. */
import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { verifyProgram } from "../../src/isa/verify.js";
import { timeProgram } from "../../src/sim/timing/timing.js";
import { mini } from "../../src/target/machines/mini.js";
import { createRandom } from "../support/random-program/random.js";

interface Nest {
  readonly members: number;
  readonly rows: number;
  readonly deep: number;
  readonly step: number;
  readonly depth: number;
  readonly halo: boolean;
  readonly staged: boolean;
  readonly multicast: boolean;
  readonly tiled: boolean;
  readonly partials: boolean;
}

/** A matrix product's nest: rows shared out over members, a panel per row tile, partial sums over k, a store. */
function nest(shape: Nest): string {
  const { members, rows, deep, step, depth, halo, staged, multicast, tiled, partials } = shape;
  const share = Math.ceil(rows / members);
  const total = rows * 64 + 256;
  const clip = halo ? ` clip 4*i - 8 by 1 in ${4 * rows - 6}` : "";
  const inner = `    ld.0 qa.pub <- a[4*i + k] (ext(k) <= ${step}: 1 -> 1) (8: 1 -> ${step}${clip}) as r
    ld.1 qb.pub <- b[k] (ext(k) <= ${step}: 8 -> 8) (8: 1 -> 1)${multicast ? " to multicast m" : ""} as r
    mma acc.pub@l(k) += qa.pop * qb.pop (m 8: ${step}, 0, 8) (n 8: 0, 1, 1)
        (k ext(k) <= ${step}: 1, 8, 0) clear@f(k) fold@l(k) as r`;
  const sum = partials
    ? `  vec (parallel 8) (reduce 8) in acc.pop (8, 1) lanes {
      r0:f32 = input 0
      r1 = exp r0
      -> r1 }
      out qs.pub (1, 0) reduce max init${staged ? " stage i + 1" : ""} as r
  vec (parallel 8) in qs.pop (1) lanes {
      r0:f32 = input 0
      -> r0 }
      out qo.pub (1)${staged ? " stage i + 1" : ""} as r`
    : `  vec (parallel 8) in acc.pop (8) lanes {
      r0:f32 = input 0
      -> r0 }
      out qo.pub (1)${staged ? " stage i + 1" : ""} as r`;
  const start = tiled ? "m..m + ext(m)" : "0..ext(m)";
  return `program nest
grid 1 x ${members}
scalars 0
binding a f32 ${total + 4 * deep} read
binding b f32 ${8 * deep + 64} read
binding c f32 ${total * 8} write
queue qa l1 f32 ${8 * step} depth ${depth} at 0 from load.0 -> tensor
queue qb l1 f32 ${8 * step} depth 2 at 65536 from load.1 -> tensor
queue acc accumulator f32 64 depth ${staged ? 2 : 1} at 0 from tensor -> vector
${partials ? "queue qs l1 f32 8 depth 1 at 180000 from vector -> vector\n" : ""}\
queue qo l1 f32 8 depth ${depth} at 131072 from vector -> store.0
role r

loop m members 0..${rows} step ${share}
  loop i ${start} in 0..${tiled ? rows : share} step 1
    loop k 0..${deep} step ${step}
${inner}
    end
${sum}
    st.0 qo.pop -> c[8*i + ${tiled ? 0 : 8}*m] (8: 1 -> 1)${staged ? " stage i + 1" : ""} as r
  end
end
halt
`;
}

function randomNest(seed: number): Nest {
  const random = createRandom(seed);
  const members = random.pick([1, 1, 2, 3, 4]);
  const rows = random.int(members, 40 * members);
  // All members of a multicast make the same trips.
  const isEven = rows % members === 0;
  return {
    members,
    rows,
    deep: random.int(1, 300),
    step: random.pick([4, 8, 16]),
    depth: random.int(1, 3),
    halo: random.chance(0.4),
    staged: random.chance(0.4),
    multicast: isEven && random.chance(0.5),
    tiled: random.chance(0.4),
    partials: random.chance(0.4),
  };
}

describe("long loops", () => {
  it("are multiplied exactly, whatever their nest", () => {
    let [skipped, all] = [0, 0];
    for (let seed = 0; seed < 100; seed++) {
      const shape = randomNest(seed);
      const program = assemble(nest(shape));
      const hbm = { ...mini.hbm, bytesPerSecond: [50e9, 3e9, 12.5e9][seed % 3]! };
      const machine = { ...mini, hbm };
      const whole = timeProgram(program, machine, [], { skip: false, merge: false });
      for (const options of [{}, { merge: false }]) {
        const { cycles, engines, tally, effort } = timeProgram(program, machine, [], options);
        const { cycles: wanted } = whole;
        expect({ cycles, engines, tally }, `seed ${seed} ${JSON.stringify(shape)}`).toEqual({
          cycles: wanted,
          engines: whole.engines,
          tally: whole.tally,
        });
        skipped += effort.skippedCycles;
        all += cycles;
      }
    }
    expect(skipped / all).toBeGreaterThan(0.3);
  });

  it("take a few dozen steps, however long they are", () => {
    const shape: Nest = {
      members: 4,
      rows: 40_000,
      deep: 80_000,
      step: 16,
      depth: 2,
      halo: true,
      staged: true,
      multicast: true,
      tiled: false,
      partials: true,
    };
    const program = assemble(nest(shape));
    expect(verifyProgram(program)).toEqual([]);
    const { cycles, effort, tally } = timeProgram(program, mini, []);
    expect(tally.macsF32).toBe(40_000 * 80_000 * 64);
    expect(effort.steps).toBeLessThan(5000);
    expect(effort.skippedCycles / cycles).toBeGreaterThan(0.999);
  });
});
