/** As JSON, but different texts for different numbers: NaN, infinities and -0, which JSON does not tell apart, too. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "number" && (!Number.isFinite(part) || Object.is(part, -0))
      ? { special: Object.is(part, -0) ? "-0" : String(part) }
      : part,
  );
}
