/**
 * Which loops run on the device: counted ones whose bodies are maps, reductions and contractions of shapes that are known,
 * whose values all fit L1, where that takes less time than a launch for each kernel of each trip. Others stay steps
 * of the schedule, with the reason in a record.
 */
import { bodyOperands, tripResults } from "../../ir/control.js";
import { type Dim, dimMax, dimMin, dimText, NeedsBinding } from "../../ir/dim.js";
import type { Graph, LoopOperation, Node, Value } from "../../ir/graph.js";
import { valuesOf } from "../../ir/verify.js";
import type { DecisionRecord } from "../../isa/executable.js";
import { elementCount } from "../../numerics/tensor.js";
import { cyclesOfNs, type DeviceMachine } from "../../target/machine.js";
import type { Storage, StorageRoot, TiledStep, WrittenKernel } from "../tiled.js";
import { isEmpty } from "./concat-parts.js";
import { partOf, partStart } from "./control.js";
import type { Group } from "./groups.js";
import { kernelCycles, latencyCycles } from "./kernel-cost.js";
import { PlanDoesNotFit } from "./kernel-writer.js";
import {
  type LoopGroup,
  type LoopParts,
  type LoopState,
  rootsRead,
  writeLoopKernel,
} from "./loop-kernel.js";
import { fitsMachine } from "./plan-choice.js";
import { deviceType, isStored, like, natural, orderedStrides, type StorageMap } from "./storage.js";

/** What it needs of the tiling around the loop; `tile.ts` has it. */
export interface DeviceLoopTiling {
  readonly storages: StorageMap;
  readonly machine: DeviceMachine;
  push(step: TiledStep): void;
  note(record: DecisionRecord): void;
  attempt<T>(make: () => T): T | DoesNotFit;
  nameOf(node: Node): string;
  prepareCopy(from: Value, to: Value, kernel: string): LoopGroup;
  openKernelBody(body: Graph, captured: ReadonlyMap<Value, Value>): KernelBodyTiling;
}

export interface KernelBodyTiling {
  readonly groups: readonly Group[];
  readonly producers: ReadonlyMap<Value, Node>;
  /** Steps that the body would need beside the kernel. */
  readonly steps: readonly TiledStep[];
  prepare(group: Group, kernel: string): LoopGroup;
  prepareCopy(from: Value, to: Value, kernel: string): LoopGroup;
}

/** Why a loop is no kernel. */
export class DoesNotFit extends Error {}

/** What `make` gives, or why it cannot. */
export function whatFits<T>(make: () => T): T | DoesNotFit {
  try {
    return make();
  } catch (error) {
    if (error instanceof DoesNotFit) return error;
    if (error instanceof PlanDoesNotFit) return new DoesNotFit(error.message);
    if (error instanceof NeedsBinding) return new DoesNotFit(error.reason);
    throw error;
  }
}

/** Whether the loop has become a launch. */
export function tileDeviceLoop(tiling: DeviceLoopTiling, node: Node, op: LoopOperation): boolean {
  const launch = tiling.attempt(() => launchOf(tiling, node, op));
  if (launch instanceof DoesNotFit) {
    const why = `the kernels of its trips are launched one by one: ${launch.message}`;
    tiling.note({ what: "loop", why, origins: node.origins });
    return false;
  }
  tiling.push(launch);
  return true;
}

function launchOf(tiling: DeviceLoopTiling, node: Node, op: LoopOperation): TiledStep {
  const trips = requireCounted(op);
  requirePlain(op, node);
  const name = tiling.nameOf(node);
  const parts = partsOf(tiling, node, { ...op, trips }, name);
  const written = writeLoopKernel(parts, name);
  requireApart(written);
  requireFaster(written, parts);
  // Whatever a role does, it does for the loop too.
  const roles = written.origins.map((role) => [...new Set([...role, ...node.origins])]);
  const plan = `loop of ${dimText(trips)} trips on one member, states: ${parts.states.length}`;
  return {
    kind: "launch",
    written: { ...written, origins: roles },
    plan,
    origins: [...new Set([...node.origins, ...roles.flat()])],
  };
}

