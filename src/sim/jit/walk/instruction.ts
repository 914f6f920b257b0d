/** The work of one instruction, without its queue traffic. */
import type { Instruction } from "../../../isa/program.js";
import { emitMma } from "../mma/mma.js";
import type { Site } from "./site.js";
import { emitLoad, emitStore } from "../transfer/transfer.js";
import { emitVec } from "./vec.js";

export function emitInstruction(site: Site, { body }: Instruction): void {
  switch (body.op) {
    case "load":
      return emitLoad(site, body);
    case "store":
      return emitStore(site, body);
    case "mma":
      return emitMma(site, body);
    case "vec":
      return emitVec(site, body);
    default:
      return body satisfies never;
  }
}
