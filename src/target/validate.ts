/**
 * Whether the figures of a machine make sense together: an L0702 per contradiction, with the arithmetic that
 * shows it. Shape and ranges of the single fields come first (`schema.ts`).
 */
import type { Diagnostic } from "../support/diagnostic.js";
import {
  type DeviceMachine,
  type EfficiencyCurve,
  type Machine,
  type Pool,
  type RooflineMachine,
  tileCount,
} from "./machine.js";
import { checkShape } from "./schema.js";

export function validateMachine(machine: Machine): readonly Diagnostic[] {
  const shape = checkShape(machine);
  if (shape.length > 0) return shape;
  const problems = machine.kind === "device" ? deviceProblems(machine) : rooflineProblems(machine);
  return problems.map((message) => ({ code: "L0702", message: `${machine.name}: ${message}` }));
}

function deviceProblems(machine: DeviceMachine): string[] {
  return [
    ...scratchpadProblems(machine),
    ...accumulatorProblems(machine),
    ...channelProblems(machine),
    ...bandwidthProblems(machine),
    ...topologyProblems(machine),
  ];
}

/** Two slots each of two operands and a result, one engine block large, is the least that can overlap. */
function scratchpadProblems({ l1, tensor, vector }: DeviceMachine): string[] {
  const widest = 4;
  const operand = tensor.rows * tensor.columns * widest;
  const minimal = 6 * operand;
  const problems: string[] = [];
  if (l1.bytes < minimal) {
    problems.push(
      `l1.bytes is ${l1.bytes}, but double-buffering two operands and a result of ` +
        `${tensor.rows} x ${tensor.columns} fp32 takes ${minimal} bytes`,
    );
  }
  if (l1.portBytesPerCycle < vector.lanes * widest) {
    problems.push(
      `l1.portBytesPerCycle is ${l1.portBytesPerCycle}, but ${vector.lanes} lanes read ` +
        `${vector.lanes * widest} bytes per cycle`,
    );
  }
  return problems;
}

/** A floating cell takes 8 bytes; two slots of one engine block let results drain beside the next tile. */
function accumulatorProblems({ accumulators, tensor }: DeviceMachine): string[] {
  const minimal = 2 * tensor.columns * tensor.rows * 8;
  if (accumulators.bytes >= minimal) return [];
  return [
    `accumulators.bytes is ${accumulators.bytes}, but two blocks of ${tensor.rows} x ` +
      `${tensor.columns} cells of 8 bytes take ${minimal}`,
  ];
}

function channelProblems({ channels }: DeviceMachine): string[] {
  const problems: string[] = [];
  if (channels.load < 2) {
    problems.push(`channels.load is ${channels.load}, but both operands need one of their own`);
  }
  if (channels.outstandingBytes < channels.accessBytes) {
    problems.push(
      `channels.outstandingBytes (${channels.outstandingBytes}) is less than one access ` +
        `(${channels.accessBytes} bytes)`,
    );
  }
  if (channels.efficientRunBytes < channels.accessBytes) {
    problems.push(
      `channels.efficientRunBytes (${channels.efficientRunBytes}) is less than one access ` +
        `(${channels.accessBytes} bytes)`,
    );
  }
  return problems;
}

function bandwidthProblems(machine: DeviceMachine): string[] {
  const { hbm, clock, l1, channels } = machine;
  const share = hbm.bytesPerSecond / tileCount(machine);
  const problems: string[] = [];
  const port = l1.portBytesPerCycle * clock.frequencyHz;
  if (share > port) {
    problems.push(
      `a tile's share of hbm.bytesPerSecond is ${gigabytes(share)}, but its L1 port takes ` +
        `${gigabytes(port)}`,
    );
  }
  const flightNs = hbm.latencyNs + channels.latencyNs;
  const reachable = (channels.load * channels.outstandingBytes) / (flightNs * 1e-9);
  if (share > reachable) {
    problems.push(
      `${channels.load} load channels with ${channels.outstandingBytes} bytes outstanding over ` +
        `${flightNs} ns reach ${gigabytes(reachable)}, less than a tile's share of memory ` +
        `(${gigabytes(share)})`,
    );
  }
  return problems;
}

function topologyProblems({ topology, fabric }: DeviceMachine): string[] {
  const { devices, pool } = topology;
  const problems: string[] = [];
  if ((devices > 1 || pool !== undefined) && fabric.ports === 0) {
    problems.push(`topology needs the fabric, but fabric.ports is 0`);
  }
  return pool === undefined ? problems : [...problems, ...poolProblems(devices, pool)];
}

function poolProblems(devices: number, pool: Pool): string[] {
  const { appliances, appliance, module } = pool;
  const problems: string[] = [];
  const places = appliances * appliance.radix;
  if (devices > places) {
    problems.push(
      `topology has ${devices} devices, but ${appliances} x ${appliance.radix} ports of appliances`,
    );
  }
  if (appliances > 1 && pool.tier === undefined) {
    problems.push(`topology.pool has ${appliances} appliances, but no tier that joins them`);
  }
  const ports = appliance.modules * module.portBytesPerSecond;
  if (appliance.switchBytesPerSecond > ports * 1.01) {
    problems.push(
      `topology.pool.appliance.switchBytesPerSecond is ` +
        `${gigabytes(appliance.switchBytesPerSecond)}, but ${appliance.modules} module ports ` +
        `give ${gigabytes(ports)}`,
    );
  }
  if (module.cache.capacityBytes > module.backing.capacityBytes) {
    problems.push(`topology.pool.module.cache is larger than the memory behind it`);
  }
  return problems;
}

function rooflineProblems(machine: RooflineMachine): string[] {
  const problems: string[] = [];
  const { f16, f8 } = machine.peak;
  if (f16 !== undefined && f8 !== undefined && f8 < f16) {
    problems.push(`peak.f8 (${f8}) is less than peak.f16 (${f16})`);
  }
  for (const [name, points] of Object.entries(machine.efficiency)) {
    if (!ascends(points)) problems.push(`efficiency.${name}: sizes do not ascend`);
  }
  machine.memories.forEach((memory, i) => {
    const faster = machine.memories[i - 1];
    if (faster !== undefined && memory.bytesPerSecond > faster.bytesPerSecond) {
      problems.push(`memories: ${memory.name} is faster than ${faster.name}, which comes first`);
    }
  });
  const reach = Math.max(1, ...machine.links.map((link) => link.devices));
  if (machine.devices > reach) {
    problems.push(`${machine.devices} devices, but the links join ${reach}`);
  }
  return problems;
}

function ascends(points: EfficiencyCurve): boolean {
  return points.every(([size], i) => i === 0 || size > points[i - 1]![0]);
}

function gigabytes(bytesPerSecond: number): string {
  return `${Number((bytesPerSecond / 1e9).toPrecision(4))} GB/s`;
}
