/** Tables of text for people: columns as wide as their cells, numbers to the right. */

export type Cell = string | number;

/** Turns text into what a terminal shows bold or dim; the identity where there are no colours. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
}

export const plainStyle: Style = { bold: (text) => text, dim: (text) => text };
export const colourStyle: Style = {
  bold: (text) => `\x1b[1m${text}\x1b[22m`,
  dim: (text) => `\x1b[2m${text}\x1b[22m`,
};

export interface TableOptions {
  readonly style: Style;
  /** Longer cells are cut. */
  readonly widthMax: number;
}

export function tableText(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  { style, widthMax }: TableOptions,
): string {
  const texts = rows.map((row) => row.map((cell) => cut(cellText(cell), widthMax)));
  const widths = head.map((title, i) =>
    Math.max(title.length, ...texts.map((row) => (row[i] ?? "").length)),
  );
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => isNumeric(row[i]!)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [style.bold(line(head)), ...texts.map(line)].join("\n");
}

/** Numbers with their unit, too. */
function isNumeric(cell: Cell): boolean {
  return typeof cell === "number" || /^[\d.,]+( ?[%A-Za-zµ/]{1,4})?$|^-?$/.test(cell);
}

function cut(text: string, widthMax: number): string {
  return text.length <= widthMax ? text : `${text.slice(0, widthMax - 1)}…`;
}

function cellText(cell: Cell): string {
  return typeof cell === "number" ? numberText(cell) : cell;
}

/** Thousands separated; fractions with four significant digits. */
export function numberText(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return `${Number(value.toPrecision(4))}`;
}

/** 1024-based, three significant digits. */
export function bytesText(bytes: number): string {
  return scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}

/** 1000-based with the unit's prefix, three significant digits. */
export function scaledText(value: number, unit: string): string {
  if (value === 0) return `0 ${unit}`.trimEnd();
  const prefixes = ["p", "n", "µ", "m", "", "k", "M", "G", "T", "P"];
  const units = prefixes.map((prefix) => `${prefix}${unit}`);
  return scaled(value / 1e-12, 1000, units);
}

export function secondsText(seconds: number): string {
  return seconds < 1 ? scaledText(seconds, "s") : `${threeDigits(seconds)} s`;
}

export function percentText(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let at = 0;
  let rest = value;
  while (rest >= base && at < units.length - 1) {
    rest /= base;
    at++;
  }
  return `${threeDigits(rest)} ${units[at]}`.trimEnd();
}

function threeDigits(value: number): string {
  if (value >= 99.95) return String(Math.round(value));
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}
