/** How child processes that run cases are started, and watched: one that hangs or grows is killed. */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";

const heapMegabytes = 1500;
/** Of the processor's time, which says more than the clock where the machine is shared. A case takes some 0.1 s. */
const secondsMax = 30;
const residentBytesMax = 3e9;

/** For Node, before the name of the script. */
export const childOptions = [`--max-old-space-size=${heapMegabytes}`, "--import", "tsx"] as const;

export interface Watch {
  /** A new case begins, which has all the time. */
  restart(): void;
  stop(): void;
  /** Why it was killed, or what it said at its end. */
  lastWords(): string;
}

/** Its stderr must be a pipe. */
export function watchChild(child: ChildProcess): Watch {
  let complaint = "";
  child.stderr!.on("data", (data: Buffer) => (complaint = (complaint + data).slice(-2000)));
  let began = processorSeconds(child);
  let killed: string | undefined;
  const timer = setInterval(() => {
    if (processorSeconds(child) - began > secondsMax)
      killed ??= `hangs: killed after ${secondsMax} s`;
    const bytes = residentBytes(child);
    if (bytes > residentBytesMax) killed ??= `memory: ${(bytes / 1e9).toFixed(1)} GB resident`;
    if (killed !== undefined) child.kill("SIGKILL");
  }, 200);
  return {
    restart: () => (began = processorSeconds(child)),
    stop() {
      clearInterval(timer);
      child.kill("SIGKILL");
    },
    lastWords: () =>
      killed ?? `dies: ${complaint.trim().split("\n").slice(0, 6).join(" | ")}`.trim(),
  };
}

/** Seconds that the child has computed; the clock where the system does not say. */
function processorSeconds({ pid }: ChildProcess): number {
  try {
    const [, after] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
    const [user, system] = after!.split(" ").slice(11, 13).map(Number);
    return (user! + system!) / 100;
  } catch {
    return performance.now() / 1000;
  }
}

/** 0 where the system does not say. */
function residentBytes({ pid }: ChildProcess): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}
