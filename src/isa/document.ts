/** The text of `docs/isa.md`: everything in it that can come from the tables does. */
import { tileLimits } from "../ir/tile.js";
import { laneOps } from "../numerics/lane.js";
import {
  bitFields,
  commonFields,
  fieldKinds,
  instructionRows,
  type InstructionRow,
  wordBits,
} from "./instructions.js";
import { type Field, fieldBytes, fieldsOf, recordBytes, structNames, structs } from "./layout.js";

export function isaPage(): string {
  return [
    introduction,
    "## Instructions",
    instructionTable(),
    ...instructionRows.map(instructionSection),
    queueTheorem,
    "## Lane operations",
    "A lane program is straight-line code over fp32 and int32 registers; register i is the result of operation i.",
    laneTable(),
    "## Limits",
    limitTable(),
    "## Descriptors",
    descriptorText,
    ...structNames.map(structSection),
    "",
  ].join("\n\n");
}

const introduction = `# Instruction set

This page is made from the tables in \`src/isa/instructions.ts\`, \`src/isa/layout.ts\` and \`src/numerics/lane.ts\`; a test
compares it with them. What instructions do to data is written in \`src/ir/semantics-*.ts\`.

A program is one text that all members of a kernel (the tiles of its grid) run. Every engine (tensor, vector) and every
load or store channel has a sequencer of its own and runs its part of the same text; only queues and barriers order them.
**Plain order** is loop by loop, instruction by instruction, all members in lock-step at each: it is the meaning of a
program, and what the reference simulator executes.

## Text

\`\`\`
program gemm
grid 2 x 2                        # members: rows x columns
scalars 1                         # int32 numbers that each launch carries: $0
binding A f32 4096 read           # name, type, elements; read, write or shared
queue qA l1 f32 1024 depth 2 at 0 from load.0 -> tensor
role matmul                       # launches map roles to ONNX nodes

loop m rows 0..64 step 32         # spatial: trip t belongs to the members of row t
  loop k 0..$0 in 1..64 step 32   # temporal: start..total in minTotal..maxTotal
    ld.0 qA.pub <- A[64*m + k] (ext(m) <= 32: 64 -> 32) (ext(k) <= 32: 1 -> 1) as matmul
  end
end
halt
\`\`\`

- Expressions are sums of a constant and terms in loop indices (\`k\`), extents of the current, perhaps ragged trip
  (\`ext(k)\`) and scalars (\`$0\`). A count that is not constant has a maximum: \`ext(k) <= 32\`.
- A total may be the least of several: \`0..min($0, i + ext(i)) in 1..64\`.
- \`.pub\` publishes a slot, \`.pop\` frees one, \`.update\` rewrites the head in place; without any a destination goes on
  filling and a source peeks. Conditions: \`.pop@f(k)&!l(i)\`, on the first trip of k but not on the last of i.
- \`stage k + 1\` runs an instruction one trip of k late; \`wait (t.pop)\` and \`signal (t.pub)\` are tokens: queues
  of 0 elements. An instruction ends with its role: \`as matmul\`.
- Where a name is not unique or not plain, \`%3\` stands for the third of its kind; loops are numbered as they come. Names
  may be quoted. \`#\` begins a comment.`;

const queueTheorem = `## Queues

A queue has one producing engine or channel and one to four consumers, each with a cursor of its own; a slot is free when
all have popped it. An instruction takes all its slots at once: it waits until every source has a full head and every
destination a free slot, then runs, then pops, then publishes. Tokens that it waits for are popped first. At most one
operand of an instruction pops or publishes a given queue.

**Theorem.** If plain order never over- or underfills a queue, no execution deadlocks and all give the same data.

*Proof.* Take a stuck state and the unfinished instruction instance that is least in plain order. All before it have
finished, so it is at the head of its engine. A cursor is moved by one engine alone, in order, so exactly as many pops have
happened as in plain order before it, and at least the publishes that precede it there. Plain order did not block at it,
so it can run: a contradiction. The data are the same because each cursor sees the same sequence (a Kahn network). It is
needed besides that loads, stores and the fabric wait for nothing but queues, and that a remote push is injected only
with a credit for its slot. ∎

The verifier decides the premise from structure: the effect of a loop body on the level that one consumer sees is (net,
least level needed, greatest level borne) in each phase (first, middle, last, only trip, no trip), composed from the
inside out, stages included; over a middle trip the net effect is 0. It also decides that every walk stays in its slot and
binding for all trips and all scalars, that accumulations were begun, that stores of different channels and members never
meet in a written binding, and that conflicting accesses to a shared one are ordered by a barrier or a token. It does not
decide that what is read was written before.`;

