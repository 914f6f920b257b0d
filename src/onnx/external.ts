/**
 * Tensor data outside the model file: which range of which file it is. Reading is left to an injected
 * {@link ExternalData}; what only a file system can check (links, sizes) is checked there.
 */
import { fail } from "../support/diagnostic.js";
import type { TensorProto } from "./schema.js";

/** Where external tensors come from: files beside the model, or bytes that a caller has in memory. */
export interface ExternalData {
  /** Exactly `length` bytes, or everything from `offset` on if it is undefined; throws L0106. */
  read(location: string, offset: number, length: number | undefined): Uint8Array;
}

export interface ExternalRange {
  /** Relative to the model's folder, checked to stay inside it. */
  readonly location: string;
  readonly offset: number;
  readonly length: number | undefined;
}

/** Throws L0106 for a range that is not well-formed or leaves the model's folder. */
export function externalRange(proto: TensorProto): ExternalRange {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key ?? "", value ?? ""]));
  const location = entries.get("location");
  if (location === undefined || location === "") reject(proto, "it has no location");
  checkLocation(proto, location);
  return {
    location,
    offset: byteCount(proto, "offset", entries.get("offset")) ?? 0,
    length: byteCount(proto, "length", entries.get("length")),
  };
}

function checkLocation(proto: TensorProto, location: string): void {
  const path = `its location "${location}"`;
  if (/^([/\\]|[A-Za-z]:)/.test(location)) reject(proto, `${path} is not a relative path`);
  if (location.includes("\0")) reject(proto, `${path} has a zero character`);
  if (location.split(/[/\\]/).includes(".."))
    reject(proto, `${path} has "..", which may lead out of the model's folder`);
}

function byteCount(proto: TensorProto, key: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) reject(proto, `its ${key} "${text}" is no count of bytes`);
  return value;
}

function reject(proto: TensorProto, why: string): never {
  fail("L0106", `external data of a tensor cannot be read: ${why}`, {
    place: { tensor: proto.name ?? "" },
  });
}
