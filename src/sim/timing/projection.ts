/**
 * What one engine or channel sees of a program: its own instructions with the loops around them, and every barrier. A
 * cursor walks it for one member, trip by trip.
 */
import type { LoopHead } from "../../ir/tile.js";
import { loopRange, tripOf, type LoopRange, type Trip } from "../../ir/semantics/semantics.js";
import type { EngineRef, Program, ProgramNode } from "../../isa/program.js";
import { sameEngine } from "../../isa/sites.js";
import type { Operation } from "./operation.js";

export type ProjectedNode =
  | { readonly kind: "operation"; readonly operation: Operation }
  | { readonly kind: "barrier" }
  | ProjectedLoop;

export interface ProjectedLoop {
  readonly kind: "loop";
  /** Absent: the whole program, as if it were a loop of one trip. */
  readonly head: LoopHead | undefined;
  /** A child runs `by` trips late. */
  readonly children: readonly { readonly node: ProjectedNode; readonly by: number }[];
  readonly late: number;
}

export function projectionOf(
  program: Program,
  operations: readonly Operation[],
  engine: EngineRef,
): ProjectedLoop {
  let number = 0;
  const project = (nodes: readonly ProgramNode[], head: LoopHead | undefined): ProjectedLoop => {
    const children = nodes.flatMap((node): ProjectedLoop["children"] => {
      if (node.kind === "barrier") return [{ node, by: 0 }];
      if (node.kind === "loop") {
        const inner = project(node.body, node.head);
        const by = head === undefined ? undefined : stageOf(inner, head.id);
        return inner.children.length === 0 ? [] : [{ node: inner, by: by ?? 0 }];
      }
      const operation = operations[number++]!;
      if (!sameEngine(operation.engine, engine)) return [];
      const { stage } = operation.instruction;
      const by = stage !== undefined && stage.loop === head?.id ? stage.by : 0;
      return [{ node: { kind: "operation", operation }, by }];
    });
    return { kind: "loop", head, children, late: Math.max(0, ...children.map(({ by }) => by)) };
  };
  return project(program.body, undefined);
}

/** All instructions of an inner loop are in the same stage of an outer one. */
function stageOf({ children }: ProjectedLoop, loop: number): number | undefined {
  for (const { node } of children) {
    if (node.kind === "loop") {
      const stage = stageOf(node, loop);
      if (stage !== undefined) return stage;
    }
    if (node.kind !== "operation") continue;
    const { stage } = node.operation.instruction;
    return stage?.loop === loop ? stage.by : 0;
  }
  return undefined;
}

/** Where a member's engine stands. */
export interface Cursor {
  readonly environment: { readonly scalars: ArrayLike<number>; readonly trips: Map<number, Trip> };
  /** Outermost first. */
  readonly frames: readonly Frame[];
  /** What comes next; undefined before the first `advance` and at the end. */
  current: Operation | "barrier" | undefined;
  advance(): void;
}

/** A loop that is under way. At step s a child runs trip s - by. */
export interface Frame {
  readonly loop: ProjectedLoop;
  readonly range: LoopRange;
  step: number;
  child: number;
  /** Steps that cost the same, where it was asked (see alike.ts). */
  alike: Steps | undefined;
}

/** Half-open. */
export interface Steps {
  readonly from: number;
  readonly to: number;
}

export interface CursorOptions {
  readonly scalars: ArrayLike<number>;
  readonly place: { readonly row: number; readonly column: number; readonly number: number };
  /** Told when a temporal loop comes to a new step. */
  stepped(frame: Frame): void;
}

export function createCursor(root: ProjectedLoop, options: CursorOptions): Cursor {
  const trips = new Map<number, Trip>();
  const once = { start: 0, total: 1, step: 1, count: 1 };
  const frames: Frame[] = [{ loop: root, range: once, step: 0, child: -1, alike: undefined }];
  const cursor: Cursor = {
    environment: { scalars: options.scalars, trips },
    frames,
    current: undefined,
    advance,
  };

  function advance(): void {
    for (;;) {
      const frame = frames.at(-1);
      if (frame === undefined) {
        cursor.current = undefined;
        return;
      }
      const node = nextChild(frame);
      if (node === undefined) frames.pop();
      else if (node.kind === "loop") enter(node, node.head!);
      else {
        cursor.current = node.kind === "barrier" ? "barrier" : node.operation;
        return;
      }
    }
  }

  function nextChild(frame: Frame): ProjectedNode | undefined {
    const { loop, range } = frame;
    const isTemporal = loop.head?.over === "time";
    const steps = range.count + (isTemporal ? loop.late : 0);
    for (;;) {
      frame.child++;
      if (frame.child === loop.children.length) {
        frame.child = 0;
        frame.step++;
      }
      if (frame.step >= steps) return undefined;
      if (isTemporal && frame.child === 0) options.stepped(frame);
      if (standAtChild(cursor, frame)) return loop.children[frame.child]!.node;
    }
  }

  function enter(loop: ProjectedLoop, head: LoopHead): void {
    const range = loopRange(head, cursor.environment);
    if (head.over === "time") {
      if (range.count > 0) frames.push({ loop, range, step: 0, child: -1, alike: undefined });
      return;
    }
    const { row, column, number } = options.place;
    const at = { rows: row, columns: column, members: number }[head.over];
    if (at >= range.count) return;
    trips.set(head.id, tripOf(range, at));
    frames.push({ loop, range: once, step: 0, child: -1, alike: undefined });
  }

  return cursor;
}

/** Sets the trip of the frame's loop for its current child; false if the child has none at this step. */
export function standAtChild(
  { environment }: Cursor,
  { loop, range, step, child }: Frame,
): boolean {
  if (loop.head?.over !== "time") return true;
  const trip = step - loop.children[child]!.by;
  if (trip < 0 || trip >= range.count) return false;
  environment.trips.set(loop.head.id, tripOf(range, trip));
  return true;
}
