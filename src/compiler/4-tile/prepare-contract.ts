/** What the kernel of a contraction reads and writes, with the axes that walk it and what each is to the tensor engine. */
import { dimMin, staticDim } from "../../ir/dim.js";
import {
  contractBlock,
  type ContractOperation,
  contractSegment,
  type Node,
} from "../../ir/graph.js";
import { type Access, makeAccess } from "./access.js";
import { contractOrder, operandOrder, rootOrder } from "./contract-order.js";
import type { Group } from "./groups.js";
import {
  accessesOf,
  type GroupTiling,
  iotaAxes,
  type Leaf,
  makeLeaves,
  memoryOperands,
  memoryOrder,
  mergeAxes,
  mergedLeaf,
  outputAccess,
  type PreparedGroup,
} from "./prepare.js";
import type { Operand, Space, SpaceAxis } from "./space.js";
import { natural } from "./storage.js";

export interface PreparedContract extends PreparedGroup {
  readonly contract: Node;
  /** Operands of the tensor engine; swapped where that puts the result's innermost axis on n. */
  readonly a: Leaf;
  readonly b: Leaf;
  readonly zeroA?: Leaf;
  readonly zeroB?: Leaf;
  readonly role: (axis: number) => ContractRole;
  /** Contraction axes that vary: the blocked one and those inside a block, slowest first. */
  readonly blocked: number;
  readonly inner: readonly number[];
}

type ContractRole = "g" | "m" | "n" | "k";

export function prepareContract(
  tiling: GroupTiling,
  group: Group,
  space: Space,
  contract: Node,
): PreparedContract {
  const { producers } = tiling;
  const op = contract.op as ContractOperation;
  const undecoded = readFactors(tiling, space, contract);
  const epilogue = [...group.nodes].filter((node) => node !== contract);
  const operands = memoryOperands(epilogue, space, producers);
  const leaves = makeLeaves(operands, (o) => tiling.storageOf(o.value, natural(o.value)));
  const labels = contractOrder(op, space);
  const output = resultAccess(tiling, space, group, labels);
  const factors = undecoded.map((leaf) => withDecoder(tiling, leaf));
  const accesses = [...[...factors, ...leaves].flatMap(accessesOf), output];
  const varying = memoryOrder(labels, [output]).filter((axis) => space.axes[axis]!.extent !== 1);
  const merged = mergeAxes(space.axes, varying, accesses, iotaAxes(space, producers));
  const kAxes = [...op.order].map((label) =>
    space.axes.findIndex((axis) => axis.name === label && axis.role === "k"),
  );
  for (const axis of kAxes) requireTrips(merged.axes[axis]!);
  const [blocked, ...inner] = kAxes;
  return {
    group,
    space: { ...space, axes: merged.axes },
    axes: merged.axes,
    order: merged.order,
    leaves: leaves.map((leaf) => mergedLeaf(leaf, merged)),
    output: merged.access(output),
    contract,
    ...sides(
      factors.map((leaf) => mergedLeaf(leaf, merged)),
      space,
      merged.order.at(-1),
    ),
    blocked: blocked!,
    inner: inner.filter((axis) => merged.axes[axis]!.extent !== 1),
  };
}

/** The operands of the contraction and their zero points, each a leaf of its own. */
function readFactors(tiling: GroupTiling, space: Space, contract: Node): Leaf[] {
  const op = contract.op as ContractOperation;
  const operands = space.operands.get(contract)!;
  const storages = operands.map((o, i) => tiling.storageOf(o.value, operandOrder(o, i, op, space)));
  return operands.map((operand, i) => ({
    operands: [operand],
    access: makeAccess(storages[i]!, operand.map),
  }));
}

function withDecoder(tiling: GroupTiling, leaf: Leaf): Leaf {
  const [{ decode } = {}] = leaf.operands;
  if (decode === undefined) return leaf;
  const accessOf = ({ value, map }: Operand): Access =>
    makeAccess(tiling.storageOf(value, natural(value)), map);
  const scale = accessOf(decode.scale);
  return {
    ...leaf,
    decode: { scale, ...(decode.zero !== undefined && { zero: accessOf(decode.zero) }) },
  };
}

function resultAccess(
  { storages }: GroupTiling,
  space: Space,
  group: Group,
  labels: readonly number[],
): Access {
  const root = group.root.outputs[0]!;
  const map = space.maps.get(root)!;
  const storage = storages.get(root) ?? storages.allocate(root, rootOrder(map, labels));
  return outputAccess(storage, map);
}

/** Which factor is a and which b: they change places where that puts the result's innermost axis on n. */
function sides(
  factors: readonly Leaf[],
  space: Space,
  innermost: number | undefined,
): Pick<PreparedContract, "a" | "b" | "zeroA" | "zeroB" | "role"> {
  const isSwapped = innermost !== undefined && space.axes[innermost]!.role === "m";
  const flip = { g: "g", m: "n", n: "m", k: "k" } as const;
  const [a, b, zeroA, zeroB] = (isSwapped ? [1, 0, 3, 2] : [0, 1, 2, 3]).map((i) => factors[i]);
  return {
    a: a!,
    b: b!,
    ...(zeroA !== undefined && { zeroA }),
    ...(zeroB !== undefined && { zeroB }),
    role: (axis) => {
      const own = space.axes[axis]!.role as ContractRole;
      return isSwapped ? flip[own] : own;
    },
  };
}

/** A contraction over nothing has no trip to clear its accumulator; such symbols are bound. */
function requireTrips({ extent }: SpaceAxis): void {
  if (dimMin(extent) < 1) staticDim(extent, "a contraction over it could be empty");
}

/** How the blocked axis is walked: positions per segment and whether a block is one of 64. */
export interface ContractionShape {
  readonly segmentStep: number;
  readonly innerPositions: number;
}

export function contractionShape(prepared: PreparedContract): ContractionShape {
  const innerPositions = prepared.inner.reduce((n, axis) => {
    const extent = prepared.axes[axis]!.extent;
    return n * staticDim(extent, "it is a kernel dimension of a contraction");
  }, 1);
  const blocks = Math.max(1, Math.floor(contractSegment / (contractBlock * innerPositions)));
  return { segmentStep: blocks * contractBlock, innerPositions };
}
