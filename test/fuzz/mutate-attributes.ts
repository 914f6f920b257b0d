/** Mutations of attributes: values inside and outside of what operators allow, other types, missing, repeated. */
import { type AttributeProto, attributeTypes } from "../../src/onnx/schema.js";
import type { Random } from "../support/random.js";
import { changeAttribute, changeNode, changeOne, without } from "./edit.js";
import type { Mutation } from "./mutate.js";

const integers = [
  ...[0n, 1n, 2n, 3n, 4n, 5n, 7n, 8n, 16n, 64n, 255n, 256n, 1000n],
  ...[-1n, -2n, -3n, -4n, -8n, -100n],
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)],
] as const;
const floats = [0, -0, 1, -1, 0.5, 2, 1e-5, 1e-45, 3e38, 1e30, NaN, Infinity, -Infinity] as const;
const strings = [
  ...["", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "nearest", "linear", "cubic", "reflect"],
  ...["edge", "wrap", "constant", "add", "mul", "max", "none", "mean", "sum", "tanh", "forward"],
  ...["reverse", "bidirectional", "bilinear", "align_corners", "half_pixel", "asymmetric"],
  ...["tf_crop_and_resize", "floor", "ceil", "i,j->ij", "ij->", "...i->...", "ii->i", "RIGHT"],
] as const;

export const attributeMutations: Readonly<Record<string, Mutation>> = {
  otherValue: (model, r) => changeAttribute(model, r, (attribute) => otherValue(attribute, r)),
  nearbyValue: (model, r) => changeAttribute(model, r, (attribute) => nearbyValue(attribute, r)),
  otherLength: (model, r) =>
    changeAttribute(model, r, (attribute) => {
      const change = <T>(items: readonly T[], more: T): readonly T[] =>
        r.chance(0.5) ? items.slice(0, -1) : [...items, items.at(-1) ?? more];
      const { floats: f, ints, strings: s } = attribute;
      if (ints.length > 0) return { ...attribute, ints: change(ints, 1n) };
      if (f.length > 0) return { ...attribute, floats: change(f, 1) };
      return { ...attribute, strings: change(s, utf8("a")) };
    }),
  drop: (model, r) =>
    changeNode(model, r, (node) => ({
      ...node,
      attribute: without(node.attribute, r),
    })),
  otherType: (model, r) =>
    changeAttribute(model, r, (attribute) => ({ ...attribute, type: r.integer(0, 15) })),
  noValue: (model, r) =>
    changeAttribute(model, r, ({ name = "", type = 0 }) => ({ ...empty, name, type })),
  repeat: (model, r) =>
    changeNode(model, r, (node) => ({
      ...node,
      attribute: [...node.attribute, ...node.attribute.slice(0, 1)],
    })),
  add: (model, r) =>
    changeNode(model, r, (node) => {
      const name = r.pick(names);
      const attribute = otherValue({ ...empty, name, type: r.pick([1, 2, 3, 6, 7]) }, r);
      return { ...node, attribute: [...node.attribute, attribute] };
    }),
  unknownReference: (model, r) =>
    changeAttribute(model, r, (attribute) => ({ ...attribute, refAttrName: "nobody" })),
};

const empty: AttributeProto = {
  floats: [],
  ints: [],
  strings: [],
  tensors: [],
  graphs: [],
};

/** Names that many operators read. */
const names = [
  ...["axis", "axes", "keepdims", "perm", "pads", "strides", "dilations", "group", "kernel_shape"],
  ...["auto_pad", "ceil_mode", "alpha", "beta", "epsilon", "to", "mode", "split", "num_outputs"],
  ...["direction", "hidden_size", "layout", "block_size", "allowzero", "transA", "transB", "start"],
] as const;

function otherValue(attribute: AttributeProto, r: Random): AttributeProto {
  switch (attribute.type) {
    case attributeTypes.int:
      return { ...attribute, i: r.pick(integers) };
    case attributeTypes.float:
      return { ...attribute, f: r.pick(floats) };
    case attributeTypes.string:
      return { ...attribute, s: utf8(r.pick(strings)) };
    case attributeTypes.ints:
      return attribute.ints.length > 0
        ? { ...attribute, ints: changeOne(attribute.ints, r, () => r.pick(integers)) }
        : { ...attribute, ints: Array.from({ length: r.integer(1, 4) }, () => r.pick(integers)) };
    case attributeTypes.floats:
      return { ...attribute, floats: changeOne(attribute.floats, r, () => r.pick(floats)) };
    default:
      return attribute;
  }
}

/** One more or one less: mostly still valid. */
function nearbyValue(attribute: AttributeProto, r: Random): AttributeProto {
  const step = r.pick([-1n, 1n, 2n]);
  if (attribute.type === attributeTypes.int) return { ...attribute, i: (attribute.i ?? 0n) + step };
  if (attribute.type !== attributeTypes.ints) return otherValue(attribute, r);
  return { ...attribute, ints: changeOne(attribute.ints, r, (value) => value + step) };
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
