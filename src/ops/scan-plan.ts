/** What the attributes of a Scan say of its inputs and outputs. */
import type { NodeContext } from "./record.js";

export interface ScanPlan {
  readonly stateCount: number;
  readonly scanCount: number;
  readonly inputAxes: readonly number[];
  readonly outputAxes: readonly number[];
  /** 1 where a sequence is read (or an output written) from its end. */
  readonly inputDirections: readonly number[];
  readonly outputDirections: readonly number[];
}

export function scanPlan(c: NodeContext, outputCount: number): ScanPlan {
  const scanCount = c.int("num_scan_inputs") ?? c.invalid("L0108", "num_scan_inputs is missing");
  const stateCount = c.node.inputNames.length - scanCount;
  if (stateCount < 0 || scanCount < 1 || outputCount < stateCount) {
    c.invalid("L0108", `num_scan_inputs ${scanCount} does not fit the node's inputs`);
  }
  return {
    stateCount,
    scanCount,
    inputAxes: c.ints("scan_input_axes", []),
    outputAxes: c.ints("scan_output_axes", []),
    inputDirections: c.ints("scan_input_directions", []),
    outputDirections: c.ints("scan_output_directions", []),
  };
}
