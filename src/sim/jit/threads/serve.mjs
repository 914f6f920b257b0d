// @ts-check
/**
 * What a worker of the JIT does: takes messages, and between them members of launches. A worker's entry hands every
 * message to the function that `createServer` makes; it returns when there is another message to wait for.
 */
import {
  instantiateControl,
  instantiateKernels,
  takeMembers,
  word,
  writeFailure,
} from "./protocol.mjs";

/** A worker looks so often for the next round before it sleeps: launches follow each other within microseconds. */
const looksMax = 3000;

/** @returns {(message: import("./protocol.mjs").WorkerMessage) => void} */
export function createServer() {
  /** @type {Map<number, WebAssembly.Exports>} */
  const instances = new Map();
  /** @type {Int32Array} */
  let words = new Int32Array();
  let thread = 0;
  let handled = 0;
  return (message) => {
    handled++;
    if (message.kind === "join") ({ words, thread } = message);
    else {
      const { number, memory, control, kernels } = message;
      const exports = kernels.map((module) => instantiateKernels(memory, module));
      instances.set(number, instantiateControl(memory, control, exports));
    }
    let seen = 0;
    while (Atomics.load(words, word.posted) === handled) {
      const round = Atomics.load(words, word.round);
      if (round !== seen && round % 2 !== 0) help(words, instances, thread, round);
      seen = round;
      awaitChange(words, round);
    }
  };
}

/**
 * @param {Int32Array} words
 * @param {ReadonlyMap<number, WebAssembly.Exports>} instances
 * @param {number} thread
 * @param {number} round
 */
function help(words, instances, thread, round) {
  Atomics.add(words, word.busy, 1);
  try {
    if (Atomics.load(words, word.round) === round) {
      const exports = instances.get(words[word.instance] ?? -1);
      const run = exports?.[`p${words[word.program]}`];
      const takes = /** @type {import("./protocol.mjs").RunMembers | undefined} */ (run);
      if (takes !== undefined) Atomics.add(words, word.taken, takeMembers(words, takes, thread));
    }
  } catch (error) {
    writeFailure(words, error);
  }
  Atomics.sub(words, word.busy, 1);
  Atomics.notify(words, word.busy);
}

/**
 * @param {Int32Array} words
 * @param {number} round
 */
function awaitChange(words, round) {
  for (let looks = 0; looks < looksMax; looks++) {
    if (Atomics.load(words, word.round) !== round) return;
  }
  Atomics.wait(words, word.round, round);
}
