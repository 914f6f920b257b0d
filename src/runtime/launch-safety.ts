/**
 * What is checked of an executable's schedule when it is loaded: that every launch finds its bindings where its program
 * may be run, also after buffers have changed places. L0501 where it does not.
 */
import {
  type DeviceBuffer,
  everyStep,
  type Executable,
  type LaunchStep,
} from "../isa/executable.js";
import { verifyLaunch } from "../isa/verify.js";
import { byteLength } from "../numerics/dtype.js";
import { fail } from "../support/diagnostic.js";

export function requireSafeSchedule(executable: Executable): void {
  const partners = exchangePartners(executable);
  const { buffers } = executable;
  const offsetsBytes = buffers.map((buffer) => buffer.offsetBytes);
  for (const step of everyStep(executable.steps)) {
    if (step.kind !== "launch") continue;
    requireSafeLaunch(executable, step, offsetsBytes);
    const bound = [...new Set(step.bindings.map(({ buffer }) => buffer))];
    for (const own of bound) {
      const places = [own, partners.get(own) ?? own];
      for (const other of bound.filter((b) => b !== own && b !== partners.get(own))) {
        const others = [other, partners.get(other) ?? other];
        const meet = places.some((a) => others.some((b) => overlap(buffers[a]!, buffers[b]!)));
        if (meet && (places[1] !== own || others[1] !== other)) {
          fail(
            "L0501",
            `"${buffers[own]!.name}" changes places with what lies over another binding`,
          );
        }
      }
    }
  }
}

/** Element offsets of a launch's bindings as bytes, where the buffers begin at `offsetsBytes`. */
export function bindingOffsets(
  executable: Executable,
  step: LaunchStep,
  offsetsBytes: readonly number[],
): number[] {
  return step.bindings.map(
    ({ buffer, offset }) =>
      offsetsBytes[buffer]! + byteLength(executable.buffers[buffer]!.dtype, offset),
  );
}

function requireSafeLaunch(
  executable: Executable,
  step: LaunchStep,
  offsetsBytes: readonly number[],
): void {
  const program = executable.programs[step.program]!;
  const [problem] = verifyLaunch(program, {
    bindings: bindingOffsets(executable, step, offsetsBytes).map((offsetBytes) => ({
      offsetBytes,
    })),
    memoryBytes: executable.memoryBytes,
    scalars: step.scalars.length,
  });
  if (problem === undefined) return;
  fail("L0501", `a launch of program "${program.name}" is not safe: ${problem.reason}`);
}

/** By buffer the one that it changes places with: of its size, elsewhere, and nobody else's. */
function exchangePartners({ steps, buffers }: Executable): ReadonlyMap<number, number> {
  const partners = new Map<number, number>();
  for (const step of everyStep(steps)) {
    if (step.kind !== "loop") continue;
    for (const [one, other] of step.exchanged) {
      const [a, b] = [buffers[one], buffers[other]];
      const fits =
        a !== undefined &&
        b !== undefined &&
        a.sizeBytes === b.sizeBytes &&
        a.constantOffset === undefined &&
        b.constantOffset === undefined &&
        !overlap(a, b) &&
        !partners.has(one) &&
        !partners.has(other);
      if (!fits) fail("L0501", `buffers ${one} and ${other} cannot change places`);
      partners.set(one, other).set(other, one);
    }
  }
  return partners;
}

function overlap(a: DeviceBuffer, b: DeviceBuffer): boolean {
  return a.offsetBytes < b.offsetBytes + b.sizeBytes && b.offsetBytes < a.offsetBytes + a.sizeBytes;
}