function requireCounted({ condition, count, trips }: LoopOperation): Dim {
  if (condition || count !== undefined || trips === undefined) {
    throw new DoesNotFit("data decide how many trips it makes");
  }
  if (dimMin(trips) < 1) throw new DoesNotFit("it may make no trip at all");
  return trips;
}

function requirePlain(op: LoopOperation, node: Node): void {
  const body = op.bodies[0]!;
  for (const { op: inner } of body.nodes) {
    if (inner.kind === "host") throw new DoesNotFit("part of its body runs on the host");
    if (beyond.has(inner.kind)) throw new DoesNotFit(`its body has a ${inner.kind}`);
  }
  for (const value of [...valuesOf(body), ...node.outputs]) {
    if (!isStored(value) && value.data === undefined && value.dims === undefined) {
      throw new DoesNotFit(`"${value.name}" is not on the device`);
    }
    if (isEmpty(value)) throw new DoesNotFit(`"${value.name}" is empty`);
  }
  const isOpen = valuesOf(body).some(({ shape }) => shape.some((dim) => typeof dim !== "number"));
  if (isOpen) throw new DoesNotFit("shapes in its body are known only at run time");
}

/** Operations whose kernels go through memory. */
const beyond: ReadonlySet<string> = new Set(["if", "loop", "gather", "scatter", "scan", "concat"]);

type CountedLoop = LoopOperation & { readonly trips: Dim };

/** Where everything of the loop lies: what a trip computes or takes as a state in L1, all else in memory. */
function partsOf(tiling: DeviceLoopTiling, node: Node, op: CountedLoop, kernel: string): LoopParts {
  const { storages, machine } = tiling;
  const body = op.bodies[0]!;
  const operands = bodyOperands(op, node.inputs)[0]!;
  const results = tripResults(op, node.outputs);
  const given = tripResults(
    op,
    body.outputs.map(({ value }) => value),
  );
  const resident = new Residents(storages);
  const taken = body.inputs.slice(0, op.states).map((value) => resident.keep(value));
  const captured = body.inputs.map((value, i) => [value, operands[i]!] as const).slice(op.states);
  const inner = tiling.openKernelBody(body, new Map(captured));
  const content = new BodyContent(resident, inner, kernel);
  for (const group of inner.groups) content.add(group);
  const states = given.states.map((value, i): LoopState => {
    const first = like(operands[i]!);
    storages.alias(first, taken[i]!);
    return {
      first: tiling.prepareCopy(operands[i]!, first, kernel),
      taken: taken[i]!.root,
      next: content.computed(value),
      last: { from: content.computed(value), to: resultStorage(tiling, results.states[i]!) },
    };
  });
  const scans = given.scanned.map((value, i) => {
    const scan = op.scans[i]!;
    const whole = resultStorage(tiling, results.scanned[i]!);
    const to = partOf(tiling, like(value), whole, partStart(op, value, scan), scan);
    return { from: content.whole(value), to };
  });
  if (inner.steps.length > 0) throw new DoesNotFit("a value of its body is rearranged in memory");
  const stored = [...scans, ...states.map(({ last }) => last)].map(({ from }) => from);
  const groups = groupsFor(content.groups, stored);
  return { index: op.index, trips: op.trips, groups, states, scans, machine };
}

/** The groups without those whose results lead nowhere. */
function groupsFor(groups: readonly LoopGroup[], wanted: readonly StorageRoot[]): LoopGroup[] {
  const needed = new Set(wanted);
  const kept = groups.toReversed().filter(({ prepared }) => {
    const isNeeded = needed.has(prepared.output.storage.root);
    if (isNeeded) for (const root of rootsRead(prepared)) needed.add(root);
    return isNeeded;
  });
  return kept.reverse();
}

/** Places in L1: storages like those in memory, whose roots nobody places. */
class Residents {
  readonly #storages: StorageMap;
  readonly #roots = new Set<StorageRoot>();

