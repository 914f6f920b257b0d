/**
 * What the device can do: a row per pattern of core operations, with the check that says why a match of it
 * cannot run there. Earlier rows win. A node that no row takes runs on the host, for the reason of the last row that
 * matched it. `docs/how-to-add-a-pattern.md` shows how a row is added.
 */
import { deviceDTypes, dtypes } from "../../numerics/dtype.js";
import type { Node, OperationKind, Value } from "../../ir/graph.js";
import { anything, either, operation, type Pattern } from "./pattern.js";

export interface PatternRow {
  readonly name: `lightloom.${string}`;
  /** Why these operations are taken together, or alone. */
  readonly about: string;
  readonly pattern: Pattern;
  /** Why the device cannot run these nodes; undefined if it can. */
  readonly check: (nodes: readonly Node[]) => WhyNot | undefined;
}

export interface WhyNot {
  readonly reason: string;
  /** What would bring the nodes to the device, where that is known. */
  readonly remedy?: string;
}

const movements = ["reshape", "transpose", "broadcast", "slice", "pad"] as const;

/** A window, perhaps moved around once or twice on its way to whoever reads it. */
const windowed = moved(operation("window", anything), 3);

export const patternTable: readonly PatternRow[] = [
  {
    name: "lightloom.convolution",
    about: "a window alone would be written out once per kernel position",
    pattern: either(
      operation("contract", windowed, windowed),
      operation("contract", windowed),
      operation("contract", anything, windowed),
    ),
    check: firstOf(checkTypes),
  },
  {
    name: "lightloom.pooling",
    about: "a window alone would be written out once per kernel position",
    pattern: operation("reduce", windowed),
    check: firstOf(checkTypes),
  },
  single("lightloom.contraction", ["contract"], "the tensor engine, or the vector engine by rows"),
  single("lightloom.reduction", ["reduce"], "the vector engine's reduce axes"),
  single("lightloom.elementwise", ["map"], "one lane program of the vector engine", checkEncoding),
  single("lightloom.gather", ["gather"], "loads with one axis by index", checkIndexedRank),
  single("lightloom.scatter", ["scatter"], "stores with one axis by index", checkIndexedRank),
  single("lightloom.scan", ["scan"], "the vector engine's scan axis"),
  single(
    "lightloom.movement",
    [...movements, "window", "concat", "iota"],
    "walks of loads and stores",
  ),
  {
    name: "lightloom.control-flow",
    about: "steps of the schedule around what becomes of the bodies",
    pattern: operation(["if", "loop"]),
    check: () => undefined,
  },
];

/** The pattern, or the pattern behind up to `most` movements. */
function moved(pattern: Pattern, most: number): Pattern {
  return most === 0 ? pattern : either(pattern, operation(movements, moved(pattern, most - 1)));
}

type Check = (node: Node) => WhyNot | undefined;

function single(
  name: PatternRow["name"],
  kinds: readonly OperationKind[],
  about: string,
  check?: Check,
): PatternRow {
  const checks = check === undefined ? [checkTypes] : [check, checkTypes];
  return { name, about, pattern: operation(kinds), check: firstOf(...checks) };
}

function firstOf(...checks: readonly Check[]): PatternRow["check"] {
  return (nodes) => {
    for (const node of nodes) {
      for (const check of checks) {
        const whyNot = check(node);
        if (whyNot !== undefined) return whyNot;
      }
    }
    return undefined;
  };
}

function checkTypes(node: Node): WhyNot | undefined {
  for (const value of [...node.inputs, ...node.outputs]) {
    const whyNot = checkValue(value);
    if (whyNot !== undefined) return whyNot;
  }
  const packed = node.outputs.find(({ dtype }) => dtypes[dtype].bits < 8);
  if (packed === undefined) return undefined;
  const reason = `the device reads ${packed.dtype} but stores none ("${packed.name}"): two elements share a byte`;
  return { reason, remedy: "use an 8-bit type for results" };
}

function checkValue({ name, dtype, unknownShape, dims }: Value): WhyNot | undefined {
  if (unknownShape) {
    return {
      reason: `the shape of "${name}" depends on data`,
      remedy: "make the value that determines it a constant of the model, or export static shapes",
    };
  }
  // What is known as dims comes to kernels as runtime scalars, whatever its type.
  const isScalar = dims !== undefined && dims.length <= 1;
  if (isScalar || deviceDTypes.some((known) => known === dtype)) return undefined;
  return {
    reason: `the device has no ${dtype} ("${name}")`,
    remedy: typeRemedies[dtypes[dtype].kind],
  };
}

const typeRemedies = {
  float: "convert it to fp32, fp16 or bf16 in the model",
  int: "convert it to int32 in the model, or bound its values so that it can be narrowed",
  uint: "convert it to int32 in the model",
  bool: "convert it to bool in the model",
  string: "none: strings stay on the host",
} as const;

function checkEncoding({ op }: Node): WhyNot | undefined {
  if (op.kind !== "map" || op.encode === undefined) return undefined;
  const reason = "the device rounds to fp8 with saturation only";
  return { reason, remedy: "let the conversion saturate" };
}

/** Dims that transfers and vecs can walk; more of them need merging that data-dependent indices forbid. */
const indexedRankMax = 4;

function checkIndexedRank({ op, outputs }: Node): WhyNot | undefined {
  if (outputs[0]!.shape.length <= indexedRankMax) return undefined;
  const reason = `${op.kind} with more than ${indexedRankMax} dimensions`;
  return { reason, remedy: "reshape to fewer dimensions around it" };
}
