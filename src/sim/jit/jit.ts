/**
 * The fast functional simulator: programs as WebAssembly. A program becomes one small module of control code and uses
 * kernels that it shares with other programs; equal programs share everything.
 */
import type { Program } from "../../isa/program.js";
import { InternalError } from "../../support/diagnostic.js";
import type {
  DeviceMemory,
  Engine,
  Fault,
  Launch,
  LaunchResult,
  PreparedProgram,
} from "../engine.js";
import { type ControlCode, encodeControl } from "./control.js";
import type { Kernel } from "./kernels.js";
import { stableText } from "./stable-text.js";

export interface JitOptions {
  /**
   * Runs `compile`, which compiles kernels, such that they are compiled by the optimising compiler and at once; how
   * to ask for that is up to the host. Without it they start in the baseline compiler's code.
   */
  readonly optimised?: <T>(compile: () => T) => T;
  /** For tools: told of every kernel that is compiled. */
  readonly onKernel?: (module: WebAssembly.Module, key: string) => void;
}

export function createJitEngine(options: JitOptions = {}): Engine {
  const compile = options.optimised ?? ((make) => make());
  const kernelModules = new Map<string, WebAssembly.Module>();
  const kernelModule = (kernel: Kernel): WebAssembly.Module => {
    let module = kernelModules.get(kernel.key);
    if (module === undefined) {
      const bytes = kernel.encode();
      module = compile(() => new WebAssembly.Module(bytes));
      kernelModules.set(kernel.key, module);
      options.onKernel?.(module, kernel.key);
    }
    return module;
  };
  const prepared = new Map<string, PreparedProgram>();
  return {
    name: "jit",
    prepare(program) {
      const key = stableText(program, ["name", "roles"]);
      let known = prepared.get(key);
      if (known === undefined) {
        known = prepareProgram(program, kernelModule);
        prepared.set(key, known);
      }
      return known;
    },
  };
}

type Run = (scratch: number, ...args: number[]) => void;

function prepareProgram(
  program: Program,
  kernelModule: (kernel: Kernel) => WebAssembly.Module,
): PreparedProgram {
  const code = encodeControl(program);
  const module = new WebAssembly.Module(code.bytes);
  const kernels = new Map([...code.kernels].map(([name, kernel]) => [name, kernelModule(kernel)]));
  const runs = new WeakMap<WebAssembly.Memory, Run>();
  const runIn = (memory: WebAssembly.Memory): Run => {
    let run = runs.get(memory);
    if (run === undefined) {
      run = instantiate(module, kernels, memory);
      runs.set(memory, run);
    }
    return run;
  };
  return { run: (launch) => runProgram(program, code, runIn(launch.memory.memory), launch) };
}

function instantiate(
  module: WebAssembly.Module,
  kernels: ReadonlyMap<string, WebAssembly.Module>,
  memory: WebAssembly.Memory,
): Run {
  const functions = [...kernels].map(([name, kernel]) => [name, kernelIn(memory, kernel)]);
  const instance = new WebAssembly.Instance(module, {
    m: { m: memory },
    f: Object.fromEntries(functions) as WebAssembly.ModuleImports,
  });
  return instance.exports["run"] as Run;
}

const instances = new WeakMap<
  WebAssembly.Memory,
  Map<WebAssembly.Module, WebAssembly.ExportValue>
>();

/** Instances of a kernel are shared by all programs that run in a memory. */
function kernelIn(memory: WebAssembly.Memory, kernel: WebAssembly.Module): WebAssembly.ExportValue {
  let known = instances.get(memory);
  if (known === undefined) instances.set(memory, (known = new Map()));
  let exported = known.get(kernel);
  if (exported === undefined) {
    const instance = new WebAssembly.Instance(kernel, { m: { m: memory } });
    exported = instance.exports["k"]!;
    known.set(kernel, exported);
  }
  return exported;
}

function runProgram(program: Program, code: ControlCode, run: Run, launch: Launch): LaunchResult {
  const { memory, bindings, scalars } = launch;
  if (bindings.length !== program.bindings.length || scalars.length < program.scalarCount) {
    throw new InternalError(`launch of ${program.name} with wrong bindings or scalars`);
  }
  const scratch = scratchOf(memory, code.layout.totalBytes);
  const { faultsOffset, faultsBytes } = code.layout;
  const faults = (): Uint8Array =>
    new Uint8Array(memory.buffer, scratch + faultsOffset, faultsBytes);
  faults().fill(0);
  run(
    scratch,
    ...bindings.map(({ offsetBytes }) => memory.baseBytes + offsetBytes),
    ...scalars.subarray(0, program.scalarCount),
  );
  const raised: Fault[] = [];
  faults().forEach((isRaised, instruction) => {
    if (isRaised === 0) return;
    const { role } = code.instructions[instruction]!;
    raised.push({ kind: "index-out-of-range", instruction, role });
  });
  return { faults: raised };
}

const pageBytes = 65_536;

/** Address of the scratch area, which begins after device memory. All launches use the same. */
function scratchOf({ memory, baseBytes, sizeBytes }: DeviceMemory, bytes: number): number {
  const start = Math.ceil((baseBytes + sizeBytes) / pageBytes) * pageBytes;
  const missing = start + bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  return start;
}