  constructor(storages: StorageMap) {
    this.#storages = storages;
  }

  /** A place for the value, dense in the order of its dims. */
  keep(value: Value): Storage {
    const extents = value.shape.map(dimMax);
    const root: StorageRoot = {
      id: -1 - this.#roots.size,
      name: value.name,
      dtype: deviceType(value),
      elements: elementCount(extents),
      kind: "output",
    };
    const strides = orderedStrides(extents, natural(value));
    const storage = { root, offset: 0, shape: value.shape, strides, extents };
    this.#roots.add(root);
    this.#storages.alias(value, storage);
    return storage;
  }

  rootOf(value: Value): StorageRoot | undefined {
    const root = this.#storages.get(value)?.root;
    return root !== undefined && this.#roots.has(root) ? root : undefined;
  }
}

/** The groups of a body, and copies of what its results are not by themselves. */
class BodyContent {
  readonly groups: LoopGroup[] = [];
  readonly #resident: Residents;
  readonly #inner: KernelBodyTiling;
  /** Roots of what a vec computes, so that it can write it to another place as well. */
  readonly #computed = new Set<StorageRoot>();
  readonly #copies = new Map<Value, StorageRoot>();

  readonly #kernel: string;

  constructor(resident: Residents, inner: KernelBodyTiling, kernel: string) {
    this.#resident = resident;
    this.#inner = inner;
    this.#kernel = kernel;
  }

  add(group: Group): void {
    const { root } = this.#resident.keep(group.root.outputs[0]!);
    this.groups.push(this.#inner.prepare(group, this.#kernel));
    if (group.root.op.kind !== "reduce") this.#computed.add(root);
  }

  /** A tile that holds the value, element by element in its order. */
  whole(value: Value): StorageRoot {
    return this.#rootOf(value) ?? this.#copy(value);
  }

  computed(value: Value): StorageRoot {
    const root = this.#rootOf(value);
    return root !== undefined && this.#computed.has(root) ? root : this.#copy(value);
  }

  #rootOf(value: Value): StorageRoot | undefined {
    const producer = this.#inner.producers.get(value);
    if (producer?.op.kind === "reshape") return this.#rootOf(producer.inputs[0]!);
    return this.#resident.rootOf(value);
  }

  #copy(value: Value): StorageRoot {
    const known = this.#copies.get(value);
    if (known !== undefined) return known;
    const copy = like(value);
    const { root } = this.#resident.keep(copy);
    this.groups.push(this.#inner.prepareCopy(value, copy, this.#kernel));
    this.#computed.add(root);
    this.#copies.set(value, root);
    return root;
  }
}

function resultStorage({ storages }: DeviceLoopTiling, result: Value): Storage {
  return storages.get(result) ?? storages.allocate(result, natural(result));
}

/** A launch's bindings overlap only where all are read. */
function requireApart({ bindings }: WrittenKernel): void {
  for (const { storage, access } of bindings) {
    const others = bindings.filter((other) => other.storage.root === storage.root);
    if (access === "write" && others.length > 1) {
      throw new DoesNotFit(`several of its values are parts of "${storage.root.name}"`);
    }
  }
}

/**
 * One member works while others idle. Launched one by one, kernels share the work out, but each waits at the least for its
 * launch and for memory.
 */
function requireFaster(written: WrittenKernel, { groups, trips, machine }: LoopParts): void {
  if (!fitsMachine(written, machine)) throw new DoesNotFit("its values do not all fit one member");
  const { tile, launch } = machine;
  const inside = kernelCycles(written.kernel, machine);
  const waiting = cyclesOfNs(machine, launch.overheadNs) + latencyCycles(["vector"], machine);
  const outside = dimMax(trips) * groups.length * waiting + inside / (tile.rows * tile.columns);
  if (inside <= outside) return;
  const text = `${Math.round(inside)} cycles, shared out about ${Math.round(outside)}`;
  throw new DoesNotFit(`on one member they would take ${text}`);
}
