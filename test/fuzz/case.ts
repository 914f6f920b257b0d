/** Which case a number stands for: the same file and inputs for the same seed, number and models. */
import { encodeModel, type Model } from "../../src/onnx/model.js";
import { Random } from "../support/random.js";
import type { FuzzCase, Inputs } from "./check.js";
import { randomFragment } from "./fragments.js";
import { randomInputs } from "./inputs.js";
import { randomModel } from "./random-model.js";
import { mutate } from "./mutate.js";
import { damageBytes } from "./mutate-bytes.js";
import type { ModelSource } from "./sources.js";

export interface NumberedCase extends FuzzCase {
  /** What it was made from, for the report. */
  readonly from: string;
}

export function caseOf(
  seed: number,
  number: number,
  sources: readonly ModelSource[],
): NumberedCase {
  return { ...makeCase(new Random(seed * 0x9e3779b1 + number * 0x85ebca6b), sources), number };
}

function makeCase(r: Random, sources: readonly ModelSource[]): NumberedCase {
  if (sources.length === 0 || r.chance(0.5)) return randomCase(r);
  const kind = r.unit();
  const source = r.pick(sources);
  const whole = source.model();
  const inputSeed = r.integer(0, 2 ** 30);
  const runs = (model: Model): readonly Inputs[] => inputsFor(model, new Random(inputSeed));
  if (kind < 0.1) {
    const file = damageBytes(encodeModel(smallForm(whole, r)), r);
    return { from: `bytes of ${source.name}`, file, runs };
  }
  if (kind < 0.14) {
    return { from: `all of ${source.name}`, file: encodeModel(mutate(whole, r)), runs: () => [] };
  }
  const part = smallForm(whole, r);
  const file = encodeModel(r.chance(0.1) ? part : mutate(part, r));
  return { from: `part of ${source.name}`, file, runs };
}

function randomCase(r: Random): NumberedCase {
  const { file, inputs, operators } = randomModel(r);
  return { from: operators.join(", "), file, runs: () => [inputs] };
}

function smallForm(model: Model, r: Random): Model {
  for (let i = 0; i < 5; i++) {
    const fragment = randomFragment(model, r, r.pick([1, 2, 4, 8]));
    if (fragment !== undefined) return fragment as Model;
  }
  return model;
}

/** Two runs of one session: the second may have other extents where dims are open. */
function inputsFor(model: Model, r: Random): readonly Inputs[] {
  const extents = r.pick([[1, 2, 3], [4], [0, 1, 2], [16], [5, 7], [33]]);
  const runs = [extents, [8]].map((list) => randomInputs(model, r, list));
  return runs.filter((run) => run !== undefined);
}
