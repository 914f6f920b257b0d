/** `lightloom ops`: every operator that is known, with the versions that its record is right for. */
import type { OperatorRecord } from "../ops/record.js";
import { operators } from "../ops/table.js";
import { fail } from "../support/diagnostic.js";
import { didYouMean } from "../support/suggest.js";
import { command } from "./options.js";
import { printJson, printTable } from "./output.js";

export function opsCommand() {
  return command("ops", "list the supported operators")
    .argument("[name]", "show only operators whose name contains this")
    .action((name = "", options) => {
      const rows = operators
        .filter((record) => record.name.toLowerCase().includes(name.toLowerCase()))
        .map(describe)
        .sort((a, b) => compareText(a.domain, b.domain) || compareText(a.name, b.name));
      if (rows.length === 0) {
        const names = operators.map((record) => record.name);
        fail("L0901", `no operator's name contains "${name}"`, didYouMean(name, names));
      }
      if (options.json) printJson(rows);
      else {
        printTable(
          ["operator", "domain", "opsets", "runs on", "note"],
          rows.map((row) => [row.name, row.domain, opsetText(row), row.runsOn, row.note]),
        );
      }
    });
}

interface OperatorRow {
  readonly name: string;
  readonly domain: string;
  readonly since: number;
  readonly until: number | undefined;
  readonly runsOn: "accelerator" | "host";
  readonly note: string;
}

/** What has a lowering runs on the accelerator wherever a form of it can; the report says where not. */
function describe(record: OperatorRecord): OperatorRow {
  return {
    name: record.name,
    domain: record.domain === "" ? "ai.onnx" : record.domain,
    since: record.since,
    until: record.until,
    runsOn: record.lower === undefined ? "host" : "accelerator",
    note: record.note ?? "",
  };
}

function opsetText({ since, until }: OperatorRow): string {
  return until === undefined ? `${since}+` : `${since}..${until}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
