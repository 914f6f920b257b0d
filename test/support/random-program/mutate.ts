/** A program with one number or flag changed, anywhere but where it would merely be ill-formed. */
import type { Program } from "../../../src/isa/program.js";
import type { Random } from "./random.js";

export interface Mutant {
  readonly program: Program;
  /** What was changed, for messages. */
  readonly change: string;
}

export function mutate(program: Program, random: Random): Mutant {
  const changed = structuredClone(program);
  const spots: Spot[] = [];
  collect(changed, "", spots);
  const { holder, key, path } = random.pick(spots);
  const before = holder[key];
  const after =
    typeof before === "boolean"
      ? !before
      : (before as number) + random.pick([1, -1, 2, -2, 5, -(before as number)]);
  holder[key] = after === 0 ? 0 : after;
  return { program: changed, change: `${path}: ${String(before)} to ${String(after)}` };
}

interface Spot {
  readonly holder: Record<string, unknown>;
  readonly key: string;
  readonly path: string;
}

/** Lane programs and roles have their own tests; a launch has as many scalars as the program says. */
const untouched = new Set(["program", "role", "scalarCount"]);

function collect(part: unknown, path: string, spots: Spot[]): void {
  if (part === null || typeof part !== "object") return;
  const holder = part as Record<string, unknown>;
  for (const [key, value] of Object.entries(holder)) {
    if (untouched.has(key)) continue;
    const here = `${path}.${key}`;
    if (typeof value === "boolean" || Number.isInteger(value))
      spots.push({ holder, key, path: here });
    else collect(value, here, spots);
  }
}
