/** Who watches a kernel or a program run sees every slot that an instruction wrote to, right after it did. */
import type { SlotCells } from "./cells.js";
import type { Member } from "./plain-order.js";

export interface SlotWritten {
  /** Number of the statement or instruction in the text, loops and barriers not counted. */
  readonly instruction: number;
  readonly member: Member;
  /** Number of the tile value; the queue that is made of it has the same. */
  readonly value: number;
  /** Valid during the call. */
  readonly cells: SlotCells;
}

/** Only slots of the member itself are told of, not those that it fills elsewhere. */
export type SlotObserver = (written: SlotWritten) => void;
