/** What a trace tells of every instruction. */
import type { EngineRef } from "../../isa/program.js";
import type { Cursor } from "./projection.js";

/** One instruction on the members of one class, which do the same at the same time; of a multicast, of its group. */
export interface TraceEvent {
  readonly engine: EngineRef;
  readonly members: readonly number[];
  /** Number in the program's text, loops and barriers not counted. */
  readonly instruction: number;
  readonly role: number;
  /** It is issued, and has the engine to itself between start (the first byte of a transfer) and end. */
  readonly issue: number;
  readonly start: number;
  readonly end: number;
  /** Its results or data have arrived, or are acknowledged. */
  readonly done: number;
  /** The loops around it, outermost first. */
  readonly loops: readonly { readonly name: string; readonly index: number }[];
}

export type OnEvent = (event: TraceEvent) => void;

/** The loops that are under way around an engine's next instruction. */
export function loopsOf({ frames, environment }: Cursor): TraceEvent["loops"] {
  return frames.flatMap(({ loop: { head } }) => {
    const trip = head === undefined ? undefined : environment.trips.get(head.id);
    return trip === undefined ? [] : [{ name: head!.name, index: trip.index }];
  });
}
