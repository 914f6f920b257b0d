/**
 * From a model and the outputs that it should give to the first step at which a number goes wrong: an operator, a pass, a
 * kernel, an instruction, the engine. Each level has a meaning of its own that can be run, and is held against the
 * one before it.
 */
import { evaluateModel, optionsFor } from "../compiler/1-import/evaluate-model.js";
import { importModel, type ImportOptions, importThen } from "../compiler/1-import/import.js";
import { firstPart, laterPart } from "../compiler/1-import/part-models.js";
import { weightsWorthCutting } from "../compiler/3-partition/costs.js";
import { compileGraph, type CompileOptions, type Stage } from "../compiler/compile.js";
import { type GraphPass, graphPasses } from "../compiler/pipeline.js";
import type { TiledGraph } from "../compiler/tiled.js";
import { bindShapes } from "../ir/bindings.js";
import type { Value } from "../ir/graph.js";
import type { Executable } from "../isa/executable.js";
import type { Model } from "../onnx/model.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { createSimulatedDevice } from "../runtime/device.js";
import type { JudgeRule } from "../runtime/judge.js";
import { conform } from "../runtime/transfer.js";
import { loadExecutable } from "../runtime/walk.js";
import type { Engine } from "../sim/engine.js";
import { bitDifference, type Finding, type Level } from "./bisect-finding.js";
import { checkSteps } from "./bisect-bodies.js";
import { checkOperators } from "./bisect-operators.js";
import { checkPasses, type GraphAfter, graphValues, outputsOf } from "./bisect-passes.js";

type Values = ReadonlyMap<string, HostValue>;

export interface BisectOptions
  extends Pick<
      CompileOptions,
      "machine" | "machineHash" | "precision" | "float64" | "edit" | "chooser" | "fuse"
    >,
    Pick<ImportOptions, "file" | "externalData"> {
  readonly model: Model;
  readonly inputs: Values;
  /** Outputs as recorded, or as a host gives them. Empty: the op references are taken to be right. */
  readonly expected: Values;
  /** All tensors of the model as a host has them, by ONNX name. */
  readonly intermediates?: Values;
  /** How far the op references may be from `expected`; from there on every bit counts. */
  readonly rule: JudgeRule;
  readonly engine: Engine;
}

export interface Bisection {
  /** Levels that were looked at, in order; all but the last of them are right if there is a finding. */
  readonly checked: readonly Level[];
  readonly finding?: Finding;
}

/** Part after part, where shapes depend on data. Throws what importing and compiling throw. */
export async function bisect(options: BisectOptions): Promise<Bisection> {
  const { model, machine, expected } = options;
  const parts = { weightsMin: weightsWorthCutting(machine) };
  const { later } = importModel(model, { ...importOptions(options), parts });
  if (later.length === 0) return bisectPart(options);
  const first = firstPart(model, later);
  const found = await bisectPart({ ...options, model: first, expected: own(expected, first) });
  if (found.finding !== undefined) return found;
  const values = new Map([
    ...options.inputs,
    ...evaluateModel(first, options.inputs, importOptions({ ...options, model: first })),
  ]);
  const rest = laterPart(model, later, values);
  const names = new Set(rest.graph.input.map(({ name }) => name));
  const inputs = new Map([...values].filter(([name]) => names.has(name)));
  return bisect({ ...options, model: rest, inputs, expected: own(expected, rest) });
}

/** Of a part's outputs. */
function own(expected: Values, { graph }: Model): Values {
  const names = new Set(graph.output.map(({ name }) => name));
  return new Map([...expected].filter(([name]) => names.has(name)));
}

async function bisectPart(options: BisectOptions): Promise<Bisection> {
  const checked: Level[] = [];
  const stages = compileInStages(options);
  const { executable, graphs } = stages;
  const last = graphs.at(-1)!;
  const checks: readonly (readonly [readonly Level[], () => MaybeFinding])[] = [
    [["operator"], () => checkOperators({ ...options, importOptions: importOptions(options) })],
    [["pass"], () => checkPasses(graphs, options.inputs)],
    [["kernel", "program", "engine"], () => checkAllLaunches(options, stages)],
    [["schedule"], () => checkSchedule(options, executable, last)],
  ];
  for (const [levels, check] of checks) {
    const finding = await check();
    if (finding !== undefined) {
      return {
        checked: [...checked, ...levels.slice(0, levels.indexOf(finding.level) + 1)],
        finding,
      };
    }
    checked.push(...levels);
  }
  return { checked };
}

