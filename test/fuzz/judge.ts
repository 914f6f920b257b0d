/**
 * The whole verdict on a case: ours (`check.ts`), then what ONNX Runtime says to results on which all of ours agree.
 * It may crash its process: not for tests.
 */
import { decodeModel } from "../../src/onnx/model.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { checkCase, type Equal, type FuzzCase } from "./check.js";
import type { NodeReport } from "./coverage.js";
import { everyValue, firstType, type ModelNode, nodesOf } from "./nodes.js";
import { opinionOfPeer } from "./peer.js";

/** A verdict without its tensors. */
export interface ShortVerdict {
  readonly kind: "equal" | "refused" | "large" | "finding";
  readonly code?: string;
  readonly what?: string;
  readonly nodes?: readonly NodeReport[];
}

/** `beforePeer` is called before ONNX Runtime is. */
export async function judgeCase(given: FuzzCase, beforePeer: () => void): Promise<ShortVerdict> {
  const verdict = await checkCase(given);
  if (verdict.kind === "equal") {
    beforePeer();
    return await withOpinions(verdict);
  }
  if (verdict.kind !== "refused") return verdict;
  const { kind, code, node } = verdict;
  const nodes = node === undefined ? [] : nodesIn(given.file);
  return {
    kind,
    code,
    nodes: nodes
      .filter(({ name }) => name === node)
      .map(({ operator }) => ({ operator, ranOn: "refused" })),
  };
}

function nodesIn(file: Uint8Array): readonly ModelNode[] {
  try {
    return nodesOf(decodeModel(file));
  } catch (error) {
    if (error instanceof DiagnosticError) return [];
    throw error;
  }
}

async function withOpinions({ model, runs, onHost }: Equal): Promise<ShortVerdict> {
  const all = nodesOf(model);
  const values = everyValue(model, all, runs[0]!);
  const nodes: NodeReport[] = [];
  for (const node of all) {
    const opinion = await opinionOfPeer(model, all, node, values);
    const { name, operator } = node;
    if (opinion.kind === "different") {
      const what = `ONNX Runtime has another result of ${operator} "${name}": ${opinion.what}`;
      return { kind: "finding", what };
    }
    const dtype = firstType(node, values);
    nodes.push({
      operator,
      ranOn: onHost.has(name) ? "host" : "accelerator",
      peer: opinion.kind === "equal" ? "equal" : opinion.why,
      ...(dtype === undefined ? {} : { dtype }),
    });
  }
  return { kind: "equal", nodes };
}
