/** Verdicts from a child process, so that files may crash or hang what judges them. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { childOptions, type Watch, watchChild } from "./child.js";
import type { ShortVerdict } from "./judge.js";
import type { Answer } from "./judge-child.js";

export interface Judge {
  /** The verdict on this file with the inputs of the case. One at a time. */
  judge(file: Uint8Array): Promise<ShortVerdict>;
  close(): void;
}

export function judgeOf(seed: number, number: number): Judge {
  let running: Running | undefined;
  return {
    judge(file) {
      if (running?.child.connected !== true) running = start(seed, number);
      return askOnce(running, file);
    },
    close: () => running?.watch.stop(),
  };
}

interface Running {
  readonly child: ChildProcess;
  readonly watch: Watch;
}

function start(seed: number, number: number): Running {
  const script = fileURLToPath(new URL("./judge-child.ts", import.meta.url));
  const child = fork(script, [seed, number].map(String), {
    execArgv: [...childOptions],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  return { child, watch: watchChild(child) };
}

function askOnce({ child, watch }: Running, file: Uint8Array): Promise<ShortVerdict> {
  watch.restart();
  return new Promise((resolve) => {
    let isPeer = false;
    const finish = (verdict: ShortVerdict): void => {
      child.off("message", onAnswer);
      child.off("close", onClose);
      resolve(verdict);
    };
    const onAnswer = (answer: Answer): void => {
      isPeer = answer.at === "peer";
      if (answer.at === "end") finish(answer.verdict);
    };
    const onClose = (): void => {
      watch.stop();
      finish(isPeer ? { kind: "equal" } : { kind: "finding", what: watch.lastWords() });
    };
    child.on("message", onAnswer);
    child.on("close", onClose);
    child.send(file);
  });
}
