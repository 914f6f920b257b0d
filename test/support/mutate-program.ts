/** Breaks a program in one number somewhere: an offset, a stride, a count, a limit, a size. */
import type { Program } from "../../src/isa/program.js";
import type { Random } from "./random.js";

/** Numbers that a program may be wrong in; ids and engine numbers are left alone. */
const keys = new Set([
  "constant",
  "coefficient",
  "max",
  "memoryStride",
  "slotStride",
  "strideA",
  "strideB",
  "strideC",
  "step",
  "minTotal",
  "maxTotal",
  "elements",
  "depth",
  "partialStride",
  "rows",
  "columns",
]);

export function mutateProgram(program: Program, random: Random): Program {
  const copy = structuredClone(program);
  const places: { readonly holder: Record<string, number>; readonly key: string }[] = [];
  const collect = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const holder = value as Record<string, unknown>;
    for (const [key, item] of Object.entries(holder)) {
      if (typeof item === "number" && keys.has(key)) {
        places.push({ holder: holder as Record<string, number>, key });
      } else if (key === "strides" && Array.isArray(item)) {
        item.forEach((_, i) => places.push({ holder: item as never, key: String(i) }));
      } else collect(item);
    }
  };
  collect([copy.grid, copy.bindings, copy.queues, copy.body]);
  const { holder, key } = random.pick(places);
  const before = holder[key]!;
  holder[key] = random.pick([before + 1, before - 1, 2 * before, -before, random.integer(0, 9)]);
  return copy;
}
