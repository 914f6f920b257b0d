/**
 * Phase 1: an ONNX model becomes a Graph of core operations, in one form whatever the opset. Dims are bound
 * or kept open here; what is known (shape arithmetic, branches, weights' preparation) is folded as it is
 * built. The nodes one by one are in `nodes.ts`.
 */
import type { Dim } from "../../ir/dim.js";
import { createGraphBuilder } from "../../ir/build/graph-builder.js";
import type { Graph, Value } from "../../ir/graph.js";
import type { Tensor } from "../../numerics/tensor.js";
import type { ExternalData } from "../../onnx/external.js";
import type { Model } from "../../onnx/model.js";
import type { ValueInfoProto } from "../../onnx/schema.js";
import { fail, inFile } from "../../support/diagnostic.js";
import { graphBody, liveNodes, requireClosed } from "./body.js";
import { type Frame, rootFrame } from "./frame.js";
import { type BoundInput, withKnownValues } from "./known-values.js";
import { createModelContext, elementTypeOf, type ModelContext } from "./model-context.js";
import { type Bindings, importGraph, requireOutput, traitsOf } from "./nodes.js";
import { withOpenCounts } from "./open-counts.js";
import { firstPart } from "./part-models.js";
import { laterNodes } from "./parts.js";
import { type BoundSymbol, type DimRange, inputShapes, withBindings } from "./symbols.js";

export interface ImportOptions {
  /** For diagnostics. */
  readonly file?: string;
  /** By dim_param: a number binds the dim, a range keeps it open to run time. */
  readonly dims?: ReadonlyMap<string, number | DimRange>;
  /** Shapes of the inputs at hand, by input name: they bind the dims that `dims` does not mention. */
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  /** Inputs that the caller gives although they have an initializer; the others take its value. */
  readonly givenInputs?: ReadonlySet<string>;
  /** Values of inputs at hand: those that decide shapes become constants (`boundInputs` of the result). */
  readonly inputValues?: ReadonlyMap<string, Tensor>;
  readonly externalData?: ExternalData;
  /** Where doubles are computed: by the host (the default), or as fp32 by the device. */
  readonly float64?: "host" | "fp32" | undefined;
  /** Leave to a later part (`later` of the result) what waits for shapes that depend on data. */
  readonly parts?: { readonly weightsMin: number };
}

export interface ImportResult {
  readonly graph: Graph;
  readonly notes: readonly BoundSymbol[];
  readonly boundInputs: readonly BoundInput[];
  /** Numbers of the nodes that the graph leaves to a later part. */
  readonly later: readonly number[];
}

/**
 * Throws L0103 (unknown operator), L0104 (opset), L0105 (invalid graph), L0106 and L0107 (tensors), L0108 to
 * L0202 (what operators demand), L0203 and L0204 (dims), L0602 (shapes of inputs).
 */
export function importModel(model: Model, options: ImportOptions = {}): ImportResult {
  const { result, ...notes } = importThen(model, options, (graph) => graph);
  return { graph: result, ...notes };
}

/**
 * Imports and goes on with `next`, which may throw NeedsBinding as well: a dim that a later phase cannot keep
 * open is bound and everything starts again.
 */
export function importThen<T>(
  model: Model,
  options: ImportOptions,
  next: (graph: Graph) => T,
): Omit<ImportResult, "graph"> & { readonly result: T } {
  return inFile(options.file, () => {
    const context = createModelContext(model, options.externalData);
    const opsets = context.opsetsOf(model.opsetImport);
    requireClosed(graphBody(model.graph));
    const shapeOptions = {
      dims: options.dims ?? new Map(),
      inputShapes: options.inputShapes ?? new Map(),
    };
    const { result, boundInputs } = withKnownValues(options.inputValues ?? new Map(), (known) =>
      withBindings(model.graph, shapeOptions, (bound) => {
        const shapes = inputShapes(model.graph, shapeOptions, bound);
        return withOpenCounts((openCount) => {
          const given = { model, context, opsets, options, known, openCount };
          const { graph, later } = importPart(given, shapes);
          return { made: next(graph), later };
        });
      }),
    );
    const { made, later } = result.result;
    return { result: made, notes: result.bindings, boundInputs, later };
  });
}

interface Import {
  readonly model: Model;
  readonly context: ModelContext;
  readonly opsets: ReadonlyMap<string, number>;
  readonly options: ImportOptions;
  /** Values of inputs that this graph is made for. */
  readonly known: ReadonlyMap<string, Tensor>;
  readonly openCount: (name: string) => boolean;
}

type InputShapes = ReadonlyMap<ValueInfoProto, readonly Dim[] | undefined>;

/** The whole model, or its first part where it is worth a cut. */
function importPart(
  given: Import,
  shapes: InputShapes,
): { readonly graph: Graph; readonly later: readonly number[] } {
  const { model, options } = given;
  const whole = importOnce(given, shapes);
  if (options.parts === undefined) return { graph: whole.graph, later: [] };
  const body = graphBody(model.graph);
  const later = laterNodes({
    ...options.parts,
    body,
    nodes: liveNodes(body, body.outputNames),
    values: whole.values,
    traits: (node) => traitsOf(whole.frame, node),
  });
  if (later.length === 0) return { graph: whole.graph, later };
  const part = { ...given, model: firstPart(model, later) };
  return { graph: importOnce(part, shapes).graph, later };
}

interface ImportedOnce {
  readonly graph: Graph;
  readonly frame: Frame;
  readonly values: Bindings;
}

function importOnce(
  { model, context, opsets, options, known, openCount }: Import,
  shapes: InputShapes,
): ImportedOnce {
  const body = graphBody(model.graph);
  const frame: Frame = {
    ...rootFrame(context, opsets),
    b: createGraphBuilder({ openCount, deviceDoubles: options.float64 === "fp32" }),
    taken: new Set(body.inputNames),
    declared: context.declaredTypes(model.graph),
    offered: new Set([...(options.inputValues?.keys() ?? [])].filter((name) => !known.has(name))),
  };
  const { b } = frame;
  const inputs = new Map<string, Value>();
  for (const input of model.graph.input) {
    const name = input.name ?? "";
    const value = known.get(name);
    if (value !== undefined) inputs.set(name, b.constant(value, name));
    else if (!body.initializers.has(name) || options.givenInputs?.has(name)) {
      inputs.set(name, b.input(name, dtypeOf(input), shapeOfInput(input, shapes)));
    }
  }
  const values = importGraph(frame, body, inputs);
  const graph = b.finish(
    model.graph.name ?? "",
    body.outputNames.map((name) => ({ name, value: requireOutput(name, values.get(name)) })),
  );
  return { graph, frame, values };
}

function shapeOfInput(input: ValueInfoProto, shapes: InputShapes): readonly Dim[] | undefined {
  const { optionalType, sequenceType, mapType } = input.type ?? {};
  return (optionalType ?? sequenceType ?? mapType) === undefined ? shapes.get(input) : undefined;
}

function dtypeOf(input: ValueInfoProto): Value["dtype"] {
  const dtype = elementTypeOf(input.type);
  if (dtype !== undefined) return dtype;
  fail("L0301", `the input "${input.name ?? ""}" is of a type that is not supported`);
}
