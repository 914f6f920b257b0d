/**
 * One host region of a loaded executable: who runs it, and why. A session of another runtime is made once, when the
 * region is first worth it; where that runtime declines, or fails in a run that is sound, the references of
 * the operators evaluate it, and the reason is kept.
 */
import { regionModel, type RegionModel } from "../compiler/to-onnx/region-model.js";
import { bindShapes } from "../ir/bindings.js";
import { dimSymbols, evaluateDim } from "../ir/dim.js";
import type { Graph, Origin } from "../ir/graph.js";
import type { HostStep } from "../isa/executable.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import { evaluateHostGraph } from "../ops/evaluate-node.js";
import type { HostValue } from "../ops/record.js";
import { DiagnosticError } from "../support/diagnostic.js";
import type { HostRuntime, HostRuntimeSetting, HostSession } from "./host-runtime.js";
import { conform } from "./transfer.js";

type Inputs = ReadonlyMap<string, HostValue>;
type Bindings = ReadonlyMap<string, number>;

export interface HostRegion {
  /** What ran it last; before the first run, nothing. */
  readonly ran: RegionRun | undefined;
  /** Outputs in the order of the region's. */
  run(inputs: Inputs, bindings: Bindings): Promise<readonly HostValue[]>;
  release(): Promise<void>;
}

export interface RegionRun {
  readonly origins: readonly Origin[];
  /** Name of the runtime; `reference` is the operators' own evaluation. */
  readonly by: string;
  /** Why not by another runtime. */
  readonly why?: string;
}

/**
 * Elements that a region reads, from which on it is handed over: a session takes some 15 ms to make, and at this size
 * some 30 runs to earn that back. Below a thousand elements a call costs more than evaluating the region here.
 */
const worthElements = 16_384;

export function createHostRegion({ graph }: HostStep, setting: HostRuntimeSetting): HostRegion {
  return new Region(graph, setting);
}

class Region implements HostRegion {
  ran: RegionRun | undefined;
  readonly #graph: Graph;
  readonly #setting: HostRuntimeSetting;
  readonly #origins: readonly Origin[];
  #session: Promise<Session | Declined> | undefined;

  constructor(graph: Graph, setting: HostRuntimeSetting) {
    this.#graph = graph;
    this.#setting = setting;
    this.#origins = [...new Set(graph.nodes.flatMap((node) => node.origins))];
  }

