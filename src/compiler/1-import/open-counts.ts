/**
 * Numbers that only a run shows, as how many trips a loop makes before its condition fails. What is made of so many
 * parts has a symbol for a dim, laid out for the most there can be, as long as nobody needs the number before.
 */
import { NeedsBinding } from "../../ir/dim.js";

/** Runs `attempt` again without the counts that cannot stay open; it asks for each by its name. */
export function withOpenCounts<T>(attempt: (openCount: (name: string) => boolean) => T): T {
  const refused = new Set<string>();
  for (;;) {
    const opened = new Set<string>();
    const open = (name: string): boolean => {
      if (refused.has(name)) return false;
      opened.add(name);
      return true;
    };
    try {
      return attempt(open);
    } catch (error) {
      if (!(error instanceof NeedsBinding)) throw error;
      const needed = error.symbols.filter((name) => opened.has(name));
      if (needed.length === 0) throw error;
      for (const name of needed) refused.add(name);
    }
  }
}
