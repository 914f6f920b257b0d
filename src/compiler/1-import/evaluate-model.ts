/** A whole model on the host, without partition or device: the slowest oracle, and the plainest. */
import type { Model } from "../../onnx/model.js";
import { isTensor } from "../../ops/context.js";
import { evaluateHostGraph } from "../../ops/evaluate-node.js";
import type { HostValue } from "../../ops/record.js";
import { fail } from "../../support/diagnostic.js";
import { importModel, type ImportOptions } from "./import.js";

/** Outputs by name. Dims are bound to the shapes of the inputs unless `options` say otherwise. */
export function evaluateModel(
  model: Model,
  inputs: ReadonlyMap<string, HostValue>,
  options: ImportOptions = {},
): ReadonlyMap<string, HostValue> {
  const { graph } = importModel(model, { ...optionsFor(model, inputs), ...options });
  const outputs = evaluateHostGraph(graph, inputs);
  return new Map(graph.outputs.map(({ name }, i) => [name, outputs[i]!]));
}

/** Import options for exactly these inputs; L0601 for one that the model does not have. */
export function optionsFor(
  model: Model,
  inputs: ReadonlyMap<string, HostValue>,
): Pick<ImportOptions, "inputShapes" | "givenInputs"> {
  const names = new Set(model.graph.input.map((input) => input.name ?? ""));
  const inputShapes = new Map<string, readonly number[]>();
  for (const [name, value] of inputs) {
    if (!names.has(name)) {
      fail("L0601", `the model has no input "${name}"`, {
        notes: [`its inputs are ${[...names].map((n) => `"${n}"`).join(", ")}`],
      });
    }
    if (isTensor(value)) inputShapes.set(name, value.shape);
  }
  return { inputShapes, givenInputs: new Set(inputs.keys()) };
}