  async run(inputs: Inputs, bindings: Bindings): Promise<readonly HostValue[]> {
    const found = await this.#find(inputs, bindings);
    if ("why" in found) return this.#evaluate(inputs, bindings, found.why);
    try {
      const outputs = await runSession(found, this.#graph);
      this.ran = { origins: this.#origins, by: found.runtime };
      return outputs;
    } catch (error) {
      const said = `${found.runtime} failed to run it: ${firstLine(error)}`;
      const outputs = this.#evaluateOr(inputs, bindings, said);
      // The inputs are right, then: it is a form of the operators that the other runtime lacks.
      this.#session = Promise.resolve({ why: said });
      await found.session.release();
      return outputs;
    }
  }

  #evaluate(inputs: Inputs, bindings: Bindings, why: string): readonly HostValue[] {
    this.ran = { origins: this.#origins, by: "reference", ...(why === "" ? {} : { why }) };
    return evaluateHostGraph(this.#graph, inputs, bindings);
  }

  #evaluateOr(inputs: Inputs, bindings: Bindings, said: string): readonly HostValue[] {
    try {
      return this.#evaluate(inputs, bindings, said);
    } catch (error) {
      throw withNote(error, said);
    }
  }

  async release(): Promise<void> {
    const session = await this.#session;
    if (session !== undefined && "session" in session) await session.session.release();
    this.#session = undefined;
  }

  async #find(inputs: Inputs, bindings: Bindings): Promise<Ready | Declined> {
    const { choice } = this.#setting;
    if (choice === "reference") return { why: "" };
    if (choice === "auto" && !isWorth(this.#graph, inputs))
      return { why: "it is too small to be handed over" };
    const session = await (this.#session ??= openSession(this.#graph, this.#setting));
    return "why" in session ? session : fed(session, this.#graph, inputs, bindings);
  }
}

interface Declined {
  readonly why: string;
}

interface Session {
  readonly runtime: string;
  readonly model: RegionModel;
  readonly session: HostSession;
}

interface Ready extends Session {
  readonly feeds: ReadonlyMap<string, Tensor>;
}

async function openSession(
  graph: Graph,
  { load }: HostRuntimeSetting,
): Promise<Session | Declined> {
  const runtime = await load();
  if (runtime === undefined) return { why: "no other runtime is installed" };
  const model = regionModel(graph);
  if (model.kind === "none") return { why: `ONNX has no form of it: ${model.reason}` };
  return sessionOf(runtime, model);
}

async function sessionOf(runtime: HostRuntime, model: RegionModel): Promise<Session | Declined> {
  try {
    const session = await runtime.create(model.bytes);
    const lost = model.outputs.find(({ name }) => !session.outputs.has(name));
    if (lost === undefined) return { runtime: runtime.name, model, session };
    await session.release();
    return { why: `${runtime.name} cannot hand over one of its results` };
  } catch (error) {
    return { why: `${runtime.name} declines it: ${firstLine(error)}` };
  }
}

/** Control flow may do anything with little, so it is always worth it. */
function isWorth(graph: Graph, inputs: Inputs): boolean {
  const hasBody = graph.nodes.some(
    ({ op }) =>
      op.kind === "host" && [...op.node.attributes.values()].some(({ kind }) => kind === "graph"),
  );
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  const constants = [...read].flatMap(({ data }) => data ?? []);
  const tensors = [...inputs.values()].filter(isTensor);
  const elements = [...constants, ...tensors].reduce((n, { shape }) => n + elementCount(shape), 0);
  return hasBody || elements >= worthElements;
}

/** The session with its inputs, if these are what it was made for: types may be known only now. */
function fed(session: Session, graph: Graph, inputs: Inputs, bindings: Bindings): Ready | Declined {
  const { model } = session;
  const feeds = new Map<string, Tensor>();
  for (const [i, { name, dtype }] of graph.inputs.entries()) {
    const value = inputs.get(name)!;
    const port = model.inputs[i]!;
    if (!isTensor(value)) return { why: `"${name}" is a ${value.kind}` };
    if (value.dtype !== dtype) return { why: `"${name}" turned out to be of type ${value.dtype}` };
    feeds.set(port.name, value.dtype === port.dtype ? value : conform(value, port.dtype!, name));
  }
  const known = new Map(bindings);
  bindShapes(
    graph.inputs.flatMap((value) => {
      const given = inputs.get(value.name)!;
      return value.unknownShape || !isTensor(given) ? [] : [{ value, shape: given.shape }];
    }),
    known,
  );
  for (const { name, dims } of model.dimInputs) {
    const open = dims.flatMap((dim) => [...dimSymbols(dim)]).find((s) => !known.has(s.name));
    if (open !== undefined) return { why: `the dim ${open.name} shows only inside it` };
    const data = BigInt64Array.from(dims, (dim) => BigInt(evaluateDim(dim, known)));
    feeds.set(name, { dtype: "i64", shape: [dims.length], data });
  }
  return { ...session, feeds };
}

async function runSession(
  { session, model, feeds }: Ready,
  graph: Graph,
): Promise<readonly HostValue[]> {
  const results = await session.run(feeds);
  return graph.outputs.map(({ name, value }, i) => {
    const result = results.get(model.outputs[i]!.name)!;
    const isOuter = value.unknownShape !== true && result.dtype !== value.dtype;
    return isOuter ? conform(result, value.dtype, name) : result;
  });
}

/** A mistake that both find is reported in our words, with the place; the other's go along. */
function withNote(error: unknown, note: string): unknown {
  if (!(error instanceof DiagnosticError)) return error;
  const [first, ...rest] = error.diagnostics;
  return new DiagnosticError([{ ...first!, notes: [...(first!.notes ?? []), note] }, ...rest]);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}
