/**
 * Where the tile values of a Kernel live: derived from where they are written and read, and from what their
 * accumulations span.
 */
import type {
  Kernel,
  KernelBody,
  KernelNode,
  KernelStatement,
  Spanned,
  TileOperand,
} from "./kernel.js";
import type { LoopHead } from "../tile.js";

/** A statement with the loops around it, outermost first. */
export interface PlacedStatement {
  readonly statement: KernelStatement;
  readonly loops: readonly LoopHead[];
}

export function statementsOf(
  nodes: readonly KernelNode[],
  loops: readonly LoopHead[] = [],
): PlacedStatement[] {
  return nodes.flatMap((node) =>
    node.kind === "loop"
      ? statementsOf(node.body, [...loops, node.head])
      : [{ statement: node, loops }],
  );
}

/** A value that a statement writes, and the loops over which it goes on from what the value holds. */
export interface Written {
  readonly operand: TileOperand;
  readonly spanned: Spanned;
}

export function readsOf(body: KernelBody): readonly TileOperand[] {
  switch (body.op) {
    case "load":
      return body.index === undefined ? [] : [body.index.source];
    case "store":
      return body.index === undefined ? [body.source] : [body.source, body.index.source];
    case "mma":
      return [body.a, body.b, body.zeroA?.source, body.zeroB?.source].filter(
        (operand) => operand !== undefined,
      );
    case "vec":
      return body.inputs.map((input) => input.source);
    default:
      return body satisfies never;
  }
}

export function writesOf(body: KernelBody): readonly Written[] {
  switch (body.op) {
    case "load":
      return [{ operand: body.dest, spanned: [] }];
    case "store":
      return [];
    case "mma":
      return [{ operand: body.dest, spanned: body.clear }];
    case "vec":
      return [
        ...body.outputs.map(({ dest, reduce }) => ({ operand: dest, spanned: reduce?.init ?? [] })),
        ...body.carries.flatMap(({ state }) =>
          state === undefined ? [] : [{ operand: state.dest, spanned: state.init }],
        ),
      ];
    default:
      return body satisfies never;
  }
}

/**
 * Per value: the loops of whose every iteration it is one slot, outermost first. They are the loops that enclose
 * all its writers and readers, up to the first over which a writer accumulates.
 */
export function valueScopes(kernel: Kernel): (readonly LoopHead[])[] {
  const scopes: (readonly LoopHead[] | undefined)[] = kernel.values.map(() => undefined);
  const narrow = (value: number, loops: readonly LoopHead[]): void => {
    const scope = scopes[value];
    if (scope === undefined) scopes[value] = loops;
    else {
      const differs = scope.findIndex((head, i) => head.id !== loops[i]?.id);
      scopes[value] = differs < 0 ? scope : scope.slice(0, differs);
    }
  };
  for (const { statement, loops } of statementsOf(kernel.body)) {
    for (const { value } of readsOf(statement.body)) narrow(value, loops);
    for (const { operand, spanned } of writesOf(statement.body)) {
      const first = loops.findIndex((head) => spanned.includes(head.id));
      narrow(operand.value, first < 0 ? loops : loops.slice(0, first));
    }
  }
  return scopes.map((scope) => scope ?? []);
}
