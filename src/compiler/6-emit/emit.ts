/**
 * Kernel to Program. Every tile value becomes a queue; where it is published and popped follows from nothing but
 * its definitions and uses:
 *
 * - scope of a value: the loops around its definition, less those over which it accumulates;
 * - publish: by its last defining statement, on the last trip of the loops over which that accumulates;
 * - pop: by each engine's last reader, on the last trip of the loops between scope and reader.
 */
import {
  slotBytes,
  type Condition,
  type EngineRef,
  type Instruction,
  type InstructionBody,
  never,
  always,
  type Program,
  type ProgramNode,
  type Queue,
  type SlotDest,
  type SlotSource,
} from "../../isa/program.js";
import type {
  Kernel,
  KernelBody,
  KernelNode,
  KernelStatement,
  Spanned,
  TileOperand,
} from "../../ir/kernel.js";
import { InternalError } from "../../support/diagnostic.js";

/** Slots begin on boundaries that every access width divides. */
const slotAlignmentBytes = 64;

export function emitProgram(kernel: Kernel): Program {
  const sites = collectSites(kernel);
  const flows = kernel.values.map((_, value) => flowOf(value, sites));
  return {
    name: kernel.name,
    grid: kernel.grid,
    scalarCount: kernel.scalarCount,
    bindings: kernel.bindings,
    queues: placeQueues(kernel, flows),
    body: emitNodes(kernel.body, [], { flows }),
    roles: kernel.roles,
  };
}

/** A statement with the loops around it, in program order. */
interface Site {
  readonly statement: KernelStatement;
  readonly loops: readonly number[];
}

interface Flow {
  readonly producer: EngineRef;
  readonly consumers: readonly EngineRef[];
  readonly scope: readonly number[];
  /** The statement that publishes. */
  readonly last: KernelStatement;
  /** Per consumer the statement that pops. */
  readonly poppers: ReadonlySet<KernelStatement>;
}

function collectSites(kernel: Kernel): Site[] {
  const sites: Site[] = [];
  const visit = (nodes: readonly KernelNode[], loops: readonly number[]): void => {
    for (const node of nodes) {
      if (node.kind === "loop") visit(node.body, [...loops, node.head.id]);
      else sites.push({ statement: node, loops });
    }
  };
  visit(kernel.body, []);
  return sites;
}

function flowOf(value: number, sites: readonly Site[]): Flow {
  const defined = sites.filter(({ statement }) =>
    destinations(statement.body).some((d) => d.operand.value === value),
  );
  const read = sites.filter(({ statement }) =>
    sources(statement.body).some((s) => s.value === value),
  );
  const last = defined.at(-1);
  if (last === undefined) throw new InternalError(`tile value ${value} is never written`);
  const spanned = destinations(last.statement.body).find((d) => d.operand.value === value)!.spanned;
  const poppers = new Map<string, KernelStatement>();
  const consumers: EngineRef[] = [];
  for (const { statement } of read) {
    const engine = engineOf(statement);
    const key = JSON.stringify(engine);
    if (!poppers.has(key)) consumers.push(engine);
    poppers.set(key, statement);
  }
  return {
    producer: engineOf(last.statement),
    consumers,
    scope: last.loops.filter((loop) => !spanned.includes(loop)),
    last: last.statement,
    poppers: new Set(poppers.values()),
  };
}

function engineOf(statement: KernelStatement): EngineRef {
  switch (statement.body.op) {
    case "load":
    case "store":
      return { engine: statement.body.op, channel: statement.channel };
    case "mma":
      return { engine: "tensor" };
    case "vec":
      return { engine: "vector" };
    default:
      return statement.body satisfies never;
  }
}

function sources(body: KernelBody): TileOperand[] {
  switch (body.op) {
    case "load":
      return body.index === undefined ? [] : [body.index.source];
    case "store":
      return [body.source, ...(body.index === undefined ? [] : [body.index.source])];
    case "mma":
      return [body.a, body.b, body.zeroA?.source, body.zeroB?.source].filter(
        (s) => s !== undefined,
      );
    case "vec":
      return body.inputs.map((input) => input.source);
    default:
      return body satisfies never;
  }
}

function destinations(body: KernelBody): { operand: TileOperand; spanned: Spanned }[] {
  switch (body.op) {
    case "load":
      return [{ operand: body.dest, spanned: [] }];
    case "store":
      return [];
    case "mma":
      return [{ operand: body.dest, spanned: body.clear }];
    case "vec":
      return [
        ...body.outputs.map((o) => ({ operand: o.dest, spanned: o.reduce?.init ?? [] })),
        ...body.carries.flatMap(({ state }) =>
          state === undefined ? [] : [{ operand: state.dest, spanned: state.init }],
        ),
      ];
    default:
      return body satisfies never;
  }
}

