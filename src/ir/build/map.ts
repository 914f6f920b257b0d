/**
 * What the builder makes of elementwise functions: one lane program over distinct inputs, none of them broadcast before,
 * and nothing at all of an identity.
 */
import { convertData } from "../../numerics/convert.js";
import { type DType, dtypes } from "../../numerics/dtype.js";
import type { EncodeOptions } from "../../numerics/float-formats.js";
import type { LaneProgram } from "../../numerics/lane.js";
import {
  type Lane,
  type LaneBuilder,
  laneProgramBuilder,
  LaneTypeError,
  withoutUnused,
} from "../../numerics/lanes.js";
import { fail } from "../../support/diagnostic.js";
import { broadcast } from "./movement.js";
import { castLane } from "./cast.js";
import { registerWidths } from "../evaluate/map.js";
import type { GraphAssembly } from "./assembly.js";
import * as shapes from "../graph-shapes.js";
import type { Value } from "../graph.js";

interface MapOptions {
  /** It stays an operation although its inputs are constant. */
  readonly keep?: boolean;
  readonly encode?: EncodeOptions;
}

export function map(
  graph: GraphAssembly,
  dtype: DType,
  inputs: readonly Value[],
  body: (l: LaneBuilder, ...x: Lane[]) => Lane,
  { keep = false, encode }: MapOptions = {},
): Value {
  const shape = shapes.broadcastShapes(inputs.map((x) => shapes.requireKnownShape(x).shape));
  const wide = registerWidths([dtype, ...inputs.map((x) => x.dtype)]).integer !== "i32";
  const builder = laneProgramBuilder({ wide });
  const lanes = inputs.map((x, i) => builder.source("input", i, shapes.registerOf(x.dtype)));
  const result = withTypesOf(inputs, () => body(builder.l, ...lanes));
  if (result.type !== shapes.registerOf(dtype)) {
    fail("L0202", `the operator does not give ${dtype}: it computes in ${result.type}`);
  }
  const [program, used] = withSharedInputs(
    builder.finish([result]),
    inputs.map((x) => graph.unbroadcast(x)),
  );
  const own = shapes.broadcastShapes(used.map((x) => x.shape));
  const [only] = program.instructions;
  const copies = program.instructions.length === 1 && only!.op === "input";
  if (copies && used[0]!.dtype === dtype) return broadcast(graph, used[0]!, shape);
  const op = { kind: "map", program, ...(encode === undefined ? {} : { encode }) } as const;
  const value = keep ? graph.emitKept(op, used, dtype, own) : graph.emit(op, used, dtype, own);
  return broadcast(graph, value, shape);
}

export function cast(graph: GraphAssembly, x: Value, dtype: DType, options?: EncodeOptions): Value {
  if (x.dtype === dtype) return x;
  shapes.registerOf(x.dtype);
  shapes.registerOf(dtype);
  if (x.data !== undefined) {
    const data = convertData(x.dtype, x.data.data, dtype, options);
    return graph.constant({ dtype, shape: x.data.shape, data });
  }
  const special = options?.saturate === false || options?.roundMode !== undefined;
  const encode = special && dtypes[dtype].bits <= 8 ? options : undefined;
  return map(graph, dtype, [x], (l, lane) => castLane(l, lane!, x.dtype, dtype), {
    ...(encode === undefined ? {} : { encode }),
  });
}

/** An operator is written for some types: others reach its code as registers that it does not take. */
function withTypesOf(inputs: readonly Value[], body: () => Lane): Lane {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof LaneTypeError)) throw error;
    const types = inputs.map((x) => x.dtype).join(", ");
    fail("L0202", `the operator does not take elements of (${types})`, { notes: [error.message] });
  }
}

/** The program over the inputs that it uses, each once. */
function withSharedInputs(
  program: LaneProgram,
  inputs: readonly Value[],
): readonly [LaneProgram, readonly Value[]] {
  const used: Value[] = [];
  const instructions = program.instructions.map((instruction) => {
    if (instruction.op !== "input") return instruction;
    const value = inputs[instruction.imm!]!;
    if (!used.includes(value)) used.push(value);
    return { ...instruction, imm: used.indexOf(value) };
  });
  return [withoutUnused({ ...program, instructions }), used];
}
