/** What a group's kernel reads and writes, with the axes that walk it: of rows, and of contractions. */
import { type Dim, dimMin, dimSymbols, NeedsBinding } from "../../ir/dim.js";
import type { ContractOperation, Node, Value } from "../../ir/graph.js";
import type { Storage } from "../tiled.js";
import { makeAccess } from "./access.js";
import type { PreparedContract } from "./contract-kernel.js";
import { contractOrder, operandOrder, rootOrder } from "./contract-order.js";
import type { Group } from "./groups.js";
import {
  makeLeaves,
  memoryOperands,
  memoryOrder,
  mergeAxes,
  outputAccess,
  type PreparedGroup,
} from "./prepare.js";
import type { Operand, Space } from "./space.js";
import { natural, type StorageMap } from "./storage.js";
import { iotaAxes } from "./tile-writer.js";

/** What preparing needs of the tiling. */
export interface GroupTiling {
  readonly producers: ReadonlyMap<Value, Node>;
  readonly storages: StorageMap;
  /** Of something that is read; a constant or a copy takes the order. */
  storageOf(value: Value, order: readonly number[]): Storage;
}

export function prepareRows(tiling: GroupTiling, group: Group, space: Space): PreparedGroup {
  const operands = memoryOperands(group.nodes, space, tiling.producers);
  const leaves = makeLeaves(operands, (o) => tiling.storageOf(o.value, natural(o.value)));
  const accesses = leaves.map((leaf) => leaf.access);
  const all = [...space.axes.keys()];
  const value = group.root.outputs[0]!;
  const order = memoryOrder(all, accesses);
  const storage =
    tiling.storages.get(value) ??
    tiling.storages.allocate(
      value,
      order.filter((axis) => axis < value.shape.length),
    );
  const output = outputAccess(storage, space.maps.get(value)!);
  const varying = order.filter((axis) => space.axes[axis]!.extent !== 1);
  const inWriteOrder =
    storage.root.kind === "output" ? memoryOrder(varying, [output, ...accesses]) : varying;
  const keep = iotaAxes({ space }, tiling.producers);
  const merged = mergeAxes(space.axes, inWriteOrder, [...accesses, output], keep);
  return {
    group,
    space: { ...space, axes: merged.axes },
    axes: merged.axes,
    order: merged.order,
    leaves: leaves.map((leaf, i) => ({ ...leaf, access: merged.accesses[i]! })),
    output: merged.accesses.at(-1)!,
  };
}

export function prepareContract(
  tiling: GroupTiling,
  group: Group,
  space: Space,
  contract: Node,
): PreparedContract {
  const op = contract.op as ContractOperation;
  const root = group.root.outputs[0]!;
  const labels = contractOrder(op, space);
  const operands = space.operands.get(contract)!;
  const read = operands.map((o, i) => tiling.storageOf(o.value, operandOrder(o, i, op, space)));
  const epilogue = memoryOperands(
    [...group.nodes].filter((n) => n !== contract),
    space,
    tiling.producers,
  );
  const leaves = makeLeaves(epilogue, (o) => tiling.storageOf(o.value, natural(o.value)));
  const map = space.maps.get(root)!;
  const storage =
    tiling.storages.get(root) ?? tiling.storages.allocate(root, rootOrder(map, labels));
  const output = outputAccess(storage, map);
  const contractLeaves = makeLeavesInOrder(operands, read);
  const decoders = operands.map(({ decode }) =>
    [decode?.scale, decode?.zero]
      .filter((o) => o !== undefined)
      .map((o) => makeAccess(tiling.storageOf(o.value, natural(o.value)), o.map)),
  );
  const accesses = [
    ...contractLeaves.map((l) => l.access),
    ...leaves.map((l) => l.access),
    ...decoders.flat(),
    output,
  ];
  const varying = memoryOrder(labels, [output]).filter((axis) => space.axes[axis]!.extent !== 1);
  const merged = mergeAxes(space.axes, varying, accesses, iotaAxes({ space }, tiling.producers));
  const n = contractLeaves.length;
  const at = (leaf: number): PreparedContract["a"] => {
    const first = n + leaves.length + decoders.slice(0, leaf).flat().length;
    const [scale, zero] = merged.accesses.slice(first, first + decoders[leaf]!.length);
    return {
      ...contractLeaves[leaf]!,
      access: merged.accesses[leaf]!,
      ...(scale !== undefined && { decode: { scale, ...(zero !== undefined && { zero }) } }),
    };
  };
  const innermost = merged.order.at(-1);
  const isSwapped = innermost !== undefined && space.axes[innermost]!.role === "m";
  const flip = { g: "g", m: "n", n: "m", k: "k" } as const;
  const role = (axis: number): "g" | "m" | "n" | "k" => {
    const own = space.axes[axis]!.role as "g" | "m" | "n" | "k";
    return isSwapped ? flip[own] : own;
  };
  const kAxes = [...op.order].map((label) =>
    space.axes.findIndex((axis) => axis.name === label && axis.role === "k"),
  );
  for (const axis of kAxes) checkContraction(merged.axes[axis]!.extent);
  const [blocked, ...inner] = kAxes;
  const [zeroA, zeroB] = isSwapped ? [3, 2] : [2, 3];
  return {
    group,
    space: { ...space, axes: merged.axes },
    axes: merged.axes,
    order: merged.order,
    leaves: leaves.map((leaf, i) => ({ ...leaf, access: merged.accesses[n + i]! })),
    output: merged.accesses.at(-1)!,
    contract,
    a: at(isSwapped ? 1 : 0),
    b: at(isSwapped ? 0 : 1),
    ...(zeroA < n ? { zeroA: at(zeroA) } : {}),
    ...(zeroB < n ? { zeroB: at(zeroB) } : {}),
    role,
    blocked: blocked!,
    inner: inner.filter((axis) => merged.axes[axis]!.extent !== 1),
  };
}

/** A contraction over nothing has no trip to clear its accumulator; such symbols are bound. */
function checkContraction(extent: Dim): void {
  if (dimMin(extent) < 1) needStatic(extent, "a contraction over it could be empty");
}

export function needStatic(dim: Dim, reason: string): void {
  if (typeof dim !== "number")
    throw new NeedsBinding(
      [...dimSymbols(dim)].map((s) => s.name),
      reason,
    );
}

function makeLeavesInOrder(
  operands: readonly Operand[],
  read: readonly Storage[],
): PreparedContract["a"][] {
  return operands.map((operand, i) => makeLeaves([operand], () => read[i]!)[0]!);
}
