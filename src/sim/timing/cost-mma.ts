/** What an mma costs: see {@link mmaCost}. */
import type { MmaBody } from "../../ir/tile.js";
import type { Condition, Program, SlotDest, SlotSource } from "../../isa/program.js";
import { type DeviceDType, isFloat } from "../../numerics/dtype.js";
import { type DeviceMachine, type TensorType, tensorTypeOf } from "../../target/machine.js";
import { bitsOf, type Cost, product } from "./cost.js";
import { emptyRow, type Tally, tallyRow } from "./tally.js";

type Mma = MmaBody<SlotSource, SlotDest, Condition>;

const macField = {
  f32: "macsF32",
  f16: "macsF16",
  bf16: "macsBf16",
  f8: "macsF8",
  i8: "macsI8",
} as const satisfies Record<TensorType, keyof Tally>;

/** A floating accumulator cell is a sum and an open segment. */
function cellBytes(dtype: DeviceDType): number {
  return isFloat(dtype) ? 8 : 4;
}

/**
 * The stationary operand is held in blocks of `rows` positions of k by `columns` of n (or of m, whichever takes
 * fewer cycles); a pass streams the other operand's vectors through one block, 1 / rate cycles each, no less than
 * passCyclesMin. Both operands come through the port: each block once, the vectors once per pass.
 */
export function mmaCost(
  body: Mma,
  extents: readonly number[],
  { queues }: Program,
  { tensor, l1 }: DeviceMachine,
): Cost {
  const along = (role: "g" | "m" | "n" | "k") =>
    product(extents.filter((_, i) => body.axes[i]!.role === role));
  const [g, m, n, k] = [along("g"), along("m"), along("n"), along("k")];
  const macs = g * m * n * k;
  const typeA = queues[body.a.queue]!.dtype;
  const typeB = queues[body.b.queue]!.dtype;
  const rates = [tensorTypeOf(typeA), tensorTypeOf(typeB)] as const;
  const type = tensor.rate[rates[0]] <= tensor.rate[rates[1]] ? rates[0] : rates[1];
  const passesK = Math.ceil(k / tensor.rows);
  const orientation = (streamed: number, held: number, [moving, still]: readonly number[]) => {
    const blocks = Math.ceil(held / tensor.columns);
    const pass = Math.max(Math.ceil(streamed / tensor.rate[type]), tensor.passCyclesMin);
    const readBytes = Math.ceil((g * k * (streamed * blocks * moving! + held * still!)) / 8);
    const passCycles = g * passesK * blocks * pass;
    const cycles = Math.max(passCycles, Math.ceil(readBytes / l1.portBytesPerCycle));
    return { cycles, readBytes };
  };
  const bits = [bitsOf(typeA), bitsOf(typeB)] as const;
  const holdB = orientation(m, n, bits);
  const holdA = orientation(n, m, [bits[1], bits[0]]);
  const best = holdA.cycles < holdB.cycles ? holdA : holdB;
  const isEmpty = macs === 0;
  const sums = g * m * n * passesK * cellBytes(queues[body.dest.queue]!.dtype);
  return {
    cycles: Math.max(isEmpty ? 0 : best.cycles, tensor.issueCycles),
    memoryBytes: 0,
    slotBytes: 0,
    shared: emptyRow,
    own: tallyRow({
      instructions: 1,
      [macField[type]]: macs,
      l1ReadBytes: isEmpty ? 0 : best.readBytes,
      accumulatorReadBytes: sums,
      accumulatorWriteBytes: sums,
    }),
  };
}
