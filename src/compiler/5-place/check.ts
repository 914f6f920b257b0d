/** The dumb checker of placements: compares every pair of buffers. Runs after every placement. */
import { byteLength } from "../../numerics/dtype.js";
import type { Placement, PlacementRequest } from "./place.js";

/** One sentence per pair that lies over one another while both live, and per buffer that sticks out. */
export function checkPlacement(
  requests: readonly PlacementRequest[],
  placement: Placement,
): string[] {
  const problems: string[] = [];
  const ranges = requests.map((request, i) => {
    const begin = placement.offsetsBytes[i]!;
    return { begin, end: begin + byteLength(request.dtype, request.elements) };
  });
  requests.forEach((a, i) => {
    const range = ranges[i]!;
    if (range.begin < 0 || range.end > placement.totalBytes) {
      problems.push(
        `"${a.name}" at [${range.begin}, ${range.end}) is outside the ${placement.totalBytes} bytes`,
      );
    }
    for (let j = 0; j < i; j++) {
      const b = requests[j]!;
      const live =
        a.life === undefined ||
        b.life === undefined ||
        (a.life.begin < b.life.end && b.life.begin < a.life.end);
      const other = ranges[j]!;
      if (live && range.begin < other.end && other.begin < range.end) {
        problems.push(
          `"${a.name}" at [${range.begin}, ${range.end}) lies over "${b.name}" at [${other.begin}, ${other.end})`,
        );
      }
    }
  });
  return problems;
}
