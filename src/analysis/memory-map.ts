/** Who lies where in device memory, and when: buffers with the steps between which they hold something. */
import type { DeviceBuffer, Executable, Step } from "../isa/executable.js";

export interface MemoryMap {
  readonly buffers: readonly MappedBuffer[];
  readonly bytesByKind: { readonly [K in DeviceBuffer["kind"]]: number };
  /** What has to be allocated, and the most that is in use at a time: the difference is lost to placement. */
  readonly allocatedBytes: number;
  readonly peakBytes: number;
  /** Step at which the peak is reached. */
  readonly peakStep: number;
  readonly capacityBytes: number;
}

export interface MappedBuffer {
  readonly name: string;
  readonly kind: DeviceBuffer["kind"];
  readonly dtype: DeviceBuffer["dtype"];
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Steps [from, to) during which it is in use; inputs, outputs and constants always. */
  readonly from: number;
  readonly to: number;
}

export function memoryMap(executable: Executable, capacityBytes: number): MemoryMap {
  const { steps } = executable;
  const uses = executable.buffers.map(() => ({ from: steps.length, to: 0 }));
  steps.forEach((step, i) => {
    for (const buffer of buffersOf(step)) {
      const use = uses[buffer]!;
      use.from = Math.min(use.from, i);
      use.to = Math.max(use.to, i + 1);
    }
  });
  const buffers = executable.buffers.map((buffer, i): MappedBuffer => {
    const { name, kind, dtype, offsetBytes, sizeBytes } = buffer;
    const always = { from: 0, to: steps.length };
    const life = kind === "temporary" ? uses[i]! : always;
    return { name, kind, dtype, offsetBytes, sizeBytes, ...life };
  });
  const bytesByKind = { input: 0, output: 0, constant: 0, temporary: 0 };
  for (const { kind, sizeBytes } of buffers) bytesByKind[kind] += sizeBytes;
  const { peakBytes, peakStep } = peakUse(buffers, steps.length);
  const allocatedBytes = executable.memoryBytes;
  return { buffers, bytesByKind, allocatedBytes, peakBytes, peakStep, capacityBytes };
}

function buffersOf(step: Step): number[] {
  switch (step.kind) {
    case "launch":
      return step.bindings.map(({ buffer }) => buffer);
    case "copy":
      return [step.from, step.to].flatMap((ref) => (ref.where === "device" ? [ref.buffer] : []));
    case "host":
      return [];
    default:
      return step satisfies never;
  }
}

/** Several buffers may share bytes (one is a part of another), so covered bytes are counted, not sizes. */
function peakUse(
  buffers: readonly MappedBuffer[],
  steps: number,
): { readonly peakBytes: number; readonly peakStep: number } {
  const sorted = [...buffers].sort((a, b) => a.offsetBytes - b.offsetBytes);
  let peakBytes = 0;
  let peakStep = 0;
  for (let step = 0; step < Math.max(1, steps); step++) {
    let covered = 0;
    let end = 0;
    for (const { from, to, offsetBytes, sizeBytes } of sorted) {
      if (step < from || step >= to) continue;
      covered += Math.max(0, offsetBytes + sizeBytes - Math.max(end, offsetBytes));
      end = Math.max(end, offsetBytes + sizeBytes);
    }
    if (covered > peakBytes) [peakBytes, peakStep] = [covered, step];
  }
  return { peakBytes, peakStep };
}
