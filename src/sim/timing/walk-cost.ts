/**
 * What a walk between memory and a slot costs: contiguous runs of memory, and places in the slot. Never looks at
 * addresses: an access is as good at one place as at another.
 */

export interface WalkStrides {
  readonly count: number;
  readonly stride: number;
}

/** Memory that a walk touches: `runs` contiguous runs of `elements` each. */
export interface Runs {
  readonly runs: number;
  readonly elements: number;
}

/**
 * Axes from the smallest stride up join a run as long as they leave no gap in it; an axis that stands still or overlaps is
 * read once and repeated. All others, and `scattered` axes in any case, begin a new run at each of their positions.
 */
export function runsOf(axes: readonly WalkStrides[], scattered?: number): Runs {
  if (axes.some((axis) => axis.count === 0)) return { runs: 0, elements: 0 };
  const order = axes
    .map(({ count, stride }, i) => ({
      count,
      stride: Math.abs(stride),
      isScattered: i === scattered,
    }))
    .filter(({ count, stride, isScattered }) => isScattered || (count > 1 && stride > 0))
    .sort((a, b) => a.stride - b.stride);
  let elements = 1;
  let runs = 1;
  for (const { count, stride, isScattered } of order) {
    if (!isScattered && runs === 1 && stride <= elements) elements += (count - 1) * stride;
    else runs *= count;
  }
  return { runs, elements };
}

export interface PlacedAxis {
  readonly count: number;
  readonly memoryStride: number;
  readonly slotStride: number;
}

/**
 * Number of pieces that lie together both in memory and in the slot; a repeated piece of memory that fills its
 * neighbourhood in the slot counts as one.
 */
export function placesOf(axes: readonly PlacedAxis[], scattered?: number): number {
  const total = axes.reduce((product, axis) => product * axis.count, 1);
  if (total === 0) return 0;
  const order = axes
    .filter((axis, i) => i !== scattered && axis.count > 1)
    .sort((a, b) => Math.abs(a.slotStride) - Math.abs(b.slotStride));
  let piece = 1;
  for (const { count, memoryStride, slotStride } of order) {
    if (slotStride !== piece || (memoryStride !== piece && memoryStride !== 0)) break;
    piece *= count;
  }
  return total / piece;
}
