/** How commands write: tables and JSON on stdout, progress on stderr while a person watches. */
import Table from "cli-table3";
import { pc } from "./colors.js";

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Maps become objects and big integers numbers or strings, so that every program can read it. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, plain, 2));
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }
  return value;
}

type Cell = string | number;

/** Columns of numbers are aligned to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const colAligns = head.map((_, column) =>
    rows.every((row) => typeof row[column] === "number") ? "right" : "left",
  );
  const table = new Table({
    head: head.map((text) => pc.bold(text)),
    colAligns: colAligns as ("left" | "right")[],
    chars: bare,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
  });
  table.push(...rows.map((row) => row.map(cellText)));
  print(table.toString().replaceAll(/ +$/gm, ""));
}

function cellText(cell: Cell): string {
  return typeof cell === "number" ? numberText(cell) : cell;
}

/** Thousands separated; fractions with four significant digits. */
export function numberText(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return `${Number(value.toPrecision(4))}`;
}

const bare = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
    "middle",
  ].map((name) => [name, ""]),
);

export interface Progress {
  show(text: string): void;
  clear(): void;
}

/** One line that is rewritten; nothing where stderr is no terminal. */
export function createProgress(): Progress {
  const { stderr } = process;
  if (!stderr.isTTY) return { show: () => undefined, clear: () => undefined };
  const clear = () => stderr.write("\r\x1b[K");
  return {
    show: (text) => {
      clear();
      stderr.write(pc.dim(text.slice(0, (stderr.columns ?? 80) - 1)));
    },
    clear,
  };
}

/** Something the user should know that is no error. */
export function note(text: string): void {
  process.stderr.write(`${pc.dim(`note: ${text}`)}\n`);
}
