/**
 * A smaller file with the same finding: nodes, inputs, initializers, attributes and outputs are taken away one by one
 * as long as the finding stays of the same kind.
 */
import { decodeModel, encodeModel, type Model } from "../../src/onnx/model.js";
import { withGraph } from "./edit.js";
import type { ShortVerdict } from "./judge.js";

/** The file itself where it does not decode. */
export async function minimize(
  file: Uint8Array,
  judge: (file: Uint8Array) => Promise<ShortVerdict>,
): Promise<Uint8Array> {
  const wanted = kindOf(await judge(file));
  let model: Model;
  try {
    model = decodeModel(file);
  } catch {
    return file;
  }
  for (;;) {
    const smaller = await firstWith(
      smallerForms(model),
      async (form) => kindOf(await judge(form)) === wanted,
    );
    if (smaller === undefined) return encodeModel(model);
    model = smaller;
  }
}

async function firstWith(
  forms: Iterable<Model>,
  holds: (file: Uint8Array) => Promise<boolean>,
): Promise<Model | undefined> {
  for (const form of forms) if (await holds(encodeModel(form))) return form;
  return undefined;
}

/** A finding without the names and numbers in it. */
function kindOf(verdict: ShortVerdict): string {
  if (verdict.kind !== "finding") return verdict.kind;
  return verdict.what!.replace(/"[^"]*"|\d+/g, "").slice(0, 60);
}

function* smallerForms(model: Model): Generator<Model> {
  const { graph } = model;
  const { node, output, initializer, input } = graph;
  for (const [i, cut] of node.entries()) {
    const rest = node.toSpliced(i, 1);
    const made = new Set(cut.output);
    const kept = output.filter(({ name }) => !made.has(name ?? ""));
    const freed = cut.input.flatMap((name) => {
      const isMade = name !== "" && rest.some((other) => other.output.includes(name));
      return isMade ? [{ name }] : [];
    });
    yield withGraph(model, { node: rest, output: kept.length > 0 ? kept : freed });
  }
  const lists = { output, initializer, input, valueInfo: graph.valueInfo } as const;
  for (const [key, list] of Object.entries(lists)) {
    for (let i = 0; i < list.length; i++) {
      if (key !== "output" || list.length > 1)
        yield withGraph(model, { [key]: list.toSpliced(i, 1) });
    }
  }
  for (const [i, { attribute, ...rest }] of node.entries()) {
    for (let j = 0; j < attribute.length; j++) {
      const changed = { ...rest, attribute: attribute.toSpliced(j, 1) };
      yield withGraph(model, { node: node.toSpliced(i, 1, changed) });
    }
  }
}
