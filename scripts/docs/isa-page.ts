/** docs/isa.md: the instruction set as its tables say it. */
import {
  bitFields,
  fieldKinds,
  instructionRows,
  opcodeBits,
  wordBits,
} from "../../src/isa/instructions.js";
import { type Field, fieldsOf, recordBytes, structNames, structs } from "../../src/isa/layout.js";
import { deviceDTypes, dtypes } from "../../src/numerics/dtype.js";
import { functionBounds } from "../../src/numerics/function-bounds.js";
import { type FunctionName, laneOps } from "../../src/numerics/lane.js";
import { limits, queueTheorem, textForm } from "./isa-prose.js";
import { page, table } from "./markdown.js";

type Row = (typeof instructionRows)[number];

export function isaPage(): string {
  return page(
    "The instruction set",
    "src/isa/instructions.ts, src/isa/layout.ts and src/numerics/lane.ts",
    `One program runs on all members (tiles); every engine runs its projection of it, and queues order the engines. ` +
      `A word has ${wordBits} bits; bits 0 to ${opcodeBits - 1} are the opcode. A field that refers to a descriptor ` +
      `holds its number plus one, 0 where an optional one is absent. What an instruction does to data stands in ` +
      "`src/ir/semantics/`, one file per body.",
    textForm,
    "## Instructions",
    ...instructionRows.map(instructionSection),
    queueTheorem,
    limits(),
    "## Data types",
    dataTypes(),
    "## Lane operations",
    "A `vec` runs a lane program: straight-line code over fp32 and int32 registers. Masks are int32, all ones or zero. " +
      "Functions are fixed sequences of the other rows (`src/numerics/functions.ts`), the same on every engine; the " +
      "bound is their largest error in units in the last place.",
    laneOperations(),
    "## Descriptors",
    "Records of the descriptor tables, fields in order. A reference is the record's number.",
    ...structNames.map(structSection),
  );
}

function instructionSection(row: Row): string {
  const bits = bitFields(row).map(({ name, firstBit, bits: width }) => [
    `${firstBit}..${firstBit + width - 1}`,
    name,
  ]);
  const operands = row.fields.map((field) => {
    const lead = field.lead === undefined ? "" : `\`${field.lead}\` `;
    const optional = field.optional === true ? "optional: " : "";
    return `- \`${field.name}\`: ${optional}${lead}${fieldKinds[field.kind].syntax}`;
  });
  return [
    `### \`${row.mnemonic}\` (${row.name}, opcode ${row.opcode}, ${row.engine})`,
    row.about,
    ...(operands.length > 0 ? [operands.join("\n")] : []),
    table(["bits", "field"], bits),
  ].join("\n\n");
}

function dataTypes(): string {
  return table(
    ["type", "bits", "kind"],
    deviceDTypes.map((name) => [name, String(dtypes[name].bits), dtypes[name].kind]),
  );
}

function laneOperations(): string {
  const rows = Object.entries(laneOps).map(([name, row]) => {
    const bound = name in functionBounds ? functionBounds[name as FunctionName] : undefined;
    const range = bound?.to === Infinity ? "" : `, in [${bound?.from}, ${bound?.to}]`;
    return [
      `\`${name}\``,
      `(${row.args.join(", ")}) → ${row.result}`,
      row.about,
      bound === undefined ? "" : `${bound.ulps} ulp${range}`,
    ];
  });
  return table(["operation", "type", "meaning", "bound"], rows);
}

function structSection(name: (typeof structNames)[number]): string {
  const rows = fieldsOf(name).map(([field, shape]) => [field, shapeText(shape)]);
  return [
    `### ${name}`,
    `${sentence(structs[name].about)} ${recordBytes(name)} bytes.`,
    table(["field", "content"], rows),
  ].join("\n\n");
}

function shapeText(field: Field): string {
  const optional = field.optional === true ? ", optional" : "";
  switch (field.kind) {
    case "uint":
      return `unsigned, ${field.bits} bits${optional}`;
    case "enum":
      return `${field.values.map((value) => `\`${value}\``).join(", ")}${optional}`;
    case "struct":
      return `reference to ${field.of}${optional}`;
    case "list":
      return `list of ${field.of}${optional}`;
    default:
      return `${field.kind}${optional}`;
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
