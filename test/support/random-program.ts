/**
 * Random programs that are valid by construction: they break no rule of the machine whatever their scalars are. The same
 * seed gives the same program. What they cover is counted by `random-program/forms.ts`.
 */
import { constantAffine, staticCount } from "../../src/ir/tile.js";
import { always, type Program } from "../../src/isa/program.js";
import {
  addBinding,
  isSpatial,
  loadEngine,
  storeEngine,
  type Context,
  type Nodes,
  type RandomProgram,
} from "./random-program/context.js";
import {
  concatTask,
  copyTask,
  fanTask,
  laggingTask,
  panelTask,
  stateTask,
  tokenTask,
} from "./random-program/flow-tasks.js";
import { spatialLoops, temporalLoop } from "./random-program/loops.js";
import { mmaTask } from "./random-program/mma-task.js";
import { pushTask } from "./random-program/push-tasks.js";
import { createRandom } from "./random-program/random.js";
import { withStages } from "./random-program/stages.js";
import { addTile, destOf, randomLayout, sourceOf, type Axis } from "./random-program/tiles.js";
import { instruction, randomLoad, randomStore } from "./random-program/transfers.js";
import { vecTask } from "./random-program/vec-task.js";

export type { RandomProgram };

const grids = [
  [1, 1],
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
  [3, 2],
  [1, 4],
] as const;

const kernelTasks = [
  vecTask,
  vecTask,
  vecTask,
  mmaTask,
  mmaTask,
  copyTask,
  panelTask,
  concatTask,
  fanTask,
  pushTask,
  pushTask,
  pushTask,
] as const;

const tasks = {
  kernel: kernelTasks,
  program: [...kernelTasks, stateTask, laggingTask, tokenTask],
} as const;

export function randomProgram(seed: number, form: Context["form"] = "program"): RandomProgram {
  const random = createRandom(seed);
  const [rows, columns] = random.pick(grids);
  const context: Context = {
    seed,
    form,
    random,
    grid: { rows, columns },
    bindings: [],
    queues: [],
    scalars: [],
    loops: [],
    ids: { loop: 0 },
  };
  const body: Nodes = [];
  if (form === "program" && random.chance(0.1)) body.push(...exchange(context));
  for (let sections = random.pick([1, 1, 1, 2]); sections > 0; sections--) {
    if (form === "program" && body.length > 0 && random.chance(0.5)) {
      body.push({ kind: "barrier" });
    }
    body.push(...spatialLoops(context, () => nest(context, random.pick([0, 1, 1, 2, 3]))));
  }
  const program: Program = {
    name: `random${seed}`,
    grid: context.grid,
    scalarCount: context.scalars.length,
    bindings: context.bindings.map(({ binding }) => binding),
    queues: context.queues,
    body,
    roles: ["random"],
  };
  const contents = context.bindings.map((binding) => binding.contents);
  return { seed, program, contents, scalars: context.scalars };
}

/** Tasks under up to `depth` temporal loops. */
function nest(context: Context, depth: number): Nodes {
  const { random } = context;
  if (depth === 0)
    return [
      ...random.pick(tasks[context.form])(context),
      ...(random.chance(0.3) ? nest(context, 0) : []),
    ];
  const before = random.chance(0.2) ? random.pick(tasks[context.form])(context) : [];
  const loop = temporalLoop(context, {}, () => nest(context, depth - 1));
  const isStaged = loop.kind === "loop" && random.chance(0.35);
  const nodes = [...before, isStaged ? withStages(context, loop) : loop];
  return random.chance(0.2) ? [...nodes, ...random.pick(tasks[context.form])(context)] : nodes;
}

/** Every member stores its part of a shared binding; behind a barrier each loads all of it. */
function exchange(context: Context): Nodes {
  const { random } = context;
  const dtype = random.pick(["f32", "i8", "f16"] as const);
  const shared = { binding: 0, elements: 0 };
  const part = staticAxis(random.int(1, 5));
  const before = spatialLoops(context, () => {
    const [from, to] = [random.int(0, 3), random.int(0, 1)];
    const tile = addTile(context, randomLayout(context, [part]), {
      dtype,
      producer: loadEngine(from),
      consumers: [storeEngine(to)],
    });
    let elements = part.count.max;
    const terms = context.loops.filter(isSpatial).map(({ head }) => {
      const coefficient = elements;
      elements *= head.maxTotal;
      return { coefficient, of: "index" as const, id: head.id };
    });
    const contents = Array.from({ length: elements }, (_, i) => i % 50);
    shared.binding = addBinding(context, { dtype, elements, access: "shared" }, contents);
    shared.elements = elements;
    const axis = { count: part.count, memoryStride: 1, slotStride: tile.strides[0]! };
    const memory = { binding: shared.binding, offset: { constant: 0, terms } };
    const source = sourceOf(tile, always);
    return [
      ...randomLoad(context, { tile, channel: from }),
      instruction({ op: "store", axes: [axis], memory, source }, to),
    ];
  });
  const after = spatialLoops(context, () => {
    const [from, to] = [random.int(0, 3), random.int(0, 1)];
    const whole = staticAxis(shared.elements);
    const tile = addTile(context, randomLayout(context, [whole]), {
      dtype,
      producer: loadEngine(from),
      consumers: [storeEngine(to)],
    });
    const axis = { count: whole.count, memoryStride: 1, slotStride: tile.strides[0]! };
    const memory = { binding: shared.binding, offset: constantAffine(0) };
    return [
      instruction({ op: "load", axes: [axis], memory, dest: destOf(tile, always), fill: 0 }, from),
      ...randomStore(context, { tile, source: sourceOf(tile, always), channel: to }),
    ];
  });
  return [...before, { kind: "barrier" }, ...after];
}

function staticAxis(count: number): Axis {
  return { count: staticCount(count), isUniform: true };
}
