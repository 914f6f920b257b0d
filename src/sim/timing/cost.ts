/** The form of a cost, and what the formulas share. */
import { dtypes, type DeviceDType } from "../../numerics/dtype.js";
import type { TallyRow } from "./tally.js";

export interface Cost {
  /** Cycles on the engine; of a transfer, those that its slot's side takes however fast memory is. */
  readonly cycles: number;
  /** Bytes that a transfer takes of memory's bandwidth: whole accesses, and what each run costs more. */
  readonly memoryBytes: number;
  /** Bytes that a transfer writes to or reads from its slot. Writes are counted where the slots are. */
  readonly slotBytes: number;
  /** Counted once per access of memory, which a multicast makes once for all its members. */
  readonly shared: TallyRow;
  /** Counted on every member that takes part. */
  readonly own: TallyRow;
}

export function product(values: readonly number[]): number {
  return values.reduce((a, b) => a * b, 1);
}

export function bitsOf(dtype: DeviceDType): number {
  return dtypes[dtype].bits;
}
