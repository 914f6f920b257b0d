/**
 * How every part of a Program lies in the descriptor tables: one schema of records with the width of each field.
 * Encoder, decoder, the generator of random programs in the tests and `docs/isa.md` read it; a part that gains a
 * field does not compile until the schema has it. The instruction words are in `instructions.ts`.
 */
import type {
  Affine,
  AffineTerm,
  Count,
  Delivery,
  IndexOperand,
  LoadBody,
  LoopHead,
  MemoryOperand,
  MemoryWalk,
  MmaAxis,
  MmaBody,
  TransferAxis,
  VecAxis,
  VecBody,
  VecCarry,
  VecOutput,
} from "../ir/tile.js";
import { deviceDTypes } from "../numerics/dtype.js";
import { type LaneInstruction, type LaneProgram, laneOps } from "../numerics/lane.js";
import type {
  Condition,
  ConditionTerm,
  EngineRef,
  Instruction,
  ProgramBinding,
  Queue,
  SlotDest,
  SlotSource,
} from "./program.js";

export type FieldShape =
  | { readonly kind: "uint"; readonly bits: 8 | 16 | 32 }
  /** Two's complement, 64 bits; only integers that a double holds exactly. */
  | { readonly kind: "int" }
  /** IEEE 754 double. */
  | { readonly kind: "float" }
  | { readonly kind: "flag" }
  /** +1 or -1. */
  | { readonly kind: "sign" }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  /** Number of a string in the string table. */
  | { readonly kind: "string" }
  /** Number of a record in the table of that kind. */
  | { readonly kind: "struct"; readonly of: StructName }
  /** Consecutive records of that kind: number of the first, and how many. */
  | { readonly kind: "list"; readonly of: StructName }
  /** Consecutive entries of the table of integers. */
  | { readonly kind: "ints"; readonly unsigned?: true };

export type Field = FieldShape & { readonly optional?: true };

export interface StructLayout<T = unknown> {
  readonly about: string;
  readonly fields: { readonly [K in keyof Flat<T>]-?: Field };
  /** Unions: which of the optional fields stand beside each value of the tag. */
  readonly variants?: {
    readonly tag: string;
    readonly of: { readonly [value: string]: readonly string[] };
  };
}

/** Every field of every member of a union, as one record. */
type Flat<T> = { [K in T extends unknown ? keyof T : never]: unknown };

type Reduce = NonNullable<VecOutput<SlotDest, Condition>["reduce"]>;
type Mma = MmaBody<SlotSource, SlotDest, Condition>;

/** The parts of a program that descriptor tables hold. */
export interface Structs {
  affineTerm: AffineTerm;
  affine: Affine;
  count: Count;
  conditionTerm: ConditionTerm;
  condition: Condition;
  source: SlotSource;
  dest: SlotDest;
  memory: MemoryOperand;
  clip: NonNullable<TransferAxis["clip"]>;
  transferAxis: TransferAxis;
  index: IndexOperand<SlotSource>;
  walk: MemoryWalk;
  dequantize: NonNullable<LoadBody<SlotSource, SlotDest>["dequantize"]>;
  delivery: Delivery;
  mmaAxis: MmaAxis;
  zeroPoint: NonNullable<Mma["zeroA"]>;
  vecAxis: VecAxis;
  vecInput: VecBody<SlotSource, SlotDest, Condition>["inputs"][number];
  reduce: Reduce;
  vecOutput: VecOutput<SlotDest, Condition>;
  carryState: NonNullable<VecCarry<SlotDest, Condition>["state"]>;
  carry: VecCarry<SlotDest, Condition>;
  laneInstruction: LaneInstruction;
  lanes: LaneProgram;
  loop: LoopHead;
  stage: NonNullable<Instruction["stage"]>;
  sync: Pick<Instruction, "stage" | "waits" | "signals">;
  floatConstant: { readonly value: number };
  engine: EngineRef;
  queue: Queue;
  binding: ProgramBinding;
  role: { readonly name: string };
  program: ProgramHeader;
}

/** A program less its instructions. */
export interface ProgramHeader {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly scalarCount: number;
  readonly bindings: readonly ProgramBinding[];
  readonly queues: readonly Queue[];
  readonly roles: readonly { readonly name: string }[];
}