function placeQueues(kernel: Kernel, flows: readonly Flow[]): Queue[] {
  const next = { l1: 0, accumulator: 0 };
  return kernel.values.map((value, i): Queue => {
    const offsetBytes = next[value.space];
    const bytes = Math.ceil(slotBytes(value) / slotAlignmentBytes) * slotAlignmentBytes;
    next[value.space] += bytes * value.depth;
    const { producer, consumers } = flows[i]!;
    return { ...value, offsetBytes, producer, consumers };
  });
}

interface Emission {
  readonly flows: readonly Flow[];
}

function emitNodes(
  nodes: readonly KernelNode[],
  loops: readonly number[],
  emission: Emission,
): ProgramNode[] {
  return nodes.map((node): ProgramNode => {
    if (node.kind === "loop") {
      const { head } = node;
      return { kind: "loop", head, body: emitNodes(node.body, [...loops, head.id], emission) };
    }
    const instruction: Instruction = {
      body: emitBody(node, loops, emission),
      channel: node.channel,
      role: node.role,
      ...(node.stage === undefined ? {} : { stage: node.stage }),
    };
    return { kind: "instruction", instruction };
  });
}

function emitBody(
  statement: KernelStatement,
  loops: readonly number[],
  { flows }: Emission,
): InstructionBody {
  // One operand of a statement pops a value; where several read it, the last.
  const all = sources(statement.body);
  const source = (operand: TileOperand): SlotSource => {
    const flow = flows[operand.value]!;
    const isLast = all.findLast((s) => s.value === operand.value) === operand;
    const between = loops.filter((loop) => !flow.scope.includes(loop));
    const pop = isLast && flow.poppers.has(statement) ? edges(between, "last") : never;
    return { queue: operand.value, offset: operand.offset, pop };
  };
  const dest = (operand: TileOperand, spanned: Spanned): SlotDest => ({
    queue: operand.value,
    offset: operand.offset,
    publish: flows[operand.value]!.last === statement ? edges(spanned, "last") : never,
    update: false,
  });
  const { body } = statement;
  switch (body.op) {
    case "load": {
      const { index, ...rest } = body;
      return { ...rest, dest: dest(body.dest, []), ...withSource("index", index, source) };
    }
    case "store": {
      const { index, ...rest } = body;
      return { ...rest, source: source(body.source), ...withSource("index", index, source) };
    }
    case "mma": {
      const { zeroA, zeroB, ...rest } = body;
      return {
        ...rest,
        a: source(body.a),
        b: source(body.b),
        ...withSource("zeroA", zeroA, source),
        ...withSource("zeroB", zeroB, source),
        dest: dest(body.dest, body.clear),
        clear: edges(body.clear, "first"),
        fold: edges(body.fold, "last"),
      };
    }
    case "vec":
      return {
        ...body,
        inputs: body.inputs.map((input) => ({ ...input, source: source(input.source) })),
        outputs: body.outputs.map(({ reduce, ...output }) => ({
          ...output,
          dest: dest(output.dest, reduce?.init ?? []),
          ...(reduce === undefined
            ? {}
            : { reduce: { ...reduce, init: edges(reduce.init, "first") } }),
        })),
        carries: body.carries.map(({ state, ...carry }) => ({
          ...carry,
          ...(state === undefined
            ? {}
            : {
                state: {
                  strides: state.strides,
                  dest: dest(state.dest, state.init),
                  init: edges(state.init, "first"),
                },
              }),
        })),
      };
    default:
      return body satisfies never;
  }
}

/** An optional part of a body that has a source operand of its own. */
function withSource<K extends string, I extends { readonly source: TileOperand }>(
  key: K,
  part: I | undefined,
  source: (operand: TileOperand) => SlotSource,
): { [Key in K]?: Omit<I, "source"> & { source: SlotSource } } {
  if (part === undefined) return {};
  const entry = { ...part, source: source(part.source) };
  return { [key]: entry } as { [Key in K]?: typeof entry };
}

/** On the first or last trip of all the loops; of none: always. */
function edges(loops: readonly number[], edge: "first" | "last"): Condition {
  if (loops.length === 0) return always;
  return { kind: "all", terms: loops.map((loop) => ({ loop, edge, negated: false })) };
}
