/**
 * Are these the inputs that the model takes? All problems at once, each named after its input. What one extent
 * means for another (a dim that is the sum of two) is checked where symbols are bound.
 */
import type { DimRange } from "../compiler/1-import/symbols.js";
import type { Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { type Diagnostic, DiagnosticError } from "../support/diagnostic.js";
import { didYouMean } from "../support/suggest.js";
import type { ModelPort } from "./model-ports.js";
import { typeName } from "./type-names.js";

export type DimSettings = ReadonlyMap<string, number | DimRange>;

/** Throws L0601 for unknown names, L0602 for types and shapes, L0603 for what is missing. */
export function checkInputs(
  ports: readonly ModelPort[],
  inputs: ReadonlyMap<string, HostValue>,
  dims: DimSettings,
): void {
  const values = new Map<string, number>();
  const problems = [
    ...unknownNames(ports, inputs.keys(), "input"),
    ...ports.flatMap((port) => {
      const value = inputs.get(port.name);
      if (value !== undefined) return inputProblems(port, value, { values, dims });
      return port.required ? [missing(port)] : [];
    }),
  ];
  if (problems.length > 0) throw new DiagnosticError(problems);
}

/** L0601 for every name that is none of the ports'. */
export function unknownNames(
  ports: readonly ModelPort[],
  names: Iterable<string>,
  what: "input" | "output",
): readonly Diagnostic[] {
  const known = ports.map((port) => port.name);
  return [...names]
    .filter((name) => !known.includes(name))
    .map((name) => ({
      code: "L0601",
      message: `the model has no ${what} "${name}"`,
      notes: [`its ${what}s are ${known.map((n) => `"${n}"`).join(", ")}`],
      ...didYouMean(name, known),
    }));
}

interface Extents {
  /** By name, from the inputs so far. */
  readonly values: Map<string, number>;
  readonly dims: DimSettings;
}

function missing(port: ModelPort): Diagnostic {
  return {
    code: "L0603",
    message: `input "${port.name}" is missing`,
    notes: [`it is ${describePort(port)}`],
  };
}

function inputProblems(port: ModelPort, value: HostValue, extents: Extents): Diagnostic[] {
  const wrong = (message: string): Diagnostic[] => [
    {
      code: "L0602",
      message: `input "${port.name}" ${message}`,
      notes: [`it is ${describePort(port)}`],
    },
  ];
  if (!isTensor(value)) {
    return port.kind === "tensor" ? wrong(`is a ${value.kind} where a tensor is needed`) : [];
  }
  if (port.kind === "sequence" || port.kind === "map") {
    return wrong(`is a tensor where a ${port.kind} is needed`);
  }
  if (port.kind === "optional") return [];
  if (port.dtype !== undefined && value.dtype !== port.dtype) {
    return wrong(`is of type ${typeName(value.dtype)}, not ${typeName(port.dtype)}`);
  }
  const reason = shapeProblem(port, value, extents);
  return reason === undefined ? [] : wrong(reason);
}

function shapeProblem(
  { dims: declared }: ModelPort,
  { shape }: Tensor,
  { values, dims }: Extents,
): string | undefined {
  const text = `has the shape [${shape.join(", ")}]`;
  const bad = shape.find((extent) => !Number.isInteger(extent) || extent < 0);
  if (bad !== undefined) return `${text}: ${bad} is no extent`;
  if (declared === undefined) return undefined;
  if (declared.length !== shape.length) {
    return `${text} of rank ${shape.length}, not ${declared.length}`;
  }
  for (const [axis, dim] of declared.entries()) {
    const extent = shape[axis]!;
    if (typeof dim === "number") {
      if (dim !== extent) return `${text}: dimension ${axis} is ${extent}, not ${dim}`;
      continue;
    }
    const other = values.get(dim);
    if (other !== undefined && other !== extent) {
      return `${text}: "${dim}" is ${extent} here and ${other} in another input`;
    }
    values.set(dim, extent);
    const setting = dims.get(dim);
    if (setting !== undefined && !allows(setting, extent)) {
      return `${text}: "${dim}" is ${extent}, and set to ${settingText(setting)}`;
    }
  }
  return undefined;
}

function allows(setting: number | DimRange, extent: number): boolean {
  if (typeof setting === "number") return setting === extent;
  const { min, max, multipleOf = 1 } = setting;
  return min <= extent && extent <= max && extent % multipleOf === 0;
}

function settingText(setting: number | DimRange): string {
  return typeof setting === "number" ? `${setting}` : `${setting.min}..${setting.max}`;
}

function describePort({ kind, dtype, dims }: ModelPort): string {
  const element = dtype === undefined ? "any type" : typeName(dtype);
  if (kind !== "tensor") return `a ${kind} of ${element}`;
  return dims === undefined ? `${element} of any rank` : `${element} [${dims.join(", ")}]`;
}
