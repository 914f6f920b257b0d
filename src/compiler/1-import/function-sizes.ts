/**
 * How many nodes the calls of a model's functions become, counted before any is put in place: a file of a few hundred
 * bytes can ask for more than any memory holds.
 */
import type { FunctionProto } from "../../onnx/schema.js";
import { fail } from "../../support/diagnostic.js";
import {
  type Body,
  type BodyNode,
  functionBody,
  graphBody,
  liveNodes,
  nestingMax,
} from "./body.js";
import { canonicalDomain, type ModelContext } from "./model-context.js";

/** Most nodes that a model becomes once its functions are in place. */
const nodesMax = 2 ** 18;

/** L0105 for functions that call themselves, nest too deep or make too many nodes. */
export function requireBounded(model: ModelContext, body: Body): void {
  const sizes = new Map<FunctionProto, number>();
  const open = new Set<FunctionProto>();
  const size = sizeOfBody(body);
  if (size > nodesMax) {
    fail("L0105", `its functions in place, the model has ${size} nodes, more than ${nodesMax}`);
  }

  function sizeOfBody(of: Body): number {
    return liveNodes(of, of.outputNames).reduce((sum, node) => sum + sizeOfNode(node), 0);
  }

  function sizeOfNode({ proto, name }: BodyNode): number {
    const { domain, opType = "", overload = "", attribute } = proto;
    const definition = model.function(canonicalDomain(domain), opType, overload);
    if (definition !== undefined)
      return sizeOfFunction(definition, { node: name, operator: opType });
    const graphs = attribute.flatMap(({ g, graphs: list }) =>
      g === undefined ? list : [g, ...list],
    );
    return graphs.reduce((sum, graph) => sum + sizeOfBody(graphBody(graph)), 1);
  }

  function sizeOfFunction(
    definition: FunctionProto,
    place: { readonly node: string; readonly operator: string },
  ): number {
    const known = sizes.get(definition);
    if (known !== undefined) return known;
    if (open.has(definition)) fail("L0105", "the function calls itself", { place });
    if (open.size === nestingMax) {
      fail("L0105", `function calls nest deeper than ${nestingMax}`, { place });
    }
    open.add(definition);
    const counted = sizeOfBody(functionBody(definition));
    open.delete(definition);
    sizes.set(definition, counted);
    return counted;
  }
}
