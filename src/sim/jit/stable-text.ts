/** Plain data as a text that is equal for equal data: JSON that keeps -0, NaN and infinities apart. */
export function stableText(data: unknown, without: readonly string[] = []): string {
  return JSON.stringify(data, (key, value: unknown) => {
    if (without.includes(key)) return undefined;
    if (typeof value !== "number") return value;
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : `#${Object.is(value, -0) ? "-0" : value}`;
  });
}
