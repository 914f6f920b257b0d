/**
 * Runs a range of cases in child processes and watches them: a child that hangs, grows or dies is a finding of the
 * case it was at, and the next child goes on behind it.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { childOptions, watchChild } from "./child.js";
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
  const child = spawn(
    process.execPath,
    [...childOptions, worker, ...[seed, first, end].map(String)],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const watch = watchChild(child);
  let number = first;
  let from = inTheMaking;
  let isPeer = false;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const report = JSON.parse(line) as Report;
      watch.restart();
      if (report.at === "start") from = report.from;
      isPeer = report.at === "peer";
      if (report.at !== "end") continue;
      yield { number, from, verdict: report.verdict };
      number++;
      from = inTheMaking;
    }
  } finally {
    watch.stop();
  }
  if (number === end) return;
  const dead: ShortVerdict = isPeer
    ? { kind: "equal" }
    : { kind: "finding", what: watch.lastWords() };
  yield { number, from, verdict: dead };
}

/** What a case is called until it is made. */
const inTheMaking = "in the making";
