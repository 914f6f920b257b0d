/**
 * Another runtime for host regions. The core knows this interface only; Node's implementation, on ONNX Runtime, is
 * `node/onnxruntime-host.ts`. Without one, regions are evaluated by the operators' own references.
 */
import type { DType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";

export interface HostRuntime {
  readonly name: string;
  /** A session for an ONNX model. Rejects, with whatever the runtime says, if it does not take the model. */
  create(model: Uint8Array): Promise<HostSession>;
}

export interface HostSession {
  /** Outputs that the interface can hand over, with their types. Others (sequences, say) are absent. */
  readonly outputs: ReadonlyMap<string, DType>;
  /** Inputs and outputs by the model's names. */
  run(inputs: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>>;
  release(): Promise<void>;
}

/**
 * Who runs host regions: `auto` another runtime where there is one and the region is worth it, `onnxruntime` wherever
 * it takes the region, `reference` never.
 */
export const hostRuntimeChoices = ["auto", "onnxruntime", "reference"] as const;
export type HostRuntimeChoice = (typeof hostRuntimeChoices)[number];

export interface HostRuntimeSetting {
  readonly choice: HostRuntimeChoice;
  /** Undefined if there is none. Asked for once, when a region wants it first. */
  readonly load: () => Promise<HostRuntime | undefined>;
}

export const referenceOnly: HostRuntimeSetting = {
  choice: "reference",
  load: () => Promise.resolve(undefined),
};
