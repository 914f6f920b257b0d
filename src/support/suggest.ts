/** "Did you mean": the known name nearest to one that is not known, as the hint of a diagnostic. */

/** `{ hint }`, or nothing if no name is near enough to be a slip of the same. */
export function didYouMean(name: string, known: Iterable<string>): { readonly hint?: string } {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best === undefined ? {} : { hint: `Did you mean "${best}"?` };
}

/** Insertions, deletions and substitutions that make b of a. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(previous[j]! + 1, current[j - 1]! + 1, substituted));
    }
    previous = current;
  }
  return previous[b.length]!;
}
