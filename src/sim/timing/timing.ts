/**
 * How long a program takes: engines, queues, channels, ports, memory and network in integer cycles and integer bytes.
 * It reads the program, the machine and the runtime scalars, never a tensor; results come from the functional simulators.
 * The rules are in `docs/timing.md`.
 */
import type { EngineRef, Program } from "../../isa/program.js";
import type { DeviceMachine } from "../../target/machine.js";
import { energyOf, type Energy, sumEnergies } from "./energy.js";
import { simulate } from "./simulate.js";
import {
  type Actor,
  type Cause,
  causes,
  counterOf,
  createSimulation,
  type Simulation,
} from "./state.js";
import { sumTallies, type Tally, tallyFields, tallyOf } from "./tally.js";
import type { OnEvent } from "./trace.js";

export interface TimingOptions {
  /** Told of every instruction, those of one engine in order; steady phases are then stepped. */
  readonly onEvent?: OnEvent;
  /** False: steady phases are stepped, not multiplied. The result is the same. */
  readonly skip?: boolean;
  /** False: equal members are all stepped. The result is the same. */
  readonly merge?: boolean;
}

export interface KernelTiming {
  /** From the start of the program to its last result and acknowledgement, without the launch. */
  readonly cycles: number;
  /** Members of the grid. */
  readonly members: number;
  readonly engines: readonly EngineTiming[];
  readonly tally: Tally;
  readonly energy: Energy;
  /** How it was found out. */
  readonly effort: {
    readonly classes: number;
    readonly steps: number;
    /** Cycles that were multiplied instead of stepped. */
    readonly skippedCycles: number;
  };
}

/** An engine or channel, over all members: the sum of all causes is the kernel's cycles times its members. */
export interface EngineTiming {
  readonly engine: EngineRef;
  readonly cycles: Readonly<Record<Cause, number>>;
  /** Of the member that it works longest on: busy, and moving data (at less than full speed too). */
  readonly busiest: { readonly busy: number; readonly moving: number };
}

export function timeProgram(
  program: Program,
  machine: DeviceMachine,
  scalars: ArrayLike<number>,
  options: TimingOptions = {},
): KernelTiming {
  const { onEvent, skip = true, merge = true } = options;
  const simulation = createSimulation(program, machine, {
    scalars,
    skip: skip && onEvent === undefined,
    merge,
    onEvent,
  });
  simulate(simulation);
  return timingOf(simulation);
}

/** Runs of one program after the other; `like` is one of its timings. */
export function sumTimings(timings: readonly KernelTiming[], like: KernelTiming): KernelTiming {
  const sum = (of: (timing: KernelTiming) => number): number =>
    timings.reduce((n, timing) => n + of(timing), 0);
  return {
    cycles: sum((t) => t.cycles),
    members: like.members,
    engines: like.engines.map(({ engine }, i): EngineTiming => {
      const entries = causes.map((cause) => [cause, sum((t) => t.engines[i]!.cycles[cause])]);
      const busy = sum((t) => t.engines[i]!.busiest.busy);
      const moving = sum((t) => t.engines[i]!.busiest.moving);
      return {
        engine,
        cycles: Object.fromEntries(entries) as Record<Cause, number>,
        busiest: { busy, moving },
      };
    }),
    tally: sumTallies(timings.map((t) => t.tally)),
    energy: sumEnergies(timings.map((t) => t.energy)),
    effort: {
      classes: like.effort.classes,
      steps: sum((t) => t.effort.steps),
      skippedCycles: sum((t) => t.effort.skippedCycles),
    },
  };
}

function timingOf(simulation: Simulation): KernelTiming {
  const { program, machine, classes, counters, skipped, now, steps } = simulation;
  const cycles = skipped + now;
  const tally = tallyOf(counters.subarray(0, tallyFields.length));
  return {
    cycles,
    members: program.grid.rows * program.grid.columns,
    engines: engineTimings(simulation),
    tally,
    energy: energyOf(tally, cycles, machine),
    effort: { classes: classes.length, steps, skippedCycles: skipped },
  };
}

function engineTimings({ actors, counters, classes }: Simulation): EngineTiming[] {
  const engines = actors.length / classes.length;
  return actors.slice(0, engines).map(({ engine }, i) => {
    const own = actors.filter(({ number }) => number % engines === i);
    const entries = causes.map((cause) => {
      const sum = own.reduce(
        (n, actor) => n + counters[counterOf(actor, cause)]! * actor.members.members.length,
        0,
      );
      return [cause, sum] as const;
    });
    const most = (of: (actor: Actor) => number) => Math.max(...own.map(of));
    const busy = (actor: Actor) => counters[counterOf(actor, "busy")]!;
    const slowed = (actor: Actor) => counters[counterOf(actor, "bandwidth")]!;
    return {
      engine,
      cycles: Object.fromEntries(entries) as Record<Cause, number>,
      busiest: { busy: most(busy), moving: most((actor) => busy(actor) + slowed(actor)) },
    };
  });
}
