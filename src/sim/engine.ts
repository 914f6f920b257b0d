/**
 * What every functional simulator offers: prepare a program once, then launch it on a simulated device's memory.
 * The reference (`reference/`) and the JIT (`jit/`) implement it and agree bit for bit. Time is not counted
 * here: that is `timing/`.
 */
import type { Program } from "../isa/program.js";
import { fail } from "../support/diagnostic.js";

export interface Engine {
  readonly name: "reference" | "jit";
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
}

const pageBytes = 65_536;
/** What 32-bit addresses reach. */
const pagesMax = 65_536;
/** Device address 0 is not linear address 0, so that an engine's stray null address is no device address. */
const baseBytes = pageBytes;
/** Kept for the engines' own copies of L1 and accumulators. */
const scratchBytesMin = 512 * 1024 * 1024;

export function createDeviceMemory(sizeBytes: number): DeviceMemory {
  const limitBytes = pagesMax * pageBytes - baseBytes - scratchBytesMin;
  if (sizeBytes > limitBytes) {
    fail("L0402", `the simulated device would need ${sizeBytes} bytes of memory`, {
      notes: [`at most ${limitBytes} bytes can be simulated, because WebAssembly addresses 4 GiB`],
      hint: "compile with smaller dimensions, lower precision, or a part of the model",
    });
  }
  const initial = Math.ceil((baseBytes + sizeBytes) / pageBytes);
  const memory = allocate(initial, sizeBytes);
  return {
    memory,
    get buffer() {
      return memory.buffer;
    },
    baseBytes,
    sizeBytes,
  };
}

function allocate(initial: number, sizeBytes: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum: pagesMax });
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
