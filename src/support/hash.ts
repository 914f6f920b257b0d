/**
 * A content hash for naming data: 128 bits, MurmurHash3 for 32-bit words. Tells contents apart; it is no
 * protection against someone who wants two contents to collide.
 */

/** 32 hexadecimal digits. */
export function contentHash(bytes: Uint8Array): string {
  const state = new Uint32Array(4);
  const words = wordsOf(bytes);
  for (let i = 0; i < words.length; i += 4) {
    for (let lane = 0; lane < 4; lane++) mixLane(state, lane, words[i + lane]!);
  }
  for (let lane = 0; lane < 4; lane++) state[lane]! ^= bytes.length;
  crossAdd(state);
  for (let lane = 0; lane < 4; lane++) state[lane] = finalMix(state[lane]!);
  crossAdd(state);
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
}

/** Per lane: two multipliers, the rotations of the word and of the state, the neighbour is the next lane. */
const lanes = [
  { first: 0x239b961b, second: 0xab0e9789, turnWord: 15, turnState: 19, add: 0x561ccd1b },
  { first: 0xab0e9789, second: 0x38b34ae5, turnWord: 16, turnState: 17, add: 0x0bcaa747 },
  { first: 0x38b34ae5, second: 0xa1e38b93, turnWord: 17, turnState: 15, add: 0x96cd1c35 },
  { first: 0xa1e38b93, second: 0x239b961b, turnWord: 18, turnState: 13, add: 0x32ac3b17 },
] as const;

function mixLane(state: Uint32Array, lane: number, word: number): void {
  const { first, second, turnWord, turnState, add } = lanes[lane]!;
  state[lane]! ^= Math.imul(rotate(Math.imul(word, first), turnWord), second);
  const turned = rotate(state[lane]!, turnState) + state[(lane + 1) % 4]!;
  state[lane] = Math.imul(turned, 5) + add;
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function finalMix(x: number): number {
  let h = x ^ (x >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function crossAdd(state: Uint32Array): void {
  state[0]! += state[1]! + state[2]! + state[3]!;
  for (let lane = 1; lane < 4; lane++) state[lane]! += state[0]!;
}

/** Little-endian words, padded with zeros to a multiple of four. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(Math.ceil(bytes.length / 16) * 4);
  new Uint8Array(words.buffer).set(bytes);
  return words;
}
