/**
 * What is counted while a program runs, apart from cycles: one flat row of integers, so that a steady phase can be
 * multiplied. Energy is derived from it in `energy.ts`.
 */

export const tallyFields = [
  /** Elements of memory that loads and stores move, each once per instruction, in bytes. */
  "loadedBytes",
  "storedBytes",
  /** The same in whole accesses: what the memory moves. */
  "readAccessBytes",
  "writeAccessBytes",
  /** The same with what every run costs more: what they take of memory's bandwidth. */
  "readBandwidthBytes",
  "writeBandwidthBytes",
  "l1ReadBytes",
  "l1WriteBytes",
  "accumulatorReadBytes",
  "accumulatorWriteBytes",
  /** Bytes times links between tiles. */
  "linkBytes",
  "macsF32",
  "macsF16",
  "macsBf16",
  "macsF8",
  "macsI8",
  "laneOperations",
  /** Functions, divisions and square roots, per lane. */
  "transcendentals",
  "instructions",
] as const;

export type TallyField = (typeof tallyFields)[number];
export type Tally = Readonly<Record<TallyField, number>>;
/** In the order of {@link tallyFields}. */
export type TallyRow = Float64Array;

const places = new Map(tallyFields.map((field, i) => [field, i]));

export function tallyRow(counts: Partial<Tally>): TallyRow {
  const row = new Float64Array(tallyFields.length);
  for (const [field, count] of Object.entries(counts))
    row[places.get(field as TallyField)!] = count;
  return row;
}

/** What nothing counts. */
export const emptyRow: TallyRow = tallyRow({});

export function addToTally(into: Float64Array, field: TallyField, amount: number): void {
  into[places.get(field)!]! += amount;
}

export function tallyOf(row: ArrayLike<number>, offset = 0): Tally {
  const entries = tallyFields.map((field, i) => [field, row[offset + i] ?? 0] as const);
  return Object.fromEntries(entries) as Record<TallyField, number>;
}

export function addTally(into: Float64Array, row: TallyRow, times: number): void {
  if (times === 0) return;
  for (let i = 0; i < row.length; i++) into[i]! += row[i]! * times;
}

export function sumTallies(tallies: Iterable<Tally>): Tally {
  const sum = new Float64Array(tallyFields.length);
  for (const tally of tallies) addTally(sum, tallyRow(tally), 1);
  return tallyOf(sum);
}

export function macsOf(tally: Tally): number {
  return tally.macsF32 + tally.macsF16 + tally.macsBf16 + tally.macsF8 + tally.macsI8;
}
