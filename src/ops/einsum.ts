/**
 * Einsum as contractions of two operands at a time, from the left. Before each one the labels that nothing
 * else uses are summed away and repeated labels become diagonals.
 */
import { type Dim, dimMul, staticDim } from "../ir/dim.js";
import { broadcastShapes } from "../ir/graph-shapes.js";
import type { Value } from "../ir/graph.js";
import { allInputs, computeType, operator, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const einsumOperators: readonly OperatorRecord[] = [
  operator("Einsum", 12, (c) => {
    const { operands, out } = parseEquation(c);
    const total = operands.slice(1).reduce((left, right, i) => {
      const later = operands.slice(i + 2).flatMap((operand) => operand.labels);
      return contractPair(c, left, right, new Set([...out, ...later]));
    }, operands[0]!);
    const summed = sumAway(c, total, (label) => out.includes(label));
    const result = c.b.transpose(
      summed.value,
      out.map((label) => summed.labels.indexOf(label)),
    );
    return c.b.cast(result, c.input(0).dtype);
  }),
];

/** A tensor with one label per axis; the axes of an ellipsis have the labels 0, 1, .. from the right. */
interface Labelled {
  readonly value: Value;
  readonly labels: readonly string[];
}

function parseEquation(c: LowerContext): {
  readonly operands: readonly Labelled[];
  readonly out: readonly string[];
} {
  const equation = (c.string("equation") ?? c.invalid("L0108", "the equation is missing")).replace(
    /\s/g,
    "",
  );
  const [left, right] = equation.split("->");
  const terms = left!.split(",");
  const inputs = allInputs(c);
  if (terms.length !== inputs.length) {
    c.invalid("L0108", `"${equation}" has ${terms.length} terms for ${inputs.length} inputs`);
  }
  const operands = terms.map((term, i) => {
    const letters = term.replace("...", "").length;
    const missing = inputs[i]!.shape.length - letters;
    if (missing < 0 || (missing > 0 && !term.includes("..."))) {
      c.invalid("L0201", `term "${term}" does not fit a tensor of rank ${inputs[i]!.shape.length}`);
    }
    const labels = labelsOf(term, missing);
    return diagonal(c, { value: inputs[i]!, labels });
  });
  const ellipsis = Math.max(0, ...operands.map(({ labels }) => labels.filter(isNumber).length));
  const out = right === undefined ? implicitOutput(left!, ellipsis) : labelsOf(right, ellipsis);
  return { operands: dropOnes(c, operands), out };
}

const isNumber = (label: string): boolean => label >= "0" && label <= "9";

function labelsOf(term: string, ellipsis: number): readonly string[] {
  const axes = range(0, ellipsis)
    .map((i) => String(ellipsis - 1 - i))
    .join("");
  return [...term.replace("...", axes)];
}

/** The ellipsis, then the letters that occur once, in alphabetical order. */
function implicitOutput(left: string, ellipsis: number): readonly string[] {
  const letters = [...left.replaceAll("...", "").replaceAll(",", "")];
  const once = letters.filter((a) => letters.filter((b) => a === b).length === 1).sort();
  return [...labelsOf("...", ellipsis), ...once];
}

/** Axes with one label become their diagonal: one axis of the two, in steps of extent + 1. */
function diagonal(c: LowerContext, { value, labels }: Labelled): Labelled {
  const second = labels.findIndex((label, i) => labels.indexOf(label) < i);
  if (second < 0) return { value, labels };
  const first = labels.indexOf(labels[second]!);
  const others = range(0, labels.length).filter((axis) => axis !== first && axis !== second);
  const paired = c.b.transpose(value, [...others, first, second]);
  const extent = staticDim(value.shape[first]!, "it is the extent of a diagonal");
  const flat = c.b.reshape(paired, [...paired.shape.slice(0, -2), dimMul(extent, extent)]);
  const picked = c.b.sliceAxis(flat, others.length, 0, extent, extent + 1);
  const rest = [...others.map((axis) => labels[axis]!), labels[first]!];
  return diagonal(c, { value: picked, labels: rest });
}

/** An axis of 1 whose label is longer elsewhere is broadcast: the label stays with the others alone. */
function dropOnes(c: LowerContext, operands: readonly Labelled[]): readonly Labelled[] {
  const longest = new Map<string, Dim>();
  for (const { value, labels } of operands) {
    for (const [axis, label] of labels.entries()) {
      const known = longest.get(label) ?? 1;
      longest.set(label, broadcastShapes([[known], [value.shape[axis]!]])[0]!);
    }
  }
  return operands.map(({ value, labels }) => {
    const ones = range(0, labels.length).filter(
      (axis) => value.shape[axis] === 1 && longest.get(labels[axis]!) !== 1,
    );
    if (ones.length === 0) return { value, labels };
    return {
      value: c.b.squeeze(value, ones),
      labels: labels.filter((_, axis) => !ones.includes(axis)),
    };
  });
}

function sumAway(
  c: LowerContext,
  { value, labels }: Labelled,
  keeps: (label: string) => boolean,
): Labelled {
  const axes = range(0, labels.length).filter((axis) => !keeps(labels[axis]!));
  if (axes.length === 0) return { value, labels };
  return { value: c.b.reduce(value, "sum", axes), labels: labels.filter(keeps) };
}

function contractPair(
  c: LowerContext,
  left: Labelled,
  right: Labelled,
  needed: ReadonlySet<string>,
): Labelled {
  const a = sumAway(c, left, (label) => needed.has(label) || right.labels.includes(label));
  const b = sumAway(c, right, (label) => needed.has(label) || left.labels.includes(label));
  const order = a.labels.filter((label) => b.labels.includes(label) && !needed.has(label));
  const all = [...a.labels, ...b.labels.filter((label) => !a.labels.includes(label))];
  const out = all.filter((label) => !order.includes(label));
  const labels = { a: a.labels.join(""), b: b.labels.join(""), out: out.join("") };
  if (order.length > 0) {
    return {
      value: c.b.contract(a.value, b.value, { ...labels, order: order.join("") }),
      labels: out,
    };
  }
  return { value: multiply(c, a, b, out), labels: out };
}

/** Without anything to sum the product is elementwise. */
function multiply(c: LowerContext, a: Labelled, b: Labelled, out: readonly string[]): Value {
  const place = ({ value, labels }: Labelled): Value => {
    const present = out.filter((label) => labels.includes(label));
    const ordered = c.b.transpose(
      value,
      present.map((label) => labels.indexOf(label)),
    );
    return c.b.unsqueeze(
      ordered,
      range(0, out.length).filter((axis) => !labels.includes(out[axis]!)),
    );
  };
  const { dtype } = a.value;
  return c.b.map(
    dtype === "i32" || dtype === "i64" ? dtype : computeType(dtype),
    [place(a), place(b)],
    (l, x, y) => (x!.type === "i32" ? l.mulI(x!, y!) : l.mul(x!, y!)),
  );
}
