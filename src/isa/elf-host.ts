/**
 * The graphs of host steps in an ELF file: each as text, with its large tensors and its bodies of control flow in a
 * section of binary data beside it.
 */
import type { SubgraphTemplate } from "../ir/onnx-node.js";
import { parseGraph } from "../ir/text/parse.js";
import { printWithReferences, type TextReferences } from "../ir/text/print.js";
import { bytesFromData, dataFromBytes } from "../numerics/convert.js";
import type { DType } from "../numerics/dtype.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { fail } from "../support/diagnostic.js";
import { concatenate } from "./descriptors.js";
import { type Range, slice } from "./elf-sections.js";
import type { HostStep } from "./executable.js";

/**
 * How bodies of control flow on the host are written: they are parts of the model, which only the import can read.
 * Without one, an executable that has such bodies cannot be written.
 */
export interface SubgraphCodec {
  encode(template: SubgraphTemplate): Uint8Array;
  decode(bytes: Uint8Array): SubgraphTemplate;
}

/** A tensor that the text of host graphs names by its hash. */
export interface HostTensor {
  readonly hash: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Range;
  /** Strings only, which have no bytes of their own. */
  readonly strings?: readonly string[];
}

export interface HostSubgraph {
  readonly key: string;
  readonly data: Range;
}

/** Where what the host graphs refer to lies in `.host.data`. */
export interface HostTables {
  readonly tensors: readonly HostTensor[];
  readonly subgraphs: readonly HostSubgraph[];
}

export interface HostWriter {
  /** Number of the step's graph. */
  add(step: HostStep): number;
  graphs(): readonly string[];
  tables(): HostTables;
  data(): Uint8Array;
}

export function hostWriter(codec: SubgraphCodec | undefined): HostWriter {
  const texts: string[] = [];
  const pieces: Uint8Array[] = [];
  const tensors = new Map<string, HostTensor>();
  const subgraphs: HostSubgraph[] = [];
  let size = 0;
  const append = (bytes: Uint8Array): Range => {
    const padding = (64 - (size % 64)) % 64;
    if (padding > 0) pieces.push(new Uint8Array(padding));
    const range = { offset: size + padding, size: bytes.length };
    pieces.push(bytes);
    size = range.offset + range.size;
    return range;
  };
  return {
    add(step) {
      const number = texts.length;
      const { text, references } = printWithReferences(step.graph);
      texts.push(text);
      for (const { hash, tensor } of tensorsIn(text, references)) {
        if (!tensors.has(hash)) tensors.set(hash, { hash, ...fileTensor(tensor, append) });
      }
      for (const { key, template } of subgraphsIn(text, references)) {
        if (codec === undefined) {
          fail("L0301", "a step on the host has control flow, which this file cannot hold", {
            notes: [step.reason],
          });
        }
        subgraphs.push({ key: `${number}:${key}`, data: append(codec.encode(template)) });
      }
      return number;
    },
    graphs: () => texts,
    tables: () => ({ tensors: [...tensors.values()], subgraphs }),
    data: () => concatenate(pieces),
  };
}

function fileTensor(
  { dtype, shape, data }: Tensor,
  append: (bytes: Uint8Array) => Range,
): Omit<HostTensor, "hash"> {
  if (Array.isArray(data)) return { dtype, shape, data: { offset: 0, size: 0 }, strings: data };
  return { dtype, shape, data: append(bytesFromData(dtype, data)) };
}

/** What a graph's text refers to, found by reading it. */
function tensorsIn(text: string, references: TextReferences) {
  const found: { readonly hash: string; readonly tensor: Tensor }[] = [];
  parseGraph(text, {
    ...references,
    tensor(hash) {
      const tensor = references.tensor(hash);
      if (tensor !== undefined) found.push({ hash, tensor });
      return tensor;
    },
  });
  return found;
}

function subgraphsIn(text: string, references: TextReferences) {
  const found: { readonly key: string; readonly template: SubgraphTemplate }[] = [];
  parseGraph(text, {
    ...references,
    subgraph(key) {
      const template = references.subgraph(key);
      if (template !== undefined) found.push({ key, template });
      return template;
    },
  });
  return found;
}

export type HostReader = (graph: number) => HostStep["graph"];

export function hostReader(
  { tensors: entries, subgraphs: ranges }: HostTables,
  texts: readonly string[],
  data: Uint8Array,
  codec: SubgraphCodec | undefined,
): HostReader {
  const tensors = new Map(entries.map((tensor) => [tensor.hash, tensor]));
  const subgraphs = new Map(ranges.map((subgraph) => [subgraph.key, subgraph.data]));
  const known = new Map<string, Tensor>();
  const tensorOf = (hash: string): Tensor | undefined => {
    const entry = tensors.get(hash);
    if (entry === undefined) return undefined;
    let tensor = known.get(hash);
    if (tensor === undefined) {
      tensor = memoryTensor(entry, data);
      known.set(hash, tensor);
    }
    return tensor;
  };
  return (number) =>
    parseGraph(texts[number] ?? fail("L0502", `there is no host graph ${number}`), {
      tensor: tensorOf,
      subgraph(key) {
        const range = subgraphs.get(`${number}:${key}`);
        if (range === undefined) return undefined;
        if (codec !== undefined) return codec.decode(slice(data, range));
        return fail("L0502", "the file holds control flow of the host, which needs the compiler");
      },
    });
}

function memoryTensor({ dtype, shape, data, strings }: HostTensor, bytes: Uint8Array): Tensor {
  if (strings !== undefined) return { dtype, shape, data: [...strings] };
  return { dtype, shape, data: dataFromBytes(dtype, slice(bytes, data), elementCount(shape)) };
}
