/**
 * The launches of a graph, and of every trip and branch that its run takes. Each body is looked at by itself, with its
 * values as the graph has them: a fault in one trip is not carried on into the next.
 */
import type { TiledGraph, TiledIf, TiledLoop, TiledStep } from "../compiler/tiled.js";
import { bodyOperands, conditionOf, tripResults } from "../ir/control.js";
import { evaluateDim } from "../ir/dim.js";
import { type Graph, isControl, type Node, type Value } from "../ir/graph.js";
import type { Executable, IfStep, LoopStep, Step } from "../isa/executable.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import type { Engine } from "../sim/engine.js";
import type { Finding } from "./bisect-finding.js";
import { createImages, type Image } from "./bisect-images.js";
import { checkLaunches } from "./bisect-launches.js";
import { type GraphAfter, graphValues } from "./bisect-passes.js";

export interface StepCheck {
  readonly executable: Executable;
  readonly tiled: TiledGraph;
  /** The graph that was tiled; its bodies go to the same host regions. */
  readonly after: GraphAfter;
  readonly engine: Engine;
}

/** A graph, or one trip or branch, with all of its values. */
export interface StepScope {
  readonly steps: readonly Step[];
  readonly tiledSteps: readonly TiledStep[];
  readonly truth: ReadonlyMap<Value, HostValue>;
  readonly bindings: ReadonlyMap<string, number>;
  /** The trips and branches that it is of, outermost first. */
  readonly within: readonly string[];
}

/** Undefined where every launch is right. */
export function checkSteps(
  check: StepCheck,
  scope: StepScope,
  outer?: readonly Image[],
): Finding | undefined {
  const { executable, engine } = check;
  const images = createImages({ ...check, ...scope, ...(outer && { outer }) });
  const found = checkLaunches({ executable, engine, images, ...scope });
  if (found !== undefined) {
    return scope.within.length === 0 ? found : { ...found, within: scope.within };
  }
  const control = scope.steps.filter(isControlStep);
  const tiled = scope.tiledSteps.filter(isTiledControl);
  for (const [i, step] of control.entries()) {
    for (const body of bodiesOf(check, scope, step, tiled[i]!)) {
      const inside = checkSteps(check, body, images);
      if (inside !== undefined) return inside;
    }
  }
  return undefined;
}

function isControlStep(step: Step): step is IfStep | LoopStep {
  return step.kind === "if" || step.kind === "loop";
}

function isTiledControl(step: TiledStep): step is TiledIf | TiledLoop {
  return step.kind === "if" || step.kind === "loop";
}

/** The trips or the branch that are run, one after the other. */
function* bodiesOf(
  check: StepCheck,
  scope: StepScope,
  step: IfStep | LoopStep,
  tiled: TiledIf | TiledLoop,
): Iterable<StepScope> {
  const { node } = tiled;
  const { op } = node;
  if (!isControl(op)) return;
  const operands = node.inputs.map((value) => scope.truth.get(value)!);
  const enter = (number: number, given: readonly HostValue[], place: string, index?: number) => {
    const bindings = new Map(scope.bindings);
    if (op.kind === "loop") bindings.set(op.index.name, index!);
    return {
      steps: step.bodies[number]!,
      tiledSteps: tiled.bodies[number]!,
      truth: bodyValues(check, op.bodies[number]!, given, bindings),
      bindings,
      within: [...scope.within, `${place} of ${nameOf(node)}`],
    };
  };
  let goesOn = isTrue(conditionOf<HostValue | undefined>(op, operands));
  const given = bodyOperands(op, operands);
  if (op.kind === "if") {
    const taken = goesOn ? 0 : 1;
    yield enter(taken, given[taken]!, goesOn ? "the first branch" : "the second branch");
    return;
  }
  const most = op.trips === undefined ? Infinity : evaluateDim(op.trips, scope.bindings);
  const captured = given[0]!.slice(op.states);
  let states = given[0]!.slice(0, op.states);
  for (let trip = 0; trip < most && goesOn; trip++) {
    const body = enter(0, [...states, ...captured], `trip ${trip}`, trip);
    yield body;
    const results = op.bodies[0]!.outputs.map(({ value }) => body.truth.get(value)!);
    goesOn = isTrue(conditionOf<HostValue | undefined>(op, results));
    states = [...tripResults(op, results).states];
  }
}

function bodyValues(
  { after }: StepCheck,
  body: Graph,
  given: readonly HostValue[],
  bindings: ReadonlyMap<string, number>,
): ReadonlyMap<Value, HostValue> {
  const inputs = new Map(body.inputs.map(({ name }, i) => [name, given[i]!]));
  return graphValues({ ...after, graph: body }, inputs, bindings);
}

/** Without a condition it goes on. */
function isTrue(condition: HostValue | undefined): boolean {
  return condition === undefined || !isTensor(condition) || Number(condition.data[0]) !== 0;
}

function nameOf({ origins, op }: Node): string {
  const [origin] = origins;
  return origin === undefined ? `a ${op.kind}` : `${origin.operator} "${origin.node}"`;
}
