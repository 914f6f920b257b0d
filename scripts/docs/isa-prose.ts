/** What docs/isa.md says beside its tables: how programs are written, why queues suffice, the limits. */
import { tileLimits } from "../../src/ir/tile.js";
import { commonFields } from "../../src/isa/instructions.js";
import { table } from "./markdown.js";

export const textForm = `## Text

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
  What \`.pub@!l(k)\` leaves unpublished on the last trip of k is lost: so a loop hands a state to its own next trip.
- \`stage k + 1\` runs an instruction one trip of k late; \`wait (t.pop)\` and \`signal (t.pub)\` are tokens: queues
  of 0 elements. An instruction ends with its role: \`as matmul\`.
- Where a name is not unique or not plain, \`%3\` stands for the third of its kind; loops are numbered as they come. Names
  may be quoted. \`#\` begins a comment.`;

export const queueTheorem = `## Queues

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

export function limits(): string {
  const rows = Object.entries(limitTexts).map(([name, text]) => [
    text,
    String(tileLimits[name as keyof typeof tileLimits]),
  ]);
  const channels = ["channels of one kind", String(2 ** commonFields.channel)];
  return `## Limits\n\n${table(["what", "at most"], [...rows, channels])}`;
}
