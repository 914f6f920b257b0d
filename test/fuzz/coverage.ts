/** What the cases of a run have reached: for each operator its types, where it ran, what refused it, who agreed. */
import { type DType, dtypes } from "../../src/numerics/dtype.js";

/** One node of one case. */
export interface NodeReport {
  readonly operator: string;
  readonly ranOn: "accelerator" | "host" | "refused";
  /** Of what it reads first. */
  readonly dtype?: DType;
  /** "equal", or why ONNX Runtime has no opinion. */
  readonly peer?: string;
}

export interface Coverage {
  add(nodes: readonly NodeReport[]): void;
  /** A table by operator, and the types that none of the nodes has read. */
  text(operators: readonly string[]): string;
}

const columns = ["accelerator", "host", "refused", "as ONNX Runtime"] as const;

type Row = Record<(typeof columns)[number], number> & { readonly types: Map<string, number> };

export function createCoverage(): Coverage {
  const rows = new Map<string, Row>();
  const rowOf = (operator: string): Row => {
    const row = rows.get(operator) ?? emptyRow();
    rows.set(operator, row);
    return row;
  };
  return {
    add(nodes) {
      for (const { operator, ranOn, dtype, peer } of nodes) {
        const row = rowOf(operator);
        row[ranOn]++;
        if (peer === "equal") row["as ONNX Runtime"]++;
        if (dtype !== undefined) row.types.set(dtype, (row.types.get(dtype) ?? 0) + 1);
      }
    },
    text(operators) {
      const lines = operators.map((operator) => lineOf(operator, rows.get(operator) ?? emptyRow()));
      const read = new Set([...rows.values()].flatMap(({ types }) => [...types.keys()]));
      const unread = Object.keys(dtypes).filter((dtype) => !read.has(dtype));
      const head = lineOfCells(["operator", ...columns, "types"]);
      return [head, ...lines, `types that no node has read: ${unread.join(", ") || "none"}`].join(
        "\n",
      );
    },
  };
}

function emptyRow(): Row {
  return { accelerator: 0, host: 0, refused: 0, "as ONNX Runtime": 0, types: new Map() };
}

function lineOf(operator: string, row: Row): string {
  const types = [...row.types].sort(([, a], [, b]) => b - a);
  const text = types.map(([dtype, count]) => `${dtype} ${count}`).join(", ");
  return lineOfCells([operator, ...columns.map((column) => String(row[column])), text]);
}

function lineOfCells([first, ...rest]: readonly string[]): string {
  return [first!.padEnd(40), ...rest.map((cell, i) => (i < 4 ? cell.padStart(15) : `  ${cell}`))]
    .join("")
    .trimEnd();
}
