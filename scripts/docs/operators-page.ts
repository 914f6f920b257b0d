/** docs/operators.md: what every operator record says about itself. */
import type { OperatorRecord } from "../../src/ops/record.js";
import { operators } from "../../src/ops/table.js";
import { page, table } from "./markdown.js";

export function operatorsPage(): string {
  const domains = [...new Set(operators.map((record) => record.domain))].sort();
  const names = new Set(operators.map(({ domain, name }) => `${domain}:${name}`));
  return page(
    "Supported operators",
    "src/ops/table.ts",
    `${names.size} operators in ${operators.length} records. "accelerator": lowered to core operations, which run on ` +
      "the device for every data type that it has; the same lowering evaluates the operator on the host for the other " +
      'types. "accelerator, else host": the forms that the lowering declines are evaluated on the host by an ' +
      'evaluation of their own. "host": only that evaluation exists. `lightloom report MODEL` says for every node of a ' +
      "model where it runs and why.",
    ...domains.map(domainSection),
  );
}

function domainSection(domain: string): string {
  const rows = operators
    .filter((record) => record.domain === domain)
    .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.since - b.since))
    .map((record) => [record.name, opsets(record), place(record), record.note ?? ""]);
  return `## ${domain === "" ? "ai.onnx" : domain}\n\n${table(["operator", "opsets", "runs on", "note"], rows)}`;
}

function opsets({ since, until }: OperatorRecord): string {
  return until === undefined ? `${since}+` : since === until ? `${since}` : `${since} to ${until}`;
}

function place({ lower, evaluate }: OperatorRecord): string {
  if (lower === undefined) return "host";
  return evaluate === undefined ? "accelerator" : "accelerator, else host";
}
