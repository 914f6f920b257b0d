/**
 * What every functional simulator offers: prepare a program once, then launch it on a simulated device's memory.
 * The reference (`reference/`) and the JIT (`jit/`) implement it and agree bit for bit. Time is not counted
 * here: that is `timing/`.
 */
import type { Program } from "../isa/program.js";
import { fail } from "../support/diagnostic.js";

export interface Engine {
  readonly name: "reference" | "jit";
  /** Memory that the engine's programs can be launched on. Throws L0402 where there is not enough. */
  allocate(sizeBytes: number): DeviceMemory;
  prepare(program: Program): PreparedProgram;
}

export interface PreparedProgram {
  run(launch: Launch): LaunchResult;
}

export interface Launch {
  readonly memory: DeviceMemory;
  /** Per binding of the program: where it lies. */
  readonly bindings: readonly LaunchBinding[];
  readonly scalars: Int32Array;
}

export interface LaunchBinding {
  /** Device address of the binding's element 0. */
  readonly offsetBytes: number;
}

export interface LaunchResult {
  /** At most one per instruction, in text order. */
  readonly faults: readonly Fault[];
}

/** A gather or scatter met an index outside its extent. */
export interface Fault {
  readonly kind: "index-out-of-range";
  /** Number of the instruction in the program's text, loops and barriers not counted. */
  readonly instruction: number;
  readonly role: number;
}

/**
 * The memory of one simulated device: bytes [baseBytes, baseBytes + sizeBytes) of a WebAssembly memory. What
 * comes before is zero and nobody's; what comes after is scratch that an engine may grow. Growing detaches
 * the buffer, so ask for it again at every use.
 */
export interface DeviceMemory {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBufferLike;
  readonly baseBytes: number;
  readonly sizeBytes: number;
  /** Nothing is launched on it any more; what it holds can still be read. */
  release(): void;
}

const pageBytes = 65_536;
/** What 32-bit addresses reach. */
const pagesMax = 65_536;
/** Device address 0 is not linear address 0, so that an engine's stray null address is no device address. */
const baseBytes = pageBytes;
/** Kept for the engines' own copies of L1 and accumulators. */
const scratchBytesMin = 512 * 1024 * 1024;

export interface MemoryOptions {
  /** Several threads may use it. */
  readonly isShared?: boolean;
  readonly onRelease?: (memory: WebAssembly.Memory) => void;
}

export function createDeviceMemory(
  sizeBytes: number,
  { isShared = false, onRelease }: MemoryOptions = {},
): DeviceMemory {
  const limitBytes = pagesMax * pageBytes - baseBytes - scratchBytesMin;
  if (sizeBytes > limitBytes) {
    fail("L0402", `the simulated device would need ${sizeBytes} bytes of memory`, {
      notes: [`at most ${limitBytes} bytes can be simulated, because WebAssembly addresses 4 GiB`],
      hint: "compile with smaller dimensions, lower precision, or a part of the model",
    });
  }
  const initial = Math.ceil((baseBytes + sizeBytes) / pageBytes);
  const memory = allocate({ initial, maximum: pagesMax, shared: isShared }, sizeBytes);
  return {
    memory,
    get buffer() {
      return memory.buffer;
    },
    baseBytes,
    sizeBytes,
    release: () => onRelease?.(memory),
  };
}

function allocate(descriptor: WebAssembly.MemoryDescriptor, sizeBytes: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory(descriptor);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    fail("L0402", `this process cannot get ${sizeBytes} bytes of memory for the simulated device`, {
      notes: [cause.message],
    });
  }
}

/** The device's bytes, device address 0 first. Valid until the memory grows. */
export function deviceBytes(device: DeviceMemory): Uint8Array {
  return new Uint8Array(device.buffer, device.baseBytes, device.sizeBytes);
}
