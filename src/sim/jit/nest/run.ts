/** Calls the kernel of a walk from the control code. */
import * as ints from "../walk/ints.js";
import { nestKernel } from "../kernels.js";
import { planNest, type Walk } from "./plan.js";
import { nestParams } from "./spec.js";
import type { Site } from "../walk/site.js";
import { transposeArguments, transposeKernel } from "./transpose.js";

/** A walk without positions touches nothing, not even to read ahead; one that only reduces still writes its cells. */
export function emitWalk(site: Site, walk: Walk): void {
  const { f } = site;
  const plan = planNest(f, walk);
  let runs = ints.one;
  for (let axis = 0; axis < walk.axes.length; axis++) {
    const { kind, count } = walk.axes[axis]!;
    if (kind !== "parallel") continue;
    runs = ints.both(f, runs, ints.isLess(f, ints.zero, count));
  }
  const transposed = transposeArguments(plan);
  if (transposed !== undefined) {
    return ints.when(f, runs, () => site.call(transposeKernel, transposed));
  }
  const kernel = nestKernel(plan.spec);
  const params = nestParams(plan.spec);
  ints.when(f, runs, () =>
    site.call(
      kernel,
      params.map((param) => plan.argument(param)),
    ),
  );
}
