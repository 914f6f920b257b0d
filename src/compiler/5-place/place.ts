/**
 * Phase 5: every storage root gets its range of device memory. Inputs, outputs and constants keep theirs for the
 * whole run; temporaries share memory when their lifetimes do not meet. Lifetimes are half-open intervals of
 * step numbers. Largest first, each at the lowest offset that is free for its whole life; `check.ts` checks the
 * result without sharing this code.
 */
import { byteLength, type DeviceDType } from "../../numerics/dtype.js";

export interface PlacementRequest {
  readonly name: string;
  readonly dtype: DeviceDType;
  readonly elements: number;
  /** Absent: the whole run. */
  readonly life?: { readonly begin: number; readonly end: number };
}

export interface Placement {
  readonly offsetsBytes: readonly number[];
  readonly totalBytes: number;
}

/** Buffers begin where any vector access is aligned and no two share a cache line. */
const alignmentBytes = 256;

export function sizeBytes(request: PlacementRequest): number {
  return Math.max(alignmentBytes, align(byteLength(request.dtype, request.elements)));
}

export function place(requests: readonly PlacementRequest[]): Placement {
  const offsetsBytes = new Array<number>(requests.length).fill(0);
  let fixed = 0;
  const moving: number[] = [];
  requests.forEach((request, i) => {
    if (request.life !== undefined) {
      moving.push(i);
      return;
    }
    offsetsBytes[i] = fixed;
    fixed += sizeBytes(request);
  });
  moving.sort((a, b) => sizeBytes(requests[b]!) - sizeBytes(requests[a]!) || a - b);
  const placed: number[] = [];
  let top = 0;
  for (const i of moving) {
    const offset = lowestFree(requests, offsetsBytes, placed, i, fixed);
    offsetsBytes[i] = offset;
    placed.push(i);
    top = Math.max(top, offset + sizeBytes(requests[i]!));
  }
  return { offsetsBytes, totalBytes: Math.max(fixed, top) };
}

function lowestFree(
  requests: readonly PlacementRequest[],
  offsetsBytes: readonly number[],
  placed: readonly number[],
  index: number,
  base: number,
): number {
  const own = requests[index]!;
  const neighbours = placed
    .filter((other) => lifetimesMeet(own.life!, requests[other]!.life!))
    .sort((a, b) => offsetsBytes[a]! - offsetsBytes[b]!);
  const size = sizeBytes(own);
  let offset = base;
  for (const other of neighbours) {
    if (offsetsBytes[other]! - offset >= size) break;
    offset = Math.max(offset, offsetsBytes[other]! + sizeBytes(requests[other]!));
  }
  return offset;
}

function lifetimesMeet(
  a: { readonly begin: number; readonly end: number },
  b: { readonly begin: number; readonly end: number },
): boolean {
  return a.begin < b.end && b.begin < a.end;
}

function align(bytes: number): number {
  return Math.ceil(bytes / alignmentBytes) * alignmentBytes;
}
