/** Damage to the bytes of a file, for the decoder: what a bad disk, a bad download or an attacker makes of it. */
import type { Random } from "../support/random.js";

type Damage = (bytes: Uint8Array, r: Random) => Uint8Array;

const damages: readonly Damage[] = [
  function flipBit(bytes, r) {
    const result = bytes.slice();
    const at = position(bytes, r);
    result[at] = (result[at] ?? 0) ^ (1 << r.integer(0, 7));
    return result;
  },
  function overwrite(bytes, r) {
    const result = bytes.slice();
    const at = position(bytes, r);
    for (let i = 0; i < r.integer(1, 8); i++) result[at + i] = r.integer(0, 255);
    return result;
  },
  function truncate(bytes, r) {
    return bytes.slice(0, position(bytes, r));
  },
  function remove(bytes, r) {
    const at = position(bytes, r);
    return joined(bytes.slice(0, at), bytes.slice(at + r.integer(1, 16)));
  },
  function repeat(bytes, r) {
    const at = position(bytes, r);
    const end = at + r.integer(1, 64);
    return joined(bytes.slice(0, end), bytes.slice(at));
  },
  function insertLength(bytes, r) {
    const at = position(bytes, r);
    return joined(bytes.slice(0, at), Uint8Array.from(r.pick(varints)), bytes.slice(at));
  },
];

/** 2^32 - 1, 2^63 - 1, -1, one that never ends, and small ones. */
const varints: readonly (readonly number[])[] = [
  [255, 255, 255, 255, 15],
  [255, 255, 255, 255, 255, 255, 255, 255, 127],
  [255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
  [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
  [0],
  [8, 1],
];

export function damageBytes(bytes: Uint8Array, r: Random): Uint8Array {
  let result = bytes;
  for (let i = r.integer(1, 3); i > 0; i--) result = r.pick(damages)(result, r);
  return result;
}

/** Mostly near the ends, where the structure is; the middle is weights. */
function position(bytes: Uint8Array, r: Random): number {
  const near = Math.min(bytes.length, 4096);
  const last = Math.max(0, near - 1);
  if (r.chance(0.4)) return r.integer(0, last);
  if (r.chance(0.5)) return Math.max(0, bytes.length - 1 - r.integer(0, last));
  return r.integer(0, Math.max(0, bytes.length - 1));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
