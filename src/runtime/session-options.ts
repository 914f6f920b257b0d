/** What a session can be told, and the check of it: callers without types get a sentence, never another setting. */
import type { DimRange } from "../compiler/1-import/symbols.js";
import { type Float64, float64Choices, type Precision, precisions } from "../compiler/pipeline.js";
import { fail } from "../support/diagnostic.js";
import { didYouMean } from "../support/suggest.js";
import type { DeviceMachine } from "../target/machine.js";
import type { DimSettings } from "./check-inputs.js";
import { type HostRuntimeChoice, hostRuntimeChoices } from "./host-runtime.js";

export interface SessionOptions {
  /** Name of a machine (`pf1`, `mini`, ..) or a description of one. Default: pf1. Throws L0701, L0702. */
  readonly machine?: string | DeviceMachine;
  /** What contractions read: fp32 (the model's own types) or bf16. Default: fp32. */
  readonly precision?: Precision;
  /** Where doubles are computed: `host`, or in fp32 on the device (`fp32`). Default: host. */
  readonly float64?: Float64;
  /**
   * By dim_param: a number binds the dim, a range keeps it open from the first run on. What is not named is bound
   * to the first run's shapes, and kept open once it takes a second value. Throws L0204 for unknown names.
   */
  readonly dims?: Readonly<Record<string, number | DimRange>>;
  /** ONNX Runtime's name for numbers in `dims`. */
  readonly freeDimensionOverrides?: Readonly<Record<string, number>>;
  /**
   * Who runs what the accelerator cannot: `auto` (default) ONNX Runtime where it is installed and the region large,
   * `onnxruntime` wherever it takes the region, `reference` the operators' own evaluation alone.
   */
  readonly hostRuntime?: HostRuntimeChoice;
  /** jit (default) or the slow reference; both give the same bits. */
  readonly engine?: EngineName;
  /** Node only: threads that the JIT simulator may use; the bits are the same for any number. Default: 1. Throws L0608. */
  readonly threads?: number;
  /** ONNX Runtime's name for `threads`; 0 leaves the choice to us. */
  readonly intraOpNumThreads?: number;
  /**
   * Node only: folder where compiled programs are kept between sessions; false: none are. Default: the variable
   * LIGHTLOOM_CACHE, else the user's cache folder.
   */
  readonly cacheDir?: string | false;
}

export const engineNames = ["jit", "reference"] as const;

export type EngineName = (typeof engineNames)[number];

/** More than the members of any machine is of no use. */
export const threadsMax = 64;

const choices = {
  precision: precisions,
  float64: float64Choices,
  hostRuntime: hostRuntimeChoices,
  engine: engineNames,
} as const satisfies { readonly [K in keyof SessionOptions]: readonly SessionOptions[K][] };

/** Throws L0608. */
export function checkOptions(options: SessionOptions): void {
  for (const name of Object.keys(choices) as (keyof typeof choices)[]) {
    const value: string | undefined = options[name];
    const possible: readonly string[] = choices[name];
    if (value === undefined || possible.includes(value)) continue;
    fail("L0608", `the option ${name} cannot be "${value}"`, {
      notes: [`possible are ${possible.join(", ")}`],
      ...didYouMean(`${value}`, possible),
    });
  }
  for (const [name, setting] of dimSettings(options)) {
    const { min, max } = typeof setting === "number" ? { min: setting, max: setting } : setting;
    if (Number.isSafeInteger(min) && Number.isSafeInteger(max) && 0 <= min && min <= max) continue;
    fail("L0608", `the dimension "${name}" cannot be ${JSON.stringify(setting)}`, {
      hint: "a whole number or a range { min, max } of them is possible",
    });
  }
}

export function threadsOf({ threads, intraOpNumThreads = 0 }: SessionOptions): number {
  const wanted = threads ?? (intraOpNumThreads === 0 ? 1 : intraOpNumThreads);
  if (Number.isInteger(wanted) && wanted >= 1 && wanted <= threadsMax) return wanted;
  return fail("L0608", `a session cannot have ${wanted} threads`, {
    hint: `a whole number from 1 to ${threadsMax} is possible`,
  });
}

export function dimSettings({
  dims = {},
  freeDimensionOverrides = {},
}: SessionOptions): DimSettings {
  return new Map([...Object.entries(freeDimensionOverrides), ...Object.entries(dims)]);
}