export type StructName = keyof Structs;

const u8 = { kind: "uint", bits: 8 } as const;
const u16 = { kind: "uint", bits: 16 } as const;
const int = { kind: "int" } as const;
const ints = { kind: "ints" } as const;
const registers = { kind: "ints", unsigned: true } as const;
const float = { kind: "float" } as const;
const flag = { kind: "flag" } as const;
const text = { kind: "string" } as const;
const struct = <S extends StructName>(of: S) => ({ kind: "struct", of }) as const;
const list = <S extends StructName>(of: S) => ({ kind: "list", of }) as const;
const oneOf = (...values: string[]) => ({ kind: "enum", values }) as const;
const maybe = <F extends FieldShape>(field: F) => ({ ...field, optional: true }) as const;

/** In the order of the tables in the file: a record refers to tables above its own only. */
export const structs: { readonly [S in StructName]: StructLayout<Structs[S]> } = {
  affineTerm: {
    about: "coefficient times a runtime scalar, or the index or extent of an enclosing loop",
    fields: { coefficient: int, of: oneOf("scalar", "index", "extent"), id: u16 },
  },
  affine: {
    about: "constant plus the sum of its terms",
    fields: { constant: int, terms: list("affineTerm") },
  },
  count: {
    about: "an affine value clamped to [0, max]",
    fields: { value: struct("affine"), max: int },
  },
  conditionTerm: {
    about: "the trip of an enclosing loop is (negated: is not) its first or last one",
    fields: { loop: u16, edge: oneOf("first", "last"), negated: flag },
  },
  condition: {
    about: "never, always, or where every term holds",
    fields: { kind: oneOf("never", "always", "all"), terms: maybe(list("conditionTerm")) },
    variants: { tag: "kind", of: { never: [], always: [], all: ["terms"] } },
  },
  source: {
    about: "reads the full head of a queue from an element on; pop then frees it",
    fields: { queue: u16, offset: struct("affine"), pop: struct("condition") },
  },
  dest: {
    about: "writes the free slot at a queue's tail, or with update the head; publish shows it",
    fields: {
      queue: u16,
      offset: struct("affine"),
      publish: struct("condition"),
      update: flag,
    },
  },
  memory: {
    about: "place in a binding",
    fields: { binding: u16, offset: struct("affine") },
  },
  clip: {
    about: "position i is inside iff 0 <= origin + i * step < limit",
    fields: { origin: struct("affine"), step: int, limit: struct("count") },
  },
  transferAxis: {
    about: "axis of a transfer between memory and a slot",
    fields: {
      count: struct("count"),
      memoryStride: int,
      slotStride: int,
      clip: maybe(struct("clip")),
    },
  },
  index: {
    about: "one transfer axis takes its place in memory from a slot of integers",
    fields: { axis: u8, source: struct("source"), strides: ints, extent: struct("count") },
  },
  walk: {
    about: "a second walk through memory over the same axes",
    fields: { memory: struct("memory"), strides: ints },
  },
  dequantize: {
    about: "value = (stored - zero) * scale",
    fields: { scale: struct("walk"), zero: maybe(struct("walk")) },
  },
  delivery: {
    about: "which members get what a load brings",
    fields: {
      kind: oneOf("multicast", "neighbour", "gather"),
      loop: maybe(u16),
      axis: maybe(oneOf("rows", "columns")),
      by: maybe({ kind: "sign" }),
      wrap: maybe(flag),
    },
    variants: {
      tag: "kind",
      of: { multicast: ["loop"], neighbour: ["axis", "by", "wrap"], gather: ["loop"] },
    },
  },
  mmaAxis: {
    about: "axis of a matrix product with its stride in each operand",
    fields: {
      role: oneOf("g", "m", "n", "k"),
      count: struct("count"),
      strideA: int,
      strideB: int,
      strideC: int,
    },
  },
  zeroPoint: {
    about: "zero point of an integer operand, read by its own walk",
    fields: { source: struct("source"), strides: ints },
  },
  vecAxis: {
    about: "axis of a vector instruction; base is the value of the lane operation index at 0",
    fields: {
      kind: oneOf("parallel", "reduce", "scan"),
      count: struct("count"),
      base: struct("affine"),
    },
  },
  vecInput: {
    about: "operand of a lane program",
    fields: { source: struct("source"), strides: ints },
  },
  reduce: {
    about: "how a result is reduced over the reduce axes",
    fields: {
      reduction: oneOf("sum", "prod", "seqsum", "max", "min", "and", "or"),
      phase: struct("affine"),
      init: struct("condition"),
      partialStride: maybe(int),
    },
  },
  vecOutput: {
    about: "where a result of a lane program goes",
    fields: { dest: struct("dest"), strides: ints, reduce: maybe(struct("reduce")) },
  },
  carryState: {
    about: "where a carried register is kept between instructions",
    fields: { dest: struct("dest"), strides: ints, init: struct("condition") },
  },
  carry: {
    about: "register carried along the scan axis",
    fields: {
      next: u16,
      initial: float,
      type: oneOf("f32", "i32"),
      state: maybe(struct("carryState")),
    },
  },
  laneInstruction: {
    about: "one lane operation; register i is the result of operation i",
    fields: {
      op: oneOf(...Object.keys(laneOps)),
      args: registers,
      imm: maybe(float),
      type: oneOf("f32", "i32"),
    },
  },
  lanes: {
    about: "lane program",
    fields: { instructions: list("laneInstruction"), results: registers },
  },
  loop: {
    about: "head of a loop over [start, total) by step",
    fields: {
      id: u16,
      name: text,
      over: oneOf("time", "rows", "columns", "members"),
      start: struct("affine"),
      total: list("affine"),
      minTotal: int,
      maxTotal: int,
      step: int,
    },
  },
  stage: {
    about: "the instruction runs this many trips of that loop late",
    fields: { loop: u16, by: u16 },
  },
  sync: {
    about: "stage of an instruction, tokens that it waits for, tokens that it signals",
    fields: {
      stage: maybe(struct("stage")),
      waits: maybe(list("source")),
      signals: maybe(list("dest")),
    },
  },
  floatConstant: { about: "a number", fields: { value: float } },
  engine: {
    about: "engine, with its channel where it has several",
    fields: { engine: oneOf("tensor", "vector", "load", "store"), channel: maybe(u8) },
    variants: {
      tag: "engine",
      of: { tensor: [], vector: [], load: ["channel"], store: ["channel"] },
    },
  },
  queue: {
    about: "ring of slots in L1 or in the accumulators",
    fields: {
      name: text,
      space: oneOf("l1", "accumulator"),
      dtype: oneOf(...deviceDTypes),
      elements: int,
      depth: u16,
      offsetBytes: int,
      producer: struct("engine"),
      consumers: list("engine"),
    },
  },
  binding: {
    about: "range of device memory that a launch supplies",
    fields: {
      name: text,
      dtype: oneOf(...deviceDTypes),
      elements: int,
      access: oneOf("read", "write", "shared"),
    },
  },
  role: {
    about: "what an instruction is for; launches map roles to ONNX nodes",
    fields: { name: text },
  },
  program: {
    about: "everything but the instructions",
    fields: {
      name: text,
      rows: u16,
      columns: u16,
      scalarCount: u8,
      bindings: list("binding"),
      queues: list("queue"),
      roles: list("role"),
    },
  },
};

export const structNames = Object.keys(structs) as readonly StructName[];

/** Bytes of a field in a record. References take 16 bits, lists a reference and a 16-bit count. */
export function fieldBytes(field: Field): number {
  switch (field.kind) {
    case "uint":
      return field.bits / 8;
    case "flag":
    case "sign":
    case "enum":
      return 1;
    case "string":
    case "struct":
      return 2;
    case "list":
    case "ints":
      return 4;
    case "int":
    case "float":
      return 8;
    default:
      return field satisfies never;
  }
}

export function fieldsOf(name: StructName): readonly (readonly [string, Field])[] {
  return Object.entries(structs[name].fields as Record<string, Field>);
}

/** Records with optional fields begin with a byte that has a bit for each of them, in order. */
export function recordBytes(name: StructName): number {
  const fields = fieldsOf(name);
  const presence = fields.some(([, field]) => field.optional) ? 1 : 0;
  return fields.reduce((bytes, [, field]) => bytes + fieldBytes(field), presence);
}
