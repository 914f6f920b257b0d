/**
 * The shape of a machine description as it comes from a file: every field there, no unknown one, every number
 * in its range. What the numbers mean is in `machine.ts`; whether they make sense together, in `validate.ts`.
 */
import { z } from "zod";
import { type Diagnostic, fail } from "../support/diagnostic.js";
import { type Machine, overheadKinds, tensorTypes } from "./machine.js";

const positive = z.number().positive();
const notNegative = z.number().nonnegative();
const count = z.int().positive();
const fraction = z.number().gt(0).lte(1);

const memory = z.strictObject({
  capacityBytes: positive,
  bytesPerSecond: positive,
  latencyNs: notNegative,
});

const linkEnergy = {
  adapterPicojoulesPerBit: notNegative,
  switchPicojoulesPerBit: notNegative,
  localPicojoulesPerBit: notNegative,
};

function perType<T extends z.ZodType>(value: T) {
  return z.strictObject(
    Object.fromEntries(tensorTypes.map((type) => [type, value])) as {
      [K in (typeof tensorTypes)[number]]: T;
    },
  );
}

const pool = z.strictObject({
  appliances: count,
  appliance: z.strictObject({
    radix: count,
    modules: count,
    switchBytesPerSecond: positive,
    interleaveBytes: count,
  }),
  module: z.strictObject({ cache: memory, backing: memory, portBytesPerSecond: positive }),
  tier: z.strictObject({ latencyNs: notNegative, linkBytesPerSecond: positive }).exactOptional(),
});

const device = z.strictObject({
  kind: z.literal("device"),
  name: z.string().min(1),
  about: z.string(),
  clock: z.strictObject({ frequencyHz: positive }),
  tile: z.strictObject({ rows: count, columns: count }),
  tensor: z.strictObject({
    rows: count,
    columns: count,
    rate: perType(positive),
    passCyclesMin: count,
    startCycles: z.int().nonnegative(),
    issueCycles: count,
  }),
  vector: z.strictObject({
    lanes: count,
    simpleCycles: positive,
    transcendentalCycles: positive,
    lookupCycles: positive,
    startCycles: z.int().nonnegative(),
    issueCycles: count,
  }),
  l1: z.strictObject({
    bytes: count,
    portBytesPerCycle: count,
    accessStartCycles: z.int().nonnegative(),
  }),
  accumulators: z.strictObject({ bytes: count, portBytesPerCycle: count }),
  channels: z.strictObject({
    load: count,
    store: count,
    issueCycles: count,
    latencyNs: notNegative,
    outstandingBytes: count,
    accessBytes: count,
    runOverheadBytes: z.int().nonnegative(),
    efficientRunBytes: count,
    elementsPerCycle: positive,
  }),
  network: z.strictObject({
    bytesPerCycle: count,
    hopCycles: z.int().nonnegative(),
    injectionCycles: z.int().nonnegative(),
    torus: z.boolean(),
  }),
  hbm: memory,
  fabric: z.strictObject({
    ports: z.int().nonnegative(),
    portBytesPerSecond: positive,
    latencyNs: notNegative,
  }),
  launch: z.strictObject({ overheadNs: notNegative }),
  host: z.strictObject({
    bytesPerSecond: positive,
    latencyNs: notNegative,
    operationsPerSecond: positive,
    memoryBytesPerSecond: positive,
  }),
  energy: z.strictObject({
    macPicojoules: perType(notNegative),
    laneOperationPicojoules: notNegative,
    transcendentalPicojoules: notNegative,
    l1PicojoulesPerBit: notNegative,
    accumulatorPicojoulesPerBit: notNegative,
    hopPicojoulesPerBit: notNegative,
    hbmPicojoulesPerBit: notNegative,
    fabric: z.strictObject(linkEnergy),
    poolCachePicojoulesPerBit: notNegative,
    poolBackingPicojoulesPerBit: notNegative,
    idleWatts: notNegative,
  }),
  topology: z.strictObject({ devices: count, pool: pool.exactOptional() }),
});

const curve = z.array(z.tuple([positive, fraction])).min(1);

const roofline = z.strictObject({
  kind: z.literal("roofline"),
  name: z.string().min(1),
  about: z.string(),
  devices: count,
  peak: perType(positive.exactOptional()),
  vectorOperationsPerSecond: positive,
  memories: z.array(z.strictObject({ name: z.string(), ...memory.shape })).min(1),
  links: z.array(
    z.strictObject({
      name: z.string(),
      devices: count,
      bytesPerSecond: positive,
      latencyNs: notNegative,
      collectiveStartNs: notNegative,
    }),
  ),
  overheadNs: z.record(z.enum(overheadKinds), notNegative),
  efficiency: z.strictObject({ contraction: curve, memory: curve }),
  energy: z.strictObject({
    ...linkEnergy,
    memoryPicojoulesPerBit: notNegative,
    watts: notNegative,
  }),
});

const machine: z.ZodType<Machine> = z.discriminatedUnion("kind", [device, roofline]);

/** Problems of shape, one per field: L0702. Empty: `description` is a `Machine`. */
export function checkShape(description: unknown): readonly Diagnostic[] {
  const result = machine.safeParse(description);
  if (result.success) return [];
  return result.error.issues.map((issue) => ({
    code: "L0702",
    message: `${issue.path.length === 0 ? "machine" : issue.path.join(".")}: ${issue.message}`,
  }));
}

/** A machine from parsed JSON. `file` is for the diagnostics. */
export function parseMachine(description: unknown, file?: string): Machine {
  const result = machine.safeParse(description);
  if (result.success) return result.data;
  const problems = checkShape(description).map((problem) => problem.message);
  fail("L0702", "the machine description lacks fields or has wrong ones", {
    notes: problems,
    ...(file === undefined ? {} : { place: { file } }),
  });
}
