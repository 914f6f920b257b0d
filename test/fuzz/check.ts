/**
 * The verdict on one fuzzed file: every engine gives the same result to the bit, or a coded refusal. Anything else
 * that is thrown, and any difference, is a finding.
 */
import { evaluateModel, optionsFor } from "../../src/compiler/1-import/evaluate-model.js";
import { importModel } from "../../src/compiler/1-import/import.js";
import { compileModel } from "../../src/compiler/compile.js";
import type { Graph } from "../../src/ir/graph.js";
import { decodeModel, type Model } from "../../src/onnx/model.js";
import { evaluateHostGraph } from "../../src/ops/evaluate-node.js";
import type { HostValue } from "../../src/ops/record.js";
import { describeDifference } from "../../src/runtime/compare.js";
import { createModelRunner, type ModelRunner } from "../../src/runtime/model-runner.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { machineHash } from "../../src/target/machine-hash.js";
import { bitDifference } from "./bits.js";
import { nodesOnHost, type Target, targetsFor } from "./targets.js";
import { allowingCancellation } from "./tolerance.js";
import { workOf } from "./work.js";

export type Inputs = ReadonlyMap<string, HostValue>;
type Outputs = ReadonlyMap<string, HostValue>;

export interface FuzzCase {
  readonly file: Uint8Array;
  /** What one session is run with, in turn; undefined where the file does not decode. */
  readonly runs: (model: Model) => readonly Inputs[];
  /** Which engines it runs on goes by turns. */
  readonly number?: number;
}

export type Verdict =
  | Equal
  /** `node`: the one that the first diagnostic names. */
  | { readonly kind: "refused"; readonly code: string; readonly node: string | undefined }
  /** Valid, but more than a fuzzed case may take: imported only. */
  | { readonly kind: "large" }
  | { readonly kind: "finding"; readonly what: string };

export interface Equal {
  readonly kind: "equal";
  readonly model: Model;
  readonly runs: readonly Inputs[];
  /** Nodes of the model that run on the host of one of the machines. */
  readonly onHost: ReadonlySet<string>;
}

export interface CheckOptions {
  /** Multiplications, and elements touched, that a case may take to run. */
  readonly workMax: number;
}

export async function checkCase(
  { file, runs, number = 0 }: FuzzCase,
  { workMax }: CheckOptions = { workMax: 4e6 },
): Promise<Verdict> {
  let model: Model;
  let inputs: readonly Inputs[];
  let work: number;
  try {
    model = decodeModel(file);
    inputs = runs(model);
    if (inputs.length === 0) {
      importModel(model);
      return { kind: "large" };
    }
    work = Math.max(
      ...inputs.map((run) => workOf(importModel(model, optionsFor(model, run)).graph)),
    );
    if (work > workMax) return { kind: "large" };
  } catch (error) {
    return verdictOf(error, "import");
  }
  const expected: Outcome[] = [];
  for (const run of inputs) expected.push(await outcomeOf(() => evaluateModel(model, run)));
  const onHost = new Set<string>();
  for (const { machine, device } of targetsFor(number, work)) {
    const what = await findingOn({ model, machine, device, onHost }, inputs, expected);
    if (what !== undefined) return { kind: "finding", what };
  }
  const refused = expected.find((outcome) => !("value" in outcome));
  if (refused !== undefined) return verdictOf((refused as Thrown).error, "evaluation");
  return { kind: "equal", model, runs: inputs, onHost };
}

interface Returned {
  readonly value: Outputs;
}
interface Thrown {
  readonly error: unknown;
}
type Outcome = Returned | Thrown;

async function outcomeOf(run: () => Outputs | Promise<Outputs>): Promise<Outcome> {
  try {
    return { value: await run() };
  } catch (error) {
    return { error };
  }
}

function verdictOf(error: unknown, where: string): Verdict {
  const code = codeOf(error);
  if (code !== undefined) return { kind: "refused", code, node: nodeOf(error) };
  return { kind: "finding", what: `${where}: ${describeError(error)}` };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof DiagnosticError ? error.diagnostics[0]?.code : undefined;
}

