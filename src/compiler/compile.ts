/**
 * The compiler from the outside: an ONNX model and a machine in, an Executable out. Runs the stages of
 * pipeline.ts in order and shows each result to whoever observes.
 */
import type { DecisionRecord, Executable } from "../isa/executable.js";
import type { Graph } from "../ir/graph.js";
import { mapBodies } from "../ir/control.js";
import { verifyGraph } from "../ir/verify.js";
import type { DType } from "../numerics/dtype.js";
import type { Model } from "../onnx/model.js";
import { DiagnosticError, InternalError } from "../support/diagnostic.js";
import type { DeviceMachine } from "../target/machine.js";
import { graphBody } from "./1-import/body.js";
import { type ImportOptions, importThen } from "./1-import/import.js";
import { weightsWorthCutting } from "./3-partition/costs.js";
import { partition, type PartitionedGraph } from "./3-partition/partition.js";
import type { PlanChooser } from "./4-tile/plan-choice.js";
import { tileGraph } from "./4-tile/tile.js";
import { placeGraph } from "./5-place/place-graph.js";
import { buildExecutable } from "./6-emit/schedule.js";
import {
  borderPasses,
  type GraphPass,
  graphPasses,
  type PassContext,
  type Precision,
} from "./pipeline.js";
import type { TiledGraph } from "./tiled.js";

export interface CompileOptions extends Omit<ImportOptions, "parts"> {
  /**
   * Leave to a later part of the run what waits for shapes that depend on data (`later` of the executable). Without,
   * the host runs it.
   */
  readonly inParts?: boolean;
  readonly machine: DeviceMachine;
  /** Content hash of the machine, for the executable's header. */
  readonly machineHash: string;
  readonly precision: Precision;
  /** Picks among tile plans; none changes a bit of the result. Default: the best by the cost model. */
  readonly chooser?: PlanChooser;
  /** False: every node becomes a kernel of its own. */
  readonly fuse?: boolean;
  /** Called after every stage of the pipeline. */
  readonly observe?: (stage: Stage) => void;
  /** What the compiler goes on with in the place of what a stage made; of "place" it changes nothing. */
  readonly edit?: <S extends Stage>(stage: S) => S;
}

export type Stage =
  | {
      readonly name: string;
      readonly kind: "graph";
      readonly graph: Graph;
      readonly changed: boolean;
      /** From partition on: bodies of the host regions. */
      readonly regions?: PartitionedGraph["regions"];
    }
  | { readonly name: "tile" | "place"; readonly kind: "tiled"; readonly tiled: TiledGraph }
  | { readonly name: "emit"; readonly kind: "executable"; readonly executable: Executable };

export function compileModel(model: Model, options: CompileOptions): Executable {
  const compile = (graph: Graph): Executable => compileGraph(graph, options);
  const { inParts = false, ...rest } = options;
  const parts = inParts ? { parts: { weightsMin: weightsWorthCutting(options.machine) } } : {};
  const importOptions: ImportOptions = { ...rest, ...parts };
  const { result, notes, boundInputs, later } = importThen(model, importOptions, compile);
  const dims = notes.map(
    (note): DecisionRecord => ({
      what: "bound-dim",
      why: `${note.symbol} = ${note.value}: ${note.reason}`,
      origins: [],
    }),
  );
  const inputs = boundInputs.map(
    ({ name, value, reason }): DecisionRecord => ({
      what: "bound-input",
      why: `${name} = [${value.data.join(", ")}]: ${reason}`,
      origins: [],
    }),
  );
  const records = [...dims, ...inputs, ...laterRecords(model, later), ...result.records];
  return { ...result, boundInputs, later, records };
}

function laterRecords({ graph }: Model, later: readonly number[]): readonly DecisionRecord[] {
  if (later.length === 0) return [];
  const chosen = new Set(later);
  const nodes = graphBody(graph).nodes.filter(({ number }) => chosen.has(number));
  const origins = nodes.map(({ name, proto }) => ({ node: name, operator: proto.opType ?? "" }));
  return [{ what: "later", why: "shapes depend on data: compiled when they are known", origins }];
}

export function compileGraph(imported: Graph, options: CompileOptions): Executable {
  const records: DecisionRecord[] = [];
  const { precision, float64 = "host" } = options;
  const context: PassContext = { precision, float64, records };
  const start = graphStage("import", imported, undefined);
  const graph = runPasses(graphPasses, handOver(options, start), context, options);
  const parts = inStage("partition", () => partition(graph, options.machine));
  const { regions } = parts;
  const whole = handOver(options, { ...graphStage("partition", parts.graph, graph), regions });
  records.push(...parts.records);
  const cut = runPasses(borderPasses, whole, context, options, regions);
  const made = inStage("tile", () => tileGraph(cut, options));
  const { tiled } = handOverStage(options, { name: "tile", kind: "tiled", tiled: made });
  records.push(...tiled.records);
  const placed = inStage("place", () => placeGraph(tiled, options.machine));
  handOverStage(options, { name: "place", kind: "tiled", tiled });
  const built = inStage("emit", () =>
    buildExecutable({
      name: imported.name,
      machine: { name: options.machine.name, hash: options.machineHash },
      placed,
      outerTypes: outerTypes(imported),
      records,
      regions,
    }),
  );
  const last = { name: "emit", kind: "executable", executable: built } as const;
  return handOverStage(options, last).executable;
}

function runPasses(
  passes: readonly GraphPass[],
  given: Graph,
  context: PassContext,
  options: CompileOptions,
  regions?: PartitionedGraph["regions"],
): Graph {
  return passes.reduce((before, pass) => {
    const graph = inStage(pass.name, () => runPass(pass, before, context));
    if (graph !== before) checkGraph(pass.name, graph);
    const stage = graphStage(pass.name, graph, before);
    return handOver(options, regions === undefined ? stage : { ...stage, regions });
  }, given);
}

function graphStage(name: string, graph: Graph, before: Graph | undefined): GraphStage {
  return { name, kind: "graph", graph, changed: graph !== before };
}

type GraphStage = Extract<Stage, { readonly kind: "graph" }>;

function handOver(options: CompileOptions, stage: GraphStage): Graph {
  return handOverStage(options, stage).graph;
}

/** From one stage to the next, past whoever edits or observes. */
function handOverStage<S extends Stage>({ edit, observe }: CompileOptions, stage: S): S {
  const edited = edit === undefined ? stage : edit(stage);
  observe?.(edited);
  return edited;
}

/** Bodies of control flow are graphs as well; they go first. */
function runPass(pass: GraphPass, graph: Graph, context: PassContext): Graph {
  if (pass.entersBodies) return pass.run(graph, context);
  return pass.run(
    mapBodies(graph, (body) => runPass(pass, body, context)),
    context,
  );
}

function checkGraph(pass: string, graph: Graph): void {
  const problems = verifyGraph(graph);
  if (problems.length > 0) {
    throw new InternalError(
      `after ${pass} the graph is not valid: ${problems.slice(0, 3).join("; ")}`,
    );
  }
}

/** An error of ours says in which stage it happened. */
function inStage<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof InternalError && !(error instanceof DiagnosticError)) {
      throw new InternalError(`in ${name}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** What the caller calls the types of inputs and outputs, which the device may have narrower. */
function outerTypes(graph: Graph): ReadonlyMap<string, DType> {
  return new Map([
    ...graph.inputs.map((value) => [value.name, value.dtype] as const),
    ...graph.outputs.map(({ name, value }) => [name, value.dtype] as const),
  ]);
}
