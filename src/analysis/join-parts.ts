/**
 * The parts of one run as one executable, for reports: programs, buffers, slots and steps one after the other, with the
 * numbers of later ones moved up. Nothing runs it: what crosses from part to part is an output of one and an input of
 * the next.
 */
import type {
  DeviceBuffer,
  Executable,
  HostTensorRef,
  Port,
  Step,
  TensorRef,
} from "../isa/executable.js";
import { everyStep } from "../isa/executable.js";
import type { RunPart } from "../runtime/model-runner.js";

export function joinParts(parts: readonly RunPart[]): RunPart {
  return parts.reduce((before, part) => ({
    executable: joined(before.executable, part.executable),
    bindings: new Map([...before.bindings, ...part.bindings]),
  }));
}

function joined(one: Executable, other: Executable): Executable {
  const moved: Moves = {
    programs: one.programs.length,
    buffers: one.buffers.length,
    slots: slotCount(one),
  };
  const offset = (buffer: DeviceBuffer): DeviceBuffer => ({
    ...buffer,
    offsetBytes: one.memoryBytes + buffer.offsetBytes,
  });
  const names = new Set(other.symbols.map(({ name }) => name));
  return {
    ...one,
    symbols: [...one.symbols.filter(({ name }) => !names.has(name)), ...other.symbols],
    programs: [...one.programs, ...other.programs],
    buffers: [...one.buffers, ...other.buffers.map(offset)],
    memoryBytes: one.memoryBytes + other.memoryBytes,
    inputs: [...one.inputs, ...other.inputs.map((port) => movePort(port, moved))],
    boundInputs: [...one.boundInputs, ...other.boundInputs],
    outputs: [...one.outputs, ...other.outputs.map((port) => movePort(port, moved))],
    later: other.later,
    steps: [...one.steps, ...other.steps.map((step) => moveStep(step, moved))],
    records: [...one.records, ...other.records],
  };
}

interface Moves {
  readonly programs: number;
  readonly buffers: number;
  readonly slots: number;
}

function slotCount({ inputs, outputs, steps }: Executable): number {
  const refs = [...inputs, ...outputs].map(({ location }) => location);
  const slots = everyStep(steps).flatMap((step): number[] => {
    switch (step.kind) {
      case "launch":
        return [];
      case "copy":
        return slotsOf([step.from, step.to]);
      case "host":
        return [...step.inputs, ...step.outputs].map(({ slot }) => slot);
      case "if":
        return slotsOf([step.condition]);
      case "loop":
        return [...step.carried, ...step.collected].flatMap(({ from, to }) => [from, to]);
      default:
        return step satisfies never;
    }
  });
  return 1 + Math.max(-1, ...slotsOf(refs), ...slots);
}

function slotsOf(refs: readonly TensorRef[]): number[] {
  return refs.filter((ref): ref is HostTensorRef => ref.where === "host").map(({ slot }) => slot);
}

function movePort(port: Port, moved: Moves): Port {
  return { ...port, location: moveRef(port.location, moved) };
}

function moveRef<R extends TensorRef>(ref: R, { buffers, slots }: Moves): R {
  return ref.where === "host"
    ? { ...ref, slot: ref.slot + slots }
    : { ...ref, buffer: ref.buffer + buffers };
}

function moveStep(step: Step, moved: Moves): Step {
  const { programs, buffers, slots } = moved;
  const moveSlot = <S extends { readonly slot: number }>(at: S): S => ({
    ...at,
    slot: at.slot + slots,
  });
  const moveSlots = <S extends { readonly from: number; readonly to: number }>(pair: S): S => ({
    ...pair,
    from: pair.from + slots,
    to: pair.to + slots,
  });
  const moveBodies = (bodies: readonly (readonly Step[])[]) =>
    bodies.map((body) => body.map((inner) => moveStep(inner, moved)));
  switch (step.kind) {
    case "launch": {
      const bindings = step.bindings.map((at) => ({ ...at, buffer: at.buffer + buffers }));
      return { ...step, program: step.program + programs, bindings };
    }
    case "copy":
      return { ...step, from: moveRef(step.from, moved), to: moveRef(step.to, moved) };
    case "host":
      return {
        ...step,
        inputs: step.inputs.map(moveSlot),
        outputs: step.outputs.map(moveSlot),
      };
    case "if":
      return {
        ...step,
        condition: moveRef(step.condition, moved),
        bodies: moveBodies(step.bodies),
      };
    case "loop": {
      const { condition, exchanged } = step;
      return {
        ...step,
        ...(condition === undefined
          ? {}
          : {
              condition: {
                first: moveRef(condition.first, moved),
                next: moveRef(condition.next, moved),
              },
            }),
        bodies: moveBodies(step.bodies),
        exchanged: exchanged.map(([a, b]) => [a + buffers, b + buffers] as const),
        carried: step.carried.map(moveSlots),
        collected: step.collected.map(moveSlots),
      };
    }
    default:
      return step satisfies never;
  }
}
