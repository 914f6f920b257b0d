/** What the kernel of a vector group reads and writes, with the axes that walk it. */
import type { Group } from "./groups.js";
import {
  type GroupTiling,
  iotaAxes,
  makeLeaves,
  memoryOperands,
  memoryOrder,
  mergeAxes,
  mergedLeaf,
  outputAccess,
  type PreparedGroup,
} from "./prepare.js";
import type { Space } from "./space.js";
import { natural } from "./storage.js";

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
  const keep = iotaAxes(space, tiling.producers);
  const merged = mergeAxes(space.axes, inWriteOrder, [...accesses, output], keep);
  return {
    group,
    space: { ...space, axes: merged.axes },
    axes: merged.axes,
    order: merged.order,
    leaves: leaves.map((leaf) => mergedLeaf(leaf, merged)),
    output: merged.access(output),
  };
}
