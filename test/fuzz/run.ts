/**
 * Runs a range of cases in child processes and watches them: a child that hangs, grows or dies is a finding of the
 * case it was at, and the next child goes on behind it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ShortVerdict } from "./judge.js";
import type { Report } from "./worker.js";

export interface Range {
  readonly seed: number;
  readonly first: number;
  readonly end: number;
  readonly processes: number;
}

export interface CaseResult {
  readonly number: number;
  readonly from: string;
  readonly verdict: ShortVerdict;
}

/** Of the processor's time, which says more than the clock where the machine is shared. A case takes some 0.1 s. */
const secondsMax = 30;
const residentBytesMax = 3e9;
const heapMegabytes = 1500;
/** A child is replaced after this many cases, so that what piles up in one is no finding. */
const batchCases = 500;

/** In several processes at once; `onResult` hears of the cases in any order. */
export async function runCases(
  { seed, first, end, processes }: Range,
  onResult: (result: CaseResult) => void,
): Promise<void> {
  let unclaimed = first;
  const work = async (): Promise<void> => {
    while (unclaimed < end) {
      let next = unclaimed;
      const last = Math.min(end, next + batchCases);
      unclaimed = last;
      while (next < last) {
        for await (const result of runChild(seed, next, last)) {
          next = result.number + 1;
          onResult(result);
        }
      }
    }
  };
  await Promise.all(Array.from({ length: processes }, work));
}

async function* runChild(seed: number, first: number, end: number): AsyncGenerator<CaseResult> {
  const worker = fileURLToPath(new URL("./worker.ts", import.meta.url));
  const options = [`--max-old-space-size=${heapMegabytes}`, "--import", "tsx", worker];
  const child = spawn(process.execPath, [...options, ...[seed, first, end].map(String)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complaint = "";
  child.stderr.on("data", (data: Buffer) => (complaint = (complaint + data).slice(-2000)));
  let began = processorSeconds(child);
  let killed: string | undefined;
  const watch = setInterval(() => {
    if (processorSeconds(child) - began > secondsMax)
      killed ??= `hangs: killed after ${secondsMax} s`;
    const bytes = residentBytes(child);
    if (bytes > residentBytesMax) killed ??= `memory: ${(bytes / 1e9).toFixed(1)} GB resident`;
    if (killed !== undefined) child.kill("SIGKILL");
  }, 200);
  let number = first;
  let from = "";
  let isPeer = false;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const report = JSON.parse(line) as Report;
      if (report.at === "end") {
        yield { number, from, verdict: report.verdict };
        number++;
      } else if (report.at === "start") {
        from = report.from;
        began = processorSeconds(child);
      }
      isPeer = report.at === "peer";
    }
  } finally {
    clearInterval(watch);
    child.kill("SIGKILL");
  }
  if (number === end) return;
  if (isPeer) {
    yield { number, from, verdict: { kind: "equal" } };
    return;
  }
  const what = killed ?? `dies: ${complaint.trim().split("\n").slice(0, 6).join(" | ")}`;
  yield { number, from, verdict: { kind: "finding", what } };
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
