/** Who lies where in device memory, and when: buffers with the steps between which they hold something. */
import {
  type DeviceBuffer,
  everyStep,
  type Executable,
  type Step,
  type TensorRef,
} from "../isa/executable.js";

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
  const steps = everyStep(executable.steps);
  const uses = usesOf(executable.buffers.length, steps);
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

interface Use {
  from: number;
  to: number;
}

/** What a loop does not use for one trip alone is in use all through it. */
function usesOf(buffers: number, steps: readonly Step[]): readonly Use[] {
  const uses = Array.from({ length: buffers }, (): Use => ({ from: steps.length, to: 0 }));
  const widen = (use: Use, from: number, to: number): void => {
    use.from = Math.min(use.from, from);
    use.to = Math.max(use.to, to);
  };
  steps.forEach((step, i) => {
    for (const buffer of buffersOf(step)) widen(uses[buffer]!, i, i + 1);
  });
  for (const [i, step] of [...steps.entries()].reverse()) {
    if (step.kind !== "loop") continue;
    const end = i + everyStep([step]).length;
    const exchanged = new Set(step.exchanged.flat());
    uses.forEach((use, buffer) => {
      const isUsed = use.from < end && use.to > i;
      const isOwn = use.from >= i && use.to <= end && !exchanged.has(buffer);
      if (isUsed && !isOwn) widen(use, i, end);
    });
  }
  return uses;
}

function buffersOf(step: Step): number[] {
  switch (step.kind) {
    case "launch":
      return step.bindings.map(({ buffer }) => buffer);
    case "copy":
      return deviceBuffers([step.from, step.to]);
    case "host":
      return [];
    case "if":
      return deviceBuffers([step.condition]);
    case "loop": {
      const looks = step.condition && [step.condition.first, step.condition.next];
      return [...step.exchanged.flat(), ...deviceBuffers(looks ?? [])];
    }
    default:
      return step satisfies never;
  }
}

function deviceBuffers(refs: readonly TensorRef[]): number[] {
  return refs.flatMap((ref) => (ref.where === "device" ? [ref.buffer] : []));
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
