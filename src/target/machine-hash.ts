/** Content hash of a machine: what an executable says it was compiled for. */
import { contentHash } from "../support/hash.js";
import type { DeviceMachine } from "./machine.js";

export function machineHash(machine: DeviceMachine): string {
  return contentHash(new TextEncoder().encode(JSON.stringify(machine)));
}