const descriptorText = `An encoded program is a stream of ${wordBits}-bit words and descriptor tables, one per kind of record below. A word or
record refers to a record by its number, to a list by the number of its first record and a count. Numbers are
little-endian. A record with optional fields begins with a byte that has a bit for each of them.`;

function instructionTable(): string {
  const rows = instructionRows.map(
    ({ mnemonic, opcode, engine, about }) =>
      `| [\`${mnemonic}\`](#${mnemonic}) | ${opcode} | ${engine} | ${about} |`,
  );
  return ["| mnemonic | opcode | engine | |", "|---|---|---|---|", ...rows].join("\n");
}

function instructionSection(row: InstructionRow): string {
  const parts = [`### ${row.mnemonic}`, row.about];
  if (row.fields.length > 0) {
    const fields = row.fields.map(({ name, kind, lead, optional }) => {
      const text = fieldKinds[kind].syntax;
      const before = lead === undefined ? "" : `\`${lead}\`, then `;
      return `- **${name}**${optional ? " (optional)" : ""}: ${before}${text}`;
    });
    parts.push(fields.join("\n"));
  }
  const bits = bitFields(row).map(
    ({ name, firstBit, bits: width }) => `| ${firstBit}..${firstBit + width - 1} | ${name} |`,
  );
  parts.push(["| bits | field |", "|---|---|", ...bits].join("\n"));
  return parts.join("\n\n");
}

function laneTable(): string {
  const rows = Object.entries(laneOps).map(([name, op]) => {
    const immediate = "imm" in op ? [`imm ${op.imm}`] : [];
    const args = [...op.args, ...immediate].join(", ");
    return `| \`${name}\` | ${args} | ${op.result} | ${op.about.replaceAll("|", "\\|")} |`;
  });
  return ["| operation | arguments | result | |", "|---|---|---|---|", ...rows].join("\n");
}

const limitTexts: { readonly [L in keyof typeof tileLimits]: string } = {
  loopDepth: "loops around an instruction",
  transferAxes: "axes of a load or store",
  vecAxes: "axes of a vec",
  vecInputs: "inputs of a vec",
  vecOutputs: "outputs of a vec",
  vecCarries: "carried registers of a vec",
  consumers: "consumers of a queue",
  scalars: "scalars of a launch",
};

function limitTable(): string {
  const rows = Object.entries(limitTexts).map(
    ([name, text]) => `| ${text} | ${tileLimits[name as keyof typeof tileLimits]} |`,
  );
  const common = Object.entries(commonFields).map(
    ([name, bits]) => `| ${name}s that words tell apart | ${2 ** bits} |`,
  );
  return ["| | at most |", "|---|---|", ...rows, ...common].join("\n");
}

function structSection(name: (typeof structNames)[number]): string {
  const { about, variants } = structs[name];
  const rows = fieldsOf(name).map(
    ([field, shape]) =>
      `| ${field}${shape.optional ? " (optional)" : ""} | ${fieldBytes(shape)} | ${shapeText(shape)} |`,
  );
  const kinds =
    variants === undefined
      ? []
      : [
          Object.entries(variants.of)
            .map(
              ([tag, fields]) => `- ${variants.tag} \`${tag}\`: ${fields.join(", ") || "no more"}`,
            )
            .join("\n"),
        ];
  return [
    `### ${name}`,
    `${about[0]!.toUpperCase()}${about.slice(1)}. ${recordBytes(name)} bytes.`,
    ["| field | bytes | |", "|---|---|---|", ...rows].join("\n"),
    ...kinds,
  ].join("\n\n");
}

function shapeText(field: Field): string {
  switch (field.kind) {
    case "uint":
      return "unsigned";
    case "int":
      return "signed";
    case "float":
      return "IEEE double";
    case "flag":
      return "0 or 1";
    case "sign":
      return "0 for +1, 1 for -1";
    case "enum":
      return field.values.length > 12
        ? `number of one of ${field.values.length} names, in the order of their table`
        : field.values.map((value, i) => `${i} ${value}`).join(", ");
    case "string":
      return "number of a string";
    case "struct":
      return `number of a ${field.of}`;
    case "list":
      return `list of ${field.of}`;
    case "ints":
      return "list of integers";
    default:
      return field satisfies never;
  }
}
