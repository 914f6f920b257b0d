/**
 * Sharing the device memory's bandwidth among the streams that move data at the same time. Amounts are grains,
 * 1/1024 of a byte, so that rates are integers and a steady state repeats exactly.
 */

export const grainsPerByte = 1024;

/** Data on their way, as one of `weight` equal streams. */
export interface Stream {
  readonly weight: number;
  /** Grains per cycle that its channel, its port and the network let through at most. */
  readonly cap: number;
  /** Streams with the same number share the same links between tiles, which carry `linkCap` of them. */
  readonly links: number | undefined;
  readonly linkCap: number;
  /** False: it takes none of memory's bandwidth. */
  readonly usesMemory: boolean;
  /** Grains per cycle now. */
  rate: number;
}

/**
 * Every stream gets the floor of an equal share, or its cap where that is less; what capped streams leave is shared by the
 * others. The rest, less than one grain per stream and cycle, is not given, so equal streams stay equal.
 */
export function shareBandwidth(streams: readonly Stream[], grainsPerCycle: number): void {
  const users = new Map<number, number>();
  for (const { links } of streams) {
    if (links !== undefined) users.set(links, (users.get(links) ?? 0) + 1);
  }
  let open: { readonly stream: Stream; readonly cap: number }[] = [];
  for (const stream of streams) {
    const sharing = stream.links === undefined ? 1 : users.get(stream.links)!;
    const cap = Math.min(stream.cap, Math.max(1, Math.floor(stream.linkCap / sharing)));
    if (stream.usesMemory) open.push({ stream, cap });
    else stream.rate = cap;
  }
  let left = grainsPerCycle;
  let weight = open.reduce((sum, { stream }) => sum + stream.weight, 0);
  while (open.length > 0) {
    const share = Math.max(1, Math.floor(left / weight));
    const capped = open.filter(({ cap }) => cap <= share);
    if (capped.length === 0) {
      for (const { stream } of open) stream.rate = share;
      return;
    }
    for (const { stream, cap } of capped) {
      stream.rate = cap;
      left -= cap * stream.weight;
      weight -= stream.weight;
    }
    open = open.filter(({ cap }) => cap > share);
  }
}
