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
import { createSimulatedDevice, type Device } from "../../src/runtime/device.js";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import type { DeviceMachine } from "../../src/target/machine.js";
import { mini } from "../../src/target/machines/mini.js";
import { pf1 } from "../../src/target/machines/pf1.js";
import { machineHash } from "../../src/target/machine-hash.js";
import { bitDifference } from "./bits.js";
import { workOf } from "./work.js";

export type Inputs = ReadonlyMap<string, HostValue>;
type Outputs = ReadonlyMap<string, HostValue>;

export interface FuzzCase {
  readonly file: Uint8Array;
  /** What one session is run with, in turn; undefined where the file does not decode. */
  readonly runs: (model: Model) => readonly Inputs[];
}

export type Verdict =
  | { readonly kind: "equal"; readonly outputs: readonly Outputs[] }
  | { readonly kind: "refused"; readonly code: string }
  /** Valid, but more than a fuzzed case may take: imported only. */
  | { readonly kind: "large" }
  | { readonly kind: "finding"; readonly what: string };

export interface CheckOptions {
  /** Multiplications, and elements touched, that a case may take to run. */
  readonly workMax: number;
}

const machines: readonly DeviceMachine[] = [mini, pf1];

export async function checkCase(
  { file, runs }: FuzzCase,
  { workMax }: CheckOptions = { workMax: 4e6 },
): Promise<Verdict> {
  let model: Model;
  let inputs: readonly Inputs[];
  try {
    model = decodeModel(file);
    inputs = runs(model);
    if (inputs.length === 0) {
      importModel(model);
      return { kind: "large" };
    }
    for (const run of inputs) {
      if (workOf(importModel(model, optionsFor(model, run)).graph) > workMax) {
        return { kind: "large" };
      }
    }
  } catch (error) {
    return verdictOf(error, "import");
  }
  const expected: Outcome[] = [];
  for (const run of inputs) expected.push(await attempt(() => evaluateModel(model, run)));
  // Programs of earlier cases are worth nothing to this one, and their code would pile up.
  const device = createSimulatedDevice(createJitEngine());
  for (const machine of machines) {
    const finding = await findingOn({ model, machine, device }, inputs, expected);
    if (finding !== undefined) return { kind: "finding", what: finding };
  }
  const refused = expected.find((outcome) => !("value" in outcome));
  if (refused !== undefined) return verdictOf((refused as Thrown).error, "evaluation");
  return { kind: "equal", outputs: expected.map((outcome) => (outcome as Returned).value) };
}

interface Returned {
  readonly value: Outputs;
}
interface Thrown {
  readonly error: unknown;
}
type Outcome = Returned | Thrown;

async function attempt(run: () => Outputs | Promise<Outputs>): Promise<Outcome> {
  try {
    return { value: await run() };
  } catch (error) {
    return { error };
  }
}

function verdictOf(error: unknown, where: string): Verdict {
  const code = codeOf(error);
  if (code !== undefined) return { kind: "refused", code };
  return { kind: "finding", what: `${where}: ${describeError(error)}` };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof DiagnosticError ? error.diagnostics[0]?.code : undefined;
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const [head] = error.message.split("\n");
  const frame = error.stack?.split("\n").find((line) => /\/src\//.test(line)) ?? "";
  return `${error.name}: ${head} ${frame.trim().replace(/\S*\/src\//, "src/")}`;
}

interface Target {
  readonly model: Model;
  readonly machine: DeviceMachine;
  readonly device: Device;
}

/** What a machine may refuse although the host evaluates it: what does not fit, and faults it finds late. */
const codesOfMachines: ReadonlySet<string> = new Set(["L0203", "L0401", "L0402"]);

async function findingOn(
  target: Target,
  inputs: readonly Inputs[],
  expected: readonly Outcome[],
): Promise<string | undefined> {
  const { model, machine, device } = target;
  const where = `on ${machine.name}`;
  let runner: ReturnType<typeof createModelRunner>;
  try {
    runner = createModelRunner({ model, machine, device, precision: "fp32", dims: new Map() });
  } catch (error) {
    return codeOf(error) === undefined ? `${where}: ${describeError(error)}` : undefined;
  }
  for (const [i, run] of inputs.entries()) {
    const wanted = expected[i]!;
    const actual = await attempt(async () => (await runner.run(run)).outputs);
    if ("error" in actual) {
      const code = codeOf(actual.error);
      if (code === undefined) return `${where}: ${describeError(actual.error)}`;
      if (codesOfMachines.has(code)) return undefined;
      if ("value" in wanted)
        return `${where}: refused, but evaluated: ${describeError(actual.error)}`;
      continue;
    }
    if ("error" in wanted) return `${where}: runs, but: ${describeError(wanted.error)}`;
    if (firstDifference(actual.value, wanted.value, bitDifference) === undefined) continue;
    const afterPasses = await attempt(() => evaluateAfterPasses(target, run));
    if ("error" in afterPasses)
      return `${where}: after passes: ${describeError(afterPasses.error)}`;
    const bits = firstDifference(actual.value, afterPasses.value, bitDifference);
    if (bits !== undefined) return `${where}: ${bits}`;
    const change = firstDifference(afterPasses.value, wanted.value, (a, b) =>
      describeDifference(a, b, tolerance),
    );
    if (change !== undefined) return `${where}: the passes change a result: ${change}`;
  }
  return undefined;
}

/** The graph that fixes every bit, on the host. */
function evaluateAfterPasses({ model, machine }: Target, inputs: Inputs): Outputs {
  let last: Graph | undefined;
  compileModel(model, {
    ...optionsFor(model, inputs),
    machine,
    machineHash: machineHash(machine),
    precision: "fp32",
    observe: (stage) => {
      if (stage.kind === "graph" && stage.name === "insert-copies") last = stage.graph;
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
