/** A bisection as lines for people. */
import type { Bisection } from "./bisect.js";
import type { Difference, Finding, Level } from "./bisect-finding.js";

const meaning: { readonly [L in Level]: string } = {
  operator: "the operators' records against the expected outputs",
  pass: "the graph after every pass, in bits where it does not round",
  kernel: "every kernel by itself against its graph, in bits",
  program: "every program against its kernel, in bits",
  engine: "the engine on every program, in bits",
  schedule: "the whole run, in bits",
};

export function printBisection({ checked, finding }: Bisection): string {
  const levels = checked.map((level) => {
    const verdict = level === finding?.level ? "WRONG" : "right";
    return `${verdict}  ${level.padEnd(8)}  ${meaning[level]}`;
  });
  const lines = finding === undefined ? ["nothing is wrong"] : findingLines(finding);
  return [...levels, "", ...lines].join("\n");
}

function findingLines(finding: Finding): string[] {
  const { nodes, difference, instruction, excerpt, notes } = finding;
  const [first, ...others] = nodes;
  return [
    `the first that is wrong: ${placeText(finding)}`,
    ...(finding.within ?? []).map((place) => `in ${place}`),
    ...(first === undefined ? [] : [`ONNX node: ${first.operator} "${first.node}"`]),
    ...(others.length === 0 ? [] : [`with it: ${others.slice(0, 5).map(nodeText).join(", ")}`]),
    ...(difference === undefined ? [] : [differenceText(difference)]),
    ...(instruction?.at === undefined ? [] : [`first at ${instruction.at}`]),
    ...notes.map((note) => `note: ${note}`),
    ...(excerpt.length === 0 ? [] : ["", ...excerpt]),
  ];
}

function placeText({ level, pass, nodes, kernel, instruction }: Finding): string {
  const at = instruction === undefined ? "" : `, instruction ${instruction.number}`;
  switch (level) {
    case "operator":
      return `the operator ${nodes[0]?.operator ?? "of a node that is not known"}`;
    case "pass":
      return `the pass ${pass}`;
    case "kernel":
      return `the kernel ${kernel} that ${pass} wrote${at}`;
    case "program":
      return `the program ${kernel} that ${pass} made${at}`;
    case "engine":
      return `the engine on the program ${kernel}${at}`;
    case "schedule":
      return "the schedule of the executable";
    default:
      return level satisfies never;
  }
}

function nodeText({ node, operator }: Finding["nodes"][number]): string {
  return `${operator} "${node}"`;
}

function differenceText(difference: Difference): string {
  const { tensor, index, expected, got, count, elements } = difference;
  return (
    `"${tensor}" at [${index.join(", ")}] is ${got}, not ${expected}; ` +
    `${count} of ${elements} elements differ`
  );
}
