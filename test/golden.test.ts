/**
 * Golden files: `test/golden/<stage>/<case>.txt` has flags in line one, the text of a graph, `----`, and what the
 * stage makes of it. Graph passes run alone on the graph as it stands; the later stages run all that comes before.
 * `UPDATE_GOLDEN=1` writes what is computed: read the diff.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compileGraph, type Stage } from "../src/compiler/compile.js";
import {
  borderPasses,
  graphPasses,
  type PassContext,
  type Float64,
  type Precision,
} from "../src/compiler/pipeline.js";
import { partition } from "../src/compiler/3-partition/partition.js";
import { parseGraph } from "../src/ir/text/parse.js";
import { printGraph } from "../src/ir/text/print.js";
import { verifyGraph } from "../src/ir/verify.js";
import type { Graph } from "../src/ir/graph.js";
import { disassemble } from "../src/isa/disassemble.js";
import type { Executable, Step } from "../src/isa/executable.js";
import { printKernel } from "../src/isa/kernel-text.js";
import { findDevice } from "../src/target/machines.js";

const folder = new URL("golden/", import.meta.url);
const update = process.env["UPDATE_GOLDEN"] === "1";

for (const stage of readdirSync(folder)) {
  describe(stage, () => {
    for (const name of readdirSync(new URL(`${stage}/`, folder))) {
      it(name.replace(".txt", ""), () => {
        const path = new URL(`${stage}/${name}`, folder);
        const text = readFileSync(path, "utf8");
        const [head = "", expected = ""] = text.split("----\n");
        const [flags = "", ...lines] = head.split("\n");
        const graph = parseGraph(lines.join("\n"));
        expect(verifyGraph(graph)).toEqual([]);
        const made = runStage(stage, graph, parseFlags(flags));
        if (update) writeFileSync(path, `${head}----\n${made}`);
        else expect(made).toBe(expected);
      });
    }
  });
}

interface Flags {
  readonly machine: string;
  readonly precision: Precision;
  readonly float64: Float64;
  readonly fuse: boolean;
}

/** `# machine=mini precision=bf16 float64=fp32 fuse=off`, each optional. */
function parseFlags(line: string): Flags {
  const given = new Map(
    line
      .replace(/^#/, "")
      .trim()
      .split(/\s+/)
      .filter((word) => word !== "")
      .map((word) => word.split("=") as [string, string]),
  );
  const unknown = [...given.keys()].filter(
    (key) => !["machine", "precision", "float64", "fuse"].includes(key),
  );
  expect(unknown, "flags").toEqual([]);
  return {
    machine: given.get("machine") ?? "mini",
    precision: (given.get("precision") ?? "fp32") as Precision,
    float64: (given.get("float64") ?? "host") as Float64,
    fuse: given.get("fuse") !== "off",
  };
}

function runStage(stage: string, graph: Graph, flags: Flags): string {
  const pass = [...graphPasses, ...borderPasses].find(({ name }) => name === stage);
  if (pass !== undefined) {
    const context: PassContext = {
      precision: flags.precision,
      float64: flags.float64,
      records: [],
    };
    const result = pass.run(graph, context);
    if (result === graph) return "(unchanged)\n";
    expect(verifyGraph(result)).toEqual([]);
    return printGraph(result);
  }
  if (stage === "partition") return partitionText(graph, flags);
  let made: Stage | undefined;
  const executable = compileGraph(graph, {
    machine: findDevice(flags.machine),
    machineHash: "",
    precision: flags.precision,
    float64: flags.float64,
    fuse: flags.fuse,
    observe: (observed) => {
      if (observed.name === stage) made = observed;
    },
  });
  if (stage === "place") return placeText(executable);
  return made === undefined ? `no stage ${stage}\n` : stageText(made);
}

function partitionText(graph: Graph, { machine }: Flags): string {
  const { graph: result, regions, records } = partition(graph, findDevice(machine));
  const bodies = [...regions.values()].flatMap(({ body }) => ["", printGraph(body).trimEnd()]);
  const decisions = records.map(({ what, why }) => `// ${what}: ${why}`);
  return `${[printGraph(result).trimEnd(), ...bodies, "", ...decisions].join("\n")}\n`;
}

function stageText(stage: Stage): string {
  switch (stage.kind) {
    case "graph":
      return printGraph(stage.graph);
    case "tiled":
      return stage.tiled.steps
        .map((step) =>
          step.kind === "launch"
            ? `// ${step.plan}\n${printKernel(step.written.kernel)}`
            : `// ${step.kind}\n`,
        )
        .join("\n");
    case "executable": {
      const { programs, steps } = stage.executable;
      const texts = programs.map((program) => disassemble(program));
      return `${steps.map(stepText).join("\n")}\n\n${texts.join("\n")}`;
    }
    default:
      return stage satisfies never;
  }
}

function stepText(step: Step): string {
  if (step.kind !== "launch") return `${step.kind}`;
  const bindings = step.bindings.map(({ buffer, offset }) => `${buffer}+${offset}`);
  return `launch ${step.program} (${bindings.join(", ")})`;
}

function placeText({ buffers, memoryBytes }: Executable): string {
  const lines = buffers.map(
    ({ name, kind, offsetBytes, sizeBytes }) =>
      `[${offsetBytes}, ${offsetBytes + sizeBytes}) ${kind} ${name}`,
  );
  return `${lines.join("\n")}\n${memoryBytes} bytes\n`;
}
