/**
 * One ONNX node as the import hands it to an operator record: names resolved, attributes decoded.
 * Lives in `ir` because host operations keep it; it knows nothing of protobuf.
 */
import type { Tensor } from "../numerics/tensor.js";
import type { GraphBuilder } from "./builder.js";
import type { Graph, Value } from "./graph.js";

export interface OnnxNode {
  readonly name: string;
  readonly operator: string;
  readonly domain: string;
  /** Opset version that the model imports for the domain. */
  readonly opset: number;
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  /** Input names as in the model; "" where an optional input is left out. */
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
}

export type AttributeValue =
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "tensor"; readonly value: Tensor }
  | { readonly kind: "ints"; readonly value: readonly bigint[] }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "tensors"; readonly value: readonly Tensor[] }
  | { readonly kind: "graph"; readonly value: SubgraphTemplate };

/**
 * The body of If, Loop or Scan, imported anew for each set of known values and types.
 * `captures` are the outer names that the body uses.
 */
export interface SubgraphTemplate {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly captures: readonly string[];
  /** Imports the body with the given values for its inputs and captures. */
  instantiate(values: ReadonlyMap<string, Value>): Graph;
  /** The body's nodes in a builder that has these values for its inputs and captures: its outputs. */
  inline(b: GraphBuilder, values: ReadonlyMap<string, Value>): readonly Value[];
}
