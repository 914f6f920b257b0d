/**
 * What every engine does at every time of one run, in the trace event format that Perfetto and Chrome open. A member of
 * the grid is a process, an engine or channel a thread; launches and kernels stand above them. Of the launches of one
 * step of a loop the first is shown in full.
 */
import { engineText, instructionText } from "../isa/disassemble.js";
import type { Executable } from "../isa/executable.js";
import type { EngineRef } from "../isa/program.js";
import { sitesOf } from "../isa/sites.js";
import { type StepTiming, timeExecutable } from "../sim/timing/execution.js";
import { timeProgram } from "../sim/timing/timing.js";
import type { DeviceMachine } from "../target/machine.js";

export interface Timeline {
  readonly displayTimeUnit: "ns";
  readonly traceEvents: readonly TimelineEvent[];
}

export type TimelineEvent =
  | {
      readonly ph: "M";
      readonly name: "process_name" | "thread_name";
      readonly pid: number;
      readonly tid: number;
      readonly args: { readonly name: string };
    }
  | {
      /** A slice; times in microseconds. */
      readonly ph: "X";
      readonly name: string;
      readonly cat: string;
      readonly pid: number;
      readonly tid: number;
      readonly ts: number;
      readonly dur: number;
      readonly args: Readonly<Record<string, string | number>>;
    };

export interface TimelineOptions {
  readonly executable: Executable;
  readonly machine: DeviceMachine;
  readonly bindings: ReadonlyMap<string, number>;
  /** Members that are shown; default: the first. */
  readonly members?: readonly number[];
}

/** Process of the schedule; members follow. */
const schedule = 0;

export function timelineOf(options: TimelineOptions): Timeline {
  const { executable, machine, bindings, members = [0] } = options;
  const timing = timeExecutable(executable, machine, bindings);
  const events: TimelineEvent[] = [named("process_name", schedule, 0, "schedule")];
  const threads = new Set<string>();
  let now = timing.cycles.inputs;
  for (const step of timing.steps) {
    const name = step.kind === "launch" ? executable.programs[step.step.program]!.name : step.kind;
    const args = { cycles: step.cycles };
    events.push(
      slice(machine, { name, pid: schedule, tid: 0, start: now, end: now + step.cycles, args }),
    );
    if (step.kind === "launch") {
      const start = now + step.launchCycles;
      events.push(...kernelEvents({ ...options, members }, step, start, threads));
    }
    now += step.cycles;
  }
  return { displayTimeUnit: "ns", traceEvents: events };
}

function kernelEvents(
  { executable, machine, members }: Required<TimelineOptions>,
  { step, scalars }: Extract<StepTiming, { readonly kind: "launch" }>,
  kernelStart: number,
  threads: Set<string>,
): TimelineEvent[] {
  const events: TimelineEvent[] = [];
  const program = executable.programs[step.program]!;
  const texts = sitesOf(program).map(({ instruction }) => instructionText(program, instruction));
  timeProgram(program, machine, scalars, {
    onEvent: ({ engine, members: at, instruction, role, issue, start, end, done, loops }) => {
      for (const member of at.filter((number) => members.includes(number))) {
        const pid = member + 1;
        const tid = threadOf(engine);
        if (!threads.has(`${pid}`)) events.push(named("process_name", pid, 0, `member ${member}`));
        if (!threads.has(`${pid} ${tid}`)) {
          events.push(named("thread_name", pid, tid, engineText(engine)));
        }
        threads.add(`${pid}`).add(`${pid} ${tid}`);
        const args = {
          kernel: program.name,
          instruction: texts[instruction]!,
          nodes: (step.origins[role] ?? []).map(({ node }) => node).join(", "),
          issued: issue,
          done,
          ...Object.fromEntries(loops.map(({ name, index }) => [`loop ${name}`, index])),
        };
        const name = texts[instruction]!.split(" ")[0]!;
        const times = { start: kernelStart + start, end: kernelStart + end };
        events.push(slice(machine, { name, pid, tid, ...times, args }));
      }
    },
  });
  return events;
}

function threadOf(engine: EngineRef): number {
  switch (engine.engine) {
    case "tensor":
      return 1;
    case "vector":
      return 2;
    case "load":
      return 10 + engine.channel;
    case "store":
      return 20 + engine.channel;
    default:
      return engine satisfies never;
  }
}

function named(
  name: "process_name" | "thread_name",
  pid: number,
  tid: number,
  text: string,
): TimelineEvent {
  return { ph: "M", name, pid, tid, args: { name: text } };
}

function slice(
  machine: DeviceMachine,
  {
    start,
    end,
    ...rest
  }: {
    readonly name: string;
    readonly pid: number;
    readonly tid: number;
    readonly start: number;
    readonly end: number;
    readonly args: Readonly<Record<string, string | number>>;
  },
): TimelineEvent {
  const microseconds = (cycles: number) => (cycles / machine.clock.frequencyHz) * 1e6;
  const cat = rest.pid === schedule ? "schedule" : "engine";
  return { ph: "X", cat, ts: microseconds(start), dur: microseconds(end - start), ...rest };
}