type MaybeFinding = Finding | undefined | Promise<Finding | undefined>;

function importOptions({ model, inputs, file, externalData }: BisectOptions): ImportOptions {
  return {
    ...optionsFor(model, inputs),
    ...(file === undefined ? {} : { file }),
    ...(externalData === undefined ? {} : { externalData }),
  };
}

interface Stages {
  /** After import and every pass of phase 2. */
  readonly graphs: readonly GraphAfter[];
  readonly tiled: TiledGraph;
  readonly executable: Executable;
}

function compileInStages(options: BisectOptions): Stages {
  const { model, machine, machineHash, precision, float64, edit, chooser, fuse } = options;
  const { result } = importThen(model, importOptions(options), (graph) => {
    const stages: Stage[] = [];
    const executable = compileGraph(graph, {
      machine,
      machineHash,
      precision,
      float64,
      observe: (stage) => stages.push(stage),
      ...(edit === undefined ? {} : { edit }),
      ...(chooser === undefined ? {} : { chooser }),
      ...(fuse === undefined ? {} : { fuse }),
    });
    return { stages, executable };
  });
  const passes: readonly GraphPass[] = graphPasses;
  const rounding = new Set(passes.flatMap((pass) => (pass.rounds ? [pass.name] : [])));
  const graphs = result.stages.flatMap((stage): GraphAfter[] => {
    if (stage.kind !== "graph") return [];
    const { name, graph, changed, regions } = stage;
    const rounds = changed && rounding.has(name);
    return [{ pass: name, graph, rounds, ...(regions && { regions }) }];
  });
  const tiled = result.stages.flatMap((stage) => (stage.kind === "tiled" ? [stage.tiled] : []));
  return { graphs, tiled: tiled.at(-1)!, executable: result.executable };
}

function checkAllLaunches(options: BisectOptions, stages: Stages): Finding | undefined {
  const { executable, tiled, graphs } = stages;
  const truth = graphValues(graphs.at(-1)!, options.inputs);
  const finding = checkSteps(
    { executable, tiled, after: graphs.at(-1)!, engine: options.engine },
    {
      steps: executable.steps,
      tiledSteps: tiled.steps,
      truth,
      bindings: bindingsOf(truth),
      within: [],
    },
  );
  const isFused = finding?.level === "kernel" && finding.nodes.length > 1;
  return isFused && options.fuse !== false ? withoutFusion(finding, options) : finding;
}

/** Of the nodes that were fused to a wrong kernel, the one whose kernel is wrong by itself. */
function withoutFusion(fused: Finding, options: BisectOptions): Finding {
  const apart = { ...options, fuse: false };
  const alone = checkAllLaunches(apart, compileInStages(apart));
  const [node] = alone?.level === "kernel" ? alone.nodes : [];
  if (node === undefined) {
    const note = "only the fused kernel is wrong: those of its nodes by themselves are right";
    return { ...fused, notes: [...fused.notes, note] };
  }
  const nodes = [node, ...fused.nodes.filter((other) => other.node !== node.node)];
  const note = `without fusion the kernel of ${node.operator} "${node.node}" is wrong too`;
  return { ...fused, nodes, notes: [...fused.notes, note] };
}

/** Of all symbols, also of those that the results of host nodes determine. */
function bindingsOf(truth: ReadonlyMap<Value, HostValue>): ReadonlyMap<string, number> {
  const bindings = new Map<string, number>();
  const shapes = [...truth].flatMap(([value, tensor]) => {
    return isTensor(tensor) && value.unknownShape !== true ? [{ value, shape: tensor.shape }] : [];
  });
  bindShapes(shapes, bindings);
  return bindings;
}

/** A whole run as the runtime makes it, when every launch is right by itself. */
async function checkSchedule(
  { engine, inputs }: BisectOptions,
  executable: Executable,
  last: GraphAfter,
): Promise<Finding | undefined> {
  const given = await loadExecutable(executable, createSimulatedDevice(engine)).run(inputs);
  for (const [name, want] of outputsOf(last, inputs)) {
    const got = given.get(name);
    const outer =
      got !== undefined && isTensor(got) && isTensor(want) && got.dtype !== want.dtype
        ? conform(want, got.dtype, name)
        : want;
    const difference = bitDifference(name, got, outer);
    if (difference === undefined) continue;
    const notes = ["every launch is right by itself: look at placement, copies and host regions"];
    return { level: "schedule", pass: "place", nodes: [], difference, excerpt: [], notes };
  }
  return undefined;
}
