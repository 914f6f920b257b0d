// @ts-check
/**
 * How the threads of the JIT share a launch: words of shared memory that the launching thread and its workers read and
 * write. JavaScript and not TypeScript, because workers run it as it stands, wherever the sources are run from.
 *
 * A round is one launch. While its number is odd, members may be taken, each by one thread. A worker counts itself
 * busy before it looks whether the round is still open, and the launching thread closes the round before it waits for
 * nobody to be busy: so no worker works on a round that is over.
 */

/** Where each word stands. */
export const word = Object.freeze({
  round: 0,
  busy: 1,
  /** The next member that nobody has taken, and how many there are. */
  next: 2,
  members: 3,
  /** What is launched: number of the instance, and of the program in it. */
  instance: 4,
  program: 5,
  /** Scratch area of the launching thread, and the distance to that of the next thread. */
  scratch: 6,
  pitchBytes: 7,
  argCount: 8,
  args: 9,
  /** Messages that have been posted to every worker. */
  posted: 600,
  /** Members that workers have run since they were started. */
  taken: 601,
  /** Length of the message of a worker that failed, in characters; then the characters. */
  failureLength: 602,
  failure: 603,
  count: 1024,
});

export const argsMax = word.posted - word.args;
const failureMax = word.count - word.failure;

/**
 * What workers are told. `join`: the first message. `instance`: modules to be instantiated over a memory, which
 * rounds then name by their number.
 * @typedef {{ kind: "join", words: Int32Array, thread: number }
 *   | { kind: "instance", number: number, memory: WebAssembly.Memory,
 *       control: WebAssembly.Module, kernels: readonly WebAssembly.Module[] }} WorkerMessage
 */

/** @typedef {(first: number, end: number, scratch: number, ...args: number[]) => void} RunMembers */

/**
 * Runs members of the present round until none is left; returns how many.
 * @param {Int32Array} words
 * @param {RunMembers} run
 * @param {number} thread 0 is the launching one
 */
export function takeMembers(words, run, thread) {
  const members = words[word.members] ?? 0;
  const scratch = (words[word.scratch] ?? 0) + thread * (words[word.pitchBytes] ?? 0);
  const args = words.subarray(word.args, word.args + (words[word.argCount] ?? 0));
  for (let taken = 0; ; taken++) {
    const member = Atomics.add(words, word.next, 1);
    if (member >= members) return taken;
    run(member, member + 1, scratch, ...args);
  }
}

/**
 * The control functions of modules over a memory, by name.
 * @param {WebAssembly.Memory} memory
 * @param {WebAssembly.Module} control
 * @param {readonly WebAssembly.Exports[]} kernels whose functions the control code calls
 */
export function instantiateControl(memory, control, kernels) {
  const functions = Object.assign({}, ...kernels);
  return new WebAssembly.Instance(control, { m: { m: memory }, f: functions }).exports;
}

/**
 * The kernels of a module over a memory, by name.
 * @param {WebAssembly.Memory} memory
 * @param {WebAssembly.Module} kernels
 */
export function instantiateKernels(memory, kernels) {
  return new WebAssembly.Instance(kernels, { m: { m: memory } }).exports;
}

/**
 * Leaves the message of an error for the launching thread; the first one counts.
 * @param {Int32Array} words
 * @param {unknown} error
 */
export function writeFailure(words, error) {
  const text = String(error).slice(0, failureMax);
  if (Atomics.compareExchange(words, word.failureLength, 0, -1) !== 0) return;
  for (let i = 0; i < text.length; i++) words[word.failure + i] = text.charCodeAt(i);
  Atomics.store(words, word.failureLength, text.length);
}

/**
 * The message of a worker that failed in a round that is over, undefined if none did.
 * @param {Int32Array} words
 */
export function readFailure(words) {
  const length = Atomics.load(words, word.failureLength);
  if (length === 0) return undefined;
  return String.fromCharCode(...words.subarray(word.failure, word.failure + length));
}
