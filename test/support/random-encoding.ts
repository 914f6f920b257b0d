/**
 * Programs that are well-formed to the encoding and nonsense otherwise, made from the instruction table and the
 * schema of the descriptors: whatever either gains is tested without a change here.
 */
import fc from "fast-check";
import {
  type FieldKind,
  fieldKinds,
  instructionRows,
  type InstructionRow,
} from "../../src/isa/instructions.js";
import {
  type FieldShape,
  fieldsOf,
  type StructName,
  structs,
  type Structs,
} from "../../src/isa/layout.js";
import type { Instruction, Program, ProgramNode } from "../../src/isa/program.js";

const names = fc.oneof(
  fc.constantFrom("A", "k", "qX", "fill", "s0", "end", "min"),
  fc.string({ unit: "grapheme", maxLength: 6 }),
);
const integer = fc.oneof(
  fc.integer({ min: -3, max: 9 }),
  fc.constantFrom(2 ** 40, -(2 ** 31), Number.MAX_SAFE_INTEGER),
);
const float = fc.oneof(fc.double(), fc.constantFrom(0, -0, 1, Infinity, -Infinity, NaN, 2 ** -149));

const known = new Map<StructName, fc.Arbitrary<unknown>>();

function randomStruct<S extends StructName>(name: S): fc.Arbitrary<Structs[S]> {
  let arbitrary = known.get(name);
  if (arbitrary === undefined) {
    arbitrary = name === "loop" ? randomLoop() : fromLayout(name);
    known.set(name, arbitrary);
  }
  return arbitrary as fc.Arbitrary<Structs[S]>;
}

function fromLayout(name: StructName): fc.Arbitrary<unknown> {
  const { variants } = structs[name];
  const fields = fieldsOf(name);
  const record = (keys: (key: string, optional: boolean) => "yes" | "no" | "maybe") => {
    const chosen = fields.filter(([key, f]) => keys(key, f.optional === true) !== "no");
    const required = chosen.filter(([key, f]) => keys(key, f.optional === true) === "yes");
    return fc.record(Object.fromEntries(chosen.map(([key, field]) => [key, randomField(field)])), {
      requiredKeys: required.map(([key]) => key),
      noNullPrototype: true,
    });
  };
  if (variants === undefined) return record((_, optional) => (optional ? "maybe" : "yes"));
  const cases = Object.entries(variants.of).map(([tag, wanted]) =>
    record((key, optional) => (!optional || wanted.includes(key) ? "yes" : "no")).map((value) => ({
      ...value,
      [variants.tag]: tag,
    })),
  );
  return fc.oneof(...cases);
}

function randomLoop(): fc.Arbitrary<unknown> {
  return fromLayout("loop").filter((head) => (head as Structs["loop"]).total.length > 0);
}

function randomField(field: FieldShape): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case "uint":
      return fc.integer({ min: 0, max: field.bits === 8 ? 6 : 9 });
    case "int":
      return integer;
    case "float":
      return float;
    case "flag":
      return fc.boolean();
    case "sign":
      return fc.constantFrom(1, -1);
    case "enum":
      return fc.constantFrom(...field.values);
    case "string":
      return names;
    case "struct":
      return randomStruct(field.of);
    case "list":
      return fc.array(randomStruct(field.of), { maxLength: 3 });
    case "ints":
      return fc.array(field.unsigned ? fc.nat(20) : integer, { maxLength: 3 });
    default:
      return field satisfies never;
  }
}

function randomWordField(kind: FieldKind): fc.Arbitrary<unknown> {
  const { shape } = fieldKinds[kind];
  if (shape.kind === "struct" && shape.of === "floatConstant") return float;
  return randomField(shape);
}

function randomInstruction(row: InstructionRow): fc.Arbitrary<Instruction> {
  const required = row.fields.filter((f: { optional?: true }) => !f.optional).map((f) => f.name);
  const body = fc.record(
    Object.fromEntries(row.fields.map((field) => [field.name, randomWordField(field.kind)])),
    { requiredKeys: required, noNullPrototype: true },
  );
  return fc
    .record({
      body: body.map((fields) => ({ ...fields, op: row.body })),
      channel: fc.integer({ min: 0, max: 15 }),
      role: fc.integer({ min: 0, max: 4 }),
      sync: fc.option(randomStruct("sync"), { nil: {} }),
    })
    .map(({ sync, ...rest }) => ({ ...rest, ...sync }) as unknown as Instruction);
}

const engineRows = instructionRows.filter((row) => row.body !== undefined);

const { node } = fc.letrec<{ node: ProgramNode }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc
      .oneof(...engineRows.map(randomInstruction))
      .map((instruction) => ({ kind: "instruction" as const, instruction })),
    fc.constant({ kind: "barrier" as const }),
    fc.record(
      {
        kind: fc.constant("loop" as const),
        head: randomStruct("loop"),
        body: fc.array(tie("node"), { maxLength: 3 }),
      },
      { noNullPrototype: true },
    ),
  ),
}));

export const randomEncodableProgram: fc.Arbitrary<Program> = fc
  .record({ header: randomStruct("program"), body: fc.array(node, { maxLength: 4 }) })
  .map(({ header, body }) => ({
    name: header.name,
    grid: { rows: header.rows, columns: header.columns },
    scalarCount: header.scalarCount,
    bindings: header.bindings,
    queues: header.queues,
    body,
    roles: header.roles.map((role) => role.name),
  }));
