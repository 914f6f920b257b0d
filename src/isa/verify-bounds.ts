/**
 * Bounds: every operand stays in its slot, every walk in its binding, for all trips and all runtime scalars.
 * A slot is checked at all positions of the instruction, clipped ones too.
 */
import { formOf, type Bounds, type WalkAxis } from "./bounds.js";
import type { Problem } from "./problem.js";
import type { Program } from "./program.js";
import type { Site } from "./sites.js";

export function verifyBounds(program: Program, sites: readonly Site[]): Problem[] {
  return sites.flatMap((site) => siteProblems(program, site));
}

function siteProblems(program: Program, site: Site): Problem[] {
  const problems: Problem[] = [];
  const check = (access: Access) => {
    const reason = outside(access, site.bounds);
    if (reason !== undefined) problems.push({ path: site.path, reason });
  };
  for (const { what, slot, axes } of site.slots) {
    const { name, elements } = program.queues[slot.queue]!;
    check({ what: `${what} in queue ${name}`, base: slot.offset, axes, elements });
  }
  for (const { what, memory, axes } of site.memory) {
    const { name, elements } = program.bindings[memory.binding]!;
    check({ what: `${what} in binding ${name}`, base: memory.offset, axes, elements });
  }
  return problems;
}

interface Access {
  readonly what: string;
  readonly base: Parameters<typeof formOf>[0];
  readonly axes: readonly WalkAxis[];
  readonly elements: number;
}

function outside({ what, base, axes, elements }: Access, bounds: Bounds): string | undefined {
  if (axes.some((axis) => isEmpty(axis))) return undefined;
  const { low, high } = bounds.walk(formOf(base), axes);
  if (low >= 0 && high < elements) return undefined;
  return `${what} may reach elements ${low} to ${high} of ${elements}`;
}

function isEmpty({ count, clip }: WalkAxis): boolean {
  const empty = ({ value, max }: WalkAxis["count"]) =>
    max === 0 || (value.terms.length === 0 && value.constant <= 0);
  return empty(count) || (clip !== undefined && empty(clip.limit));
}