function nodeOf(error: unknown): string | undefined {
  return error instanceof DiagnosticError ? error.diagnostics[0]?.place?.node : undefined;
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const [head] = error.message.split("\n");
  const frame = error.stack?.split("\n").find((line) => /\/src\//.test(line)) ?? "";
  return `${error.name}: ${head} ${frame.trim().replace(/\S*\/src\//, "src/")}`;
}

interface Attempt extends Target {
  readonly model: Model;
  /** Nodes that are found to run on the host are added. */
  readonly onHost: Set<string>;
}

/** What a machine may refuse although the host evaluates it: what does not fit, and faults it finds late. */
const codesOfMachines: ReadonlySet<string> = new Set(["L0203", "L0401", "L0402"]);

async function findingOn(
  attempt: Attempt,
  inputs: readonly Inputs[],
  expected: readonly Outcome[],
): Promise<string | undefined> {
  const { model, machine, device, onHost } = attempt;
  const where = `on ${machine.name}, ${device.name}`;
  let runner: ModelRunner;
  try {
    runner = createModelRunner({ model, machine, device, precision: "fp32", dims: new Map() });
  } catch (error) {
    return codeOf(error) === undefined ? `${where}: ${describeError(error)}` : undefined;
  }
  const run = async (given: Inputs): Promise<Outputs> => {
    const { outputs, parts } = await runner.run(given);
    for (const node of parts.flatMap(({ executable }) => [...nodesOnHost(executable)]))
      onHost.add(node);
    return outputs;
  };
  try {
    for (const [i, given] of inputs.entries()) {
      const actual = await outcomeOf(() => run(given));
      if ("error" in actual && codesOfMachines.has(codeOf(actual.error) ?? "")) return undefined;
      const finding = findingBetween(attempt, given, actual, expected[i]!);
      if (finding !== undefined) return `${where}: ${finding}`;
    }
    return undefined;
  } finally {
    await runner.release();
  }
}

function findingBetween(
  attempt: Attempt,
  inputs: Inputs,
  actual: Outcome,
  wanted: Outcome,
): string | undefined {
  if ("error" in actual) {
    if (codeOf(actual.error) === undefined) return describeError(actual.error);
    return "value" in wanted ? `refused, but evaluated: ${describeError(actual.error)}` : undefined;
  }
  if ("error" in wanted) return `runs, but: ${describeError(wanted.error)}`;
  if (firstDifference(actual.value, wanted.value, bitDifference) === undefined) return undefined;
  let afterPasses: Outputs;
  try {
    afterPasses = evaluateAfterPasses(attempt, inputs);
  } catch (error) {
    return `after passes: ${describeError(error)}`;
  }
  const bits = firstDifference(actual.value, afterPasses, bitDifference);
  if (bits !== undefined) return bits;
  const change = firstDifference(afterPasses, wanted.value, (a, b) =>
    describeDifference(a, b, allowingCancellation(tolerance, b)),
  );
  return change === undefined ? undefined : `the passes change a result: ${change}`;
}

/** The graph of phase 2, which fixes every bit, on the host. */
function evaluateAfterPasses({ model, machine }: Attempt, inputs: Inputs): Outputs {
  let last: Graph | undefined;
  compileModel(model, {
    ...optionsFor(model, inputs),
    machine,
    machineHash: machineHash(machine),
    precision: "fp32",
    observe: (stage) => {
      if (stage.kind === "graph" && stage.regions === undefined) last = stage.graph;
    },
  });
  const outputs = evaluateHostGraph(last!, inputs);
  return new Map(last!.outputs.map(({ name }, i) => [name, outputs[i]!]));
}

/** Sums whose order a pass changes may differ by their rounding, and nothing else. */
const tolerance = { rtol: 1e-3, atol: 1e-4 };

function firstDifference(
  actual: Outputs,
  expected: Outputs,
  compare: (actual: HostValue | undefined, expected: HostValue) => string | undefined,
): string | undefined {
  if (actual.size !== expected.size) return `there are ${actual.size} outputs`;
  for (const [name, value] of expected) {
    const difference = compare(actual.get(name), value);
    if (difference !== undefined) return `${name}: ${difference}`;
  }
  return undefined;
}
