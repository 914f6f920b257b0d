/**
 * Bodies of control flow as bytes, for executables: an ONNX model of one node that holds the body, which
 * `host-node.ts` writes and reads with everything that the body needs.
 */
import type { Node, Value } from "../../ir/graph.js";
import type { SubgraphTemplate } from "../../ir/onnx-node.js";
import type { SubgraphCodec } from "../../isa/elf-host.js";
import { decodeModel, encodeModel } from "../../onnx/model.js";
import { fail } from "../../support/diagnostic.js";
import { hostNodeFromModel, hostNodeModel } from "./host-node.js";
import { templateSource } from "./model-context.js";

export const subgraphCodec: SubgraphCodec = {
  encode: (template) => encodeModel(hostNodeModel(holderOf(template))),
  decode(bytes) {
    const body = hostNodeFromModel(decodeModel(bytes)).attributes.get("body");
    if (body?.kind !== "graph") return fail("L0502", "the body of a host step is damaged");
    return body.value;
  },
};

/** A node that has nothing but the body; what the body captures is of unknown type here. */
function holderOf(template: SubgraphTemplate): Node {
  const opset = templateSource(template).opsets.get("") ?? 1;
  const node = {
    name: "",
    operator: "Loop",
    domain: "",
    opset,
    attributes: new Map([["body", { kind: "graph", value: template } as const]]),
    inputNames: [],
    outputNames: [],
  };
  const unknown = (name: string): Value => ({ name, dtype: "f32", shape: [], unknownShape: true });
  return {
    op: { kind: "host", node, reason: "" },
    inputs: template.captures.map(unknown),
    outputs: [],
    origins: [],
  };
}
