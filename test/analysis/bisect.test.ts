/** A fault planted at every level is found where it was planted, and nothing where there is none. */
import { describe, expect, test } from "vitest";
import { bisect, type BisectOptions } from "../../src/analysis/bisect.js";
import { withAllOutputs } from "../../src/analysis/bisect-operators.js";
import { printBisection } from "../../src/analysis/print-bisect.js";
import { evaluateModel } from "../../src/compiler/1-import/evaluate-model.js";
import type { Stage } from "../../src/compiler/compile.js";
import type { TiledStep } from "../../src/compiler/tiled.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Kernel, KernelNode } from "../../src/ir/kernel/kernel.js";
import type { Executable } from "../../src/isa/executable.js";
import type { InstructionBody, Program, ProgramNode } from "../../src/isa/program.js";
import { laneProgramBuilder } from "../../src/numerics/lanes.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { modelRule } from "../../src/runtime/judge.js";
import { deviceBytes, type Engine } from "../../src/sim/engine.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { mini } from "../../src/target/machines/mini.js";
import { chosenTwice } from "../support/data-dependent.js";
import { bool, f32, graphProto, node, onnxModel } from "../support/onnx-builder.js";
import { Random } from "../support/random.js";

const random = new Random(20);
const numbers = (...shape: number[]): Tensor => {
  const count = shape.reduce((a, b) => a * b, 1);
  return f32(
    shape,
    Array.from({ length: count }, () => random.integer(-100, 100) / 64),
  );
};

/** Two products with what follows them, a softmax, and a part on the host. */
function modelWith(activation: string) {
  return onnxModel({
    inputs: { x: "f32[40, 70]" },
    initializers: { w: weights[0]!, v: weights[1]! },
    nodes: [
      node("MatMul", ["x", "w"], ["h"], {}, "first"),
      node(activation, ["h"], ["a"], {}, "activation"),
      node("MatMul", ["a", "v"], ["s"], {}, "second"),
      node("Softmax", ["s"], ["y"], {}, "softmax"),
      node("NonZero", ["a"], ["places"], {}, "places"),
    ],
    outputs: { y: "f32[40, 33]", places: "i64[2, N]" },
  });
}

const weights = [numbers(70, 50), numbers(50, 33)];
const inputs = new Map([["x", numbers(40, 70)]]);
const good = modelWith("Relu");
const everything = evaluateModel(withAllOutputs(good), inputs);
const expected = new Map(["y", "places"].map((name) => [name, everything.get(name)!]));

function run(changed: Partial<BisectOptions> = {}) {
  return bisect({
    model: good,
    inputs,
    expected,
    intermediates: everything,
    rule: modelRule,
    machine: mini,
    machineHash: "",
    precision: "fp32",
    engine: createJitEngine(),
    ...changed,
  });
}

/** What the compiler makes of a stage, changed by `edit` where it is of that kind. */
function editing(edit: { [K in Stage["name"]]?: (stage: never) => unknown }) {
  return <S extends Stage>(stage: S): S => (edit[stage.name]?.(stage as never) ?? stage) as S;
}

test("nothing is wrong with what is right", async () => {
  const bisection = await run();
  expect(bisection).toEqual({
    checked: ["operator", "pass", "kernel", "program", "engine", "schedule"],
  });
  expect(printBisection(bisection)).toMatch("nothing is wrong");
  expect((await run({ precision: "bf16" })).finding).toBeUndefined();
});

test("nothing is wrong with an input that lies where a Concat makes it longer", async () => {
  const model = onnxModel({
    inputs: { past: "f32[1, 4, 3, 16]", x: "f32[1, 4, 1, 16]" },
    nodes: [
      node("Neg", ["x"], ["new"]),
      node("Concat", ["past", "new"], ["present"], { axis: 2 }),
      node("Sigmoid", ["present"], ["y"]),
    ],
    outputs: { present: "f32[1, 4, 4, 16]", y: "f32[1, 4, 4, 16]" },
  });
  const given = new Map([
    ["past", numbers(1, 4, 3, 16)],
    ["x", numbers(1, 4, 1, 16)],
  ]);
  const { finding } = await run({ model, inputs: given, expected: evaluateModel(model, given) });
  expect(finding).toBeUndefined();
});

describe("an operator", () => {
  test("is named if a host has the tensors between", async () => {
    const { finding, checked } = await run({ model: modelWith("LeakyRelu") });
    expect(checked).toEqual(["operator"]);
    expect(finding).toMatchObject({
      level: "operator",
      nodes: [{ node: "activation", operator: "LeakyRelu" }],
      difference: { tensor: "a", expected: 0 },
      excerpt: ["> a = LeakyRelu(h)"],
    });
  });

  test("is right on the host's tensors where it carries on a rounding, bodies and all", async () => {
    const body = (operator: string) => ({
      graph: graphProto({
        inputs: {},
        nodes: [node(operator, ["h"], ["r"])],
        outputs: { r: "f32[2]" },
      }),
    });
    const model = onnxModel({
      inputs: { x: "f32[2]", go: "bool[]" },
      nodes: [
        node("Neg", ["x"], ["h"], {}, "negated"),
        node(
          "If",
          ["go"],
          ["y"],
          { then_branch: body("Floor"), else_branch: body("Ceil") },
          "steps",
        ),
      ],
      outputs: { y: "f32[2]" },
    });
    const given = new Map([
      ["x", f32([2], [3, 1.5])],
      ["go", bool([], [true])],
    ]);
    const host = new Map([
      ["h", f32([2], [-3.00001, -1.5])],
      ["y", f32([2], [-4, -2])],
    ]);
    const { finding } = await run({ model, inputs: given, expected: host, intermediates: host });
    expect(finding).toMatchObject({ level: "operator", nodes: [{ node: "steps" }] });
    expect(finding!.notes.join()).toMatch("on the host's inputs it is right");
  });

  test("is the last possible one otherwise", async () => {
    const { intermediates: _, ...rest } = { intermediates: everything };
    const { finding } = await bisect({
      ...rest,
      model: modelWith("LeakyRelu"),
      inputs,
      expected,
      rule: modelRule,
      machine: mini,
      machineHash: "",
      precision: "fp32",
      engine: createJitEngine(),
    });
    expect(finding).toMatchObject({ level: "operator", nodes: [{ node: "softmax" }] });
    expect(finding!.notes.join()).toMatch("any node before");
  });
});

describe("a pass", () => {
  /** Replaces the Relu, as a pass that mistakes it might. */
  const negated = (stage: Extract<Stage, { kind: "graph" }>) => ({
    ...stage,
    graph: withNegation(stage.graph),
    changed: true,
  });

  test.each(["narrow-integers", "merge-scales", "split-reductions", "insert-copies"])(
    "%s",
    async (pass) => {
      const { finding, checked } = await run({ edit: editing({ [pass]: negated }) });
      expect(checked).toEqual(["operator", "pass"]);
      expect(finding).toMatchObject({
        level: "pass",
        pass,
        nodes: [{ node: "activation", operator: "Relu" }],
        difference: { tensor: "a" },
      });
      expect(finding!.excerpt.find((line) => line.startsWith(">"))).toMatch(
        "%a: f32[40, 50] = map",
      );
    },
  );
});

function withNegation(graph: Graph): Graph {
  const builder = laneProgramBuilder();
  const program = builder.finish([builder.l.neg(builder.source("input", 0, "f32"))]);
  const nodes = graph.nodes.map((n) =>
    n.outputs[0]!.name === "a" ? { ...n, op: { kind: "map" as const, program } } : n,
  );
  return { ...graph, nodes };
}

/** The first product adds up one position less than it should. */
function withoutLastPosition<B extends { readonly op: string }>(body: B): B {
  if (body.op !== "mma") return body;
  const mma = body as unknown as Extract<InstructionBody, { op: "mma" }>;
  const axes = mma.axes.map((axis) => {
    if (axis.role !== "k") return axis;
    const max = axis.count.max - 1;
    return { ...axis, count: { value: { constant: max, terms: [] }, max } };
  });
  return { ...body, axes };
}

describe("a kernel", () => {
  const edit = editing({
    tile: (stage: Extract<Stage, { kind: "tiled" }>) => {
      const steps = stage.tiled.steps.map((step) => {
        if (step.kind !== "launch" || !step.origins.some(({ node: n }) => n === "second"))
          return step;
        return { ...step, written: { ...step.written, kernel: wrongKernel(step.written.kernel) } };
      });
      return { ...stage, tiled: { ...stage.tiled, steps } };
    },
  });

  test("is named with its node and the statement that stores the wrong element", async () => {
    const { finding, checked } = await run({ edit });
    expect(checked).toEqual(["operator", "pass", "kernel"]);
    expect(finding).toMatchObject({ level: "kernel", pass: "tile", kernel: "matmul" });
    expect(finding!.nodes[0]).toEqual({ node: "second", operator: "MatMul" });
    expect(finding!.notes).toEqual([]);
    expect(finding!.instruction!.text).toMatch(/^st\.0 /);
    expect(finding!.excerpt.some((line) => line.startsWith("> "))).toBe(true);
    expect(printBisection({ checked, finding: finding! })).toMatch(
      /WRONG +kernel[\s\S]*the kernel matmul that tile wrote, instruction \d+\nONNX node: MatMul/,
    );
  });
});

describe("a fused kernel", () => {
  /** Of the nodes of a stage's launches, by name. */
  const spoiling = (isWrong: (nodes: ReadonlySet<string>) => boolean) =>
    editing({
      tile: (stage: Extract<Stage, { kind: "tiled" }>) => {
        const steps = stage.tiled.steps.map((step) => {
          if (step.kind !== "launch" || !isWrong(new Set(step.origins.map((o) => o.node))))
            return step;
          return {
            ...step,
            written: { ...step.written, kernel: wrongKernel(step.written.kernel) },
          };
        });
        return { ...stage, tiled: { ...stage.tiled, steps } };
      },
    });

  test("is narrowed to the node that is wrong without fusion too", async () => {
    const { finding } = await run({ edit: spoiling((nodes) => nodes.has("first")) });
    expect(finding!.nodes.map(({ node: n }) => n)).toEqual(["first", "activation"]);
    expect(finding!.notes.at(-1)).toBe('without fusion the kernel of MatMul "first" is wrong too');
  });

  test("may be wrong only because it is fused", async () => {
    const both = (nodes: ReadonlySet<string>) => nodes.has("first") && nodes.has("activation");
    const { finding } = await run({ edit: spoiling(both) });
    expect(finding).toMatchObject({ level: "kernel", kernel: "relu_matmul" });
    expect(finding!.notes.join()).toMatch("only the fused kernel is wrong");
  });
});

function wrongKernel(kernel: Kernel): Kernel {
  const change = (nodes: readonly KernelNode[]): KernelNode[] =>
    nodes.map((n) =>
      n.kind === "loop"
        ? { ...n, body: change(n.body) }
        : { ...n, body: withoutLastPosition(n.body) },
    );
  return { ...kernel, body: change(kernel.body) };
}

/** With every instruction of the first program that has an mma changed. */
function editPrograms(change: (body: InstructionBody) => InstructionBody) {
  const changeNodes = (nodes: readonly ProgramNode[]): ProgramNode[] =>
    nodes.map((n): ProgramNode => {
      if (n.kind === "loop") return { ...n, body: changeNodes(n.body) };
      if (n.kind === "barrier") return n;
      return { ...n, instruction: { ...n.instruction, body: change(n.instruction.body) } };
    });
  const changed = (program: Program, i: number): Program =>
    i === 0 ? { ...program, body: changeNodes(program.body) } : program;
  return editing({
    emit: (stage: Extract<Stage, { kind: "executable" }>) => ({
      ...stage,
      executable: { ...stage.executable, programs: stage.executable.programs.map(changed) },
    }),
  });
}

describe("a program", () => {
  test("is named with the instruction that first goes wrong, and where", async () => {
    const { finding, checked } = await run({ edit: editPrograms(withoutLastPosition) });
    expect(checked).toEqual(["operator", "pass", "kernel", "program"]);
    expect(finding).toMatchObject({ level: "program", pass: "emit" });
    expect(finding!.nodes[0]!.node).toBe("first");
    expect(finding!.instruction!.text).toMatch(/^mma /);
    expect(finding!.instruction!.at).toMatch("member 0, 0");
    expect(finding!.excerpt.find((line) => line.startsWith(">"))).toMatch("mma");
  });

  test("that the verifier refuses is told with what the reference simulator says", async () => {
    const { finding } = await run({
      edit: editPrograms((body) =>
        body.op === "load" ? { ...body, dest: { ...body.dest, publish: { kind: "never" } } } : body,
      ),
    });
    expect(finding).toMatchObject({ level: "program", pass: "emit" });
    expect(finding!.notes.join("\n")).toMatch("underfull");
  });
});

describe("an engine", () => {
  /** The JIT, after which one element of what the second program writes has its sign flipped. */
  function broken(): Engine {
    const jit = createJitEngine();
    let made = 0;
    return {
      ...jit,
      prepare(program) {
        const prepared = jit.prepare(program);
        if (made++ !== 1) return prepared;
        const written = program.bindings.findIndex(({ access }) => access === "write");
        return {
          run(launch) {
            const result = prepared.run(launch);
            const at = launch.bindings[written]!.offsetBytes + 4 * 7 + 3;
            deviceBytes(launch.memory)[at]! ^= 0x80;
            return result;
          },
        };
      },
    };
  }

  test("is named with the program that it runs wrong", async () => {
    const { finding, checked } = await run({ engine: broken() });
    expect(checked).toEqual(["operator", "pass", "kernel", "program", "engine"]);
    expect(finding).toMatchObject({ level: "engine", kernel: "matmul" });
    expect(finding!.difference!.count).toBe(1);
    expect(finding!.difference!.got).toBe(-(finding!.difference!.expected as number));
  });
});

describe("a schedule", () => {
  test("is to blame where all launches are right by themselves", async () => {
    const overlapping = (executable: Executable): Executable => {
      const constants = executable.buffers.filter(({ kind }) => kind === "constant");
      const [first, second] = constants as [Executable["buffers"][0], Executable["buffers"][0]];
      const buffers = executable.buffers.map((buffer) =>
        buffer === second ? { ...buffer, offsetBytes: first.offsetBytes } : buffer,
      );
      return { ...executable, buffers };
    };
    const { finding, checked } = await run({
      edit: editing({
        emit: (stage: Extract<Stage, { kind: "executable" }>) => ({
          ...stage,
          executable: overlapping(stage.executable),
        }),
      }),
    });
    expect(checked).toEqual(["operator", "pass", "kernel", "program", "engine", "schedule"]);
    expect(finding).toMatchObject({
      level: "schedule",
      difference: { tensor: expect.any(String) },
    });
  });
});

describe("in the body of a loop", () => {
  /** Halves until all are small; a branch in every trip. */
  const looping = onnxModel({
    inputs: { x: "f32[6, 70]" },
    initializers: {
      trips: { dtype: "i64", shape: [], data: BigInt64Array.of(5n) },
      half: f32([], [0.5]),
      one: f32([], [1]),
      w: numbers(70, 70),
    },
    nodes: [
      node(
        "Loop",
        ["trips", "", "x"],
        ["last"],
        {
          body: {
            graph: graphProto({
              inputs: { i: "i64[]", go: "bool[]", s: "f32[6, 70]" },
              nodes: [
                node("Mul", ["s", "half"], ["less"], {}, "halving"),
                node("ReduceMax", ["less"], ["most"], { keepdims: 0 }, "largest"),
                node("Greater", ["most", "one"], ["on"], {}, "compare"),
                node(
                  "If",
                  ["on"],
                  ["next"],
                  {
                    then_branch: {
                      graph: graphProto({
                        nodes: [node("Abs", ["less"], ["a"], {}, "positive")],
                        outputs: { a: "f32[6, 70]" },
                      }),
                    },
                    else_branch: {
                      graph: graphProto({
                        nodes: [node("MatMul", ["less", "w"], ["b"], {}, "inner")],
                        outputs: { b: "f32[6, 70]" },
                      }),
                    },
                  },
                  "choice",
                ),
              ],
              outputs: { on: "bool[]", next: "f32[6, 70]" },
            }),
          },
        },
        "loop",
      ),
      node("Neg", ["last"], ["y"], {}, "after"),
    ],
    outputs: { y: "f32[6, 70]" },
  });
  const given = new Map([["x", f32([6, 70], new Array<number>(420).fill(5))]]);
  const wanted = evaluateModel(looping, given);

  function inLoop(changed: Partial<BisectOptions>) {
    return bisect({
      model: looping,
      inputs: given,
      expected: wanted,
      rule: modelRule,
      machine: mini,
      machineHash: "",
      precision: "fp32",
      engine: createJitEngine(),
      ...changed,
    });
  }

  const within = ['trip 2 of Loop "loop"', 'the second branch of If "choice"'];

  test("nothing is wrong with what is right", async () => {
    expect((await inLoop({})).finding).toBeUndefined();
  });

  test("a kernel is named with its trip, its branch and its node", async () => {
    const spoil = (steps: readonly TiledStep[]): TiledStep[] =>
      steps.map((step) => {
        if (step.kind === "if" || step.kind === "loop") {
          return { ...step, bodies: step.bodies.map(spoil) };
        }
        if (step.kind !== "launch" || !step.origins.some((o) => o.node === "inner")) return step;
        return { ...step, written: { ...step.written, kernel: wrongKernel(step.written.kernel) } };
      });
    const edit = editing({
      tile: (stage: Extract<Stage, { kind: "tiled" }>) => ({
        ...stage,
        tiled: { ...stage.tiled, steps: spoil(stage.tiled.steps) },
      }),
    });
    const { finding, checked } = await inLoop({ edit });
    expect(finding).toMatchObject({ level: "kernel", kernel: "matmul", within });
    expect(finding!.nodes[0]).toEqual({ node: "inner", operator: "MatMul" });
    expect(printBisection({ checked, finding: finding! })).toMatch(
      'in trip 2 of Loop "loop"\nin the second branch of If "choice"\nONNX node: MatMul "inner"',
    );
  });

  test("a program is named with its trip, its branch and the instruction", async () => {
    const change = (nodes: readonly ProgramNode[]): ProgramNode[] =>
      nodes.map((n): ProgramNode => {
        if (n.kind === "loop") return { ...n, body: change(n.body) };
        if (n.kind === "barrier") return n;
        const body = withoutLastPosition(n.instruction.body);
        return { ...n, instruction: { ...n.instruction, body } };
      });
    const edit = editing({
      emit: (stage: Extract<Stage, { kind: "executable" }>) => {
        const { programs } = stage.executable;
        const changed = programs.map((program) => ({ ...program, body: change(program.body) }));
        return { ...stage, executable: { ...stage.executable, programs: changed } };
      },
    });
    const { finding } = await inLoop({ edit });
    expect(finding).toMatchObject({ level: "program", pass: "emit", within });
    expect(finding!.instruction!.text).toMatch(/^mma /);
  });

  test("an engine is named with the first trip that it runs wrong", async () => {
    const jit = createJitEngine();
    let runs = 0;
    const engine: Engine = {
      ...jit,
      prepare(program) {
        const prepared = jit.prepare(program);
        if (!program.name.startsWith("mul")) return prepared;
        const written = program.bindings.findIndex(({ access }) => access === "write");
        return {
          run(launch) {
            const result = prepared.run(launch);
            const at = launch.bindings[written]!.offsetBytes + 3;
            if (++runs === 2) deviceBytes(launch.memory)[at]! ^= 0x80;
            return result;
          },
        };
      },
    };
    const { finding } = await inLoop({ engine });
    expect(finding).toMatchObject({ level: "engine", within: ['trip 1 of Loop "loop"'] });
    expect(finding!.nodes[0]!.node).toBe("halving");
  });
});

describe("a model whose shapes depend on data", () => {
  const given = new Map([
    ["x", numbers(50, 80)],
    ["least", f32([], [0])],
  ]);
  const model = onnxModel(chosenTwice);
  const all = evaluateModel(withAllOutputs(model), given);
  const wanted = new Map(["y", "a"].map((name) => [name, all.get(name)!]));
  const search = (changed: Partial<BisectOptions>) =>
    run({ model, inputs: given, expected: wanted, intermediates: all, ...changed });

  test("is looked at part after part", async () => {
    expect(await search({})).toEqual({
      checked: ["operator", "pass", "kernel", "program", "engine", "schedule"],
    });
  });

  test("has its fault found in a later part", async () => {
    const nodes = chosenTwice.nodes.map((one) =>
      one.output?.[0] === "a" ? node("LeakyRelu", ["h"], ["a"]) : one,
    );
    const { finding } = await search({ model: onnxModel({ ...chosenTwice, nodes }) });
    expect(finding).toMatchObject({
      level: "operator",
      nodes: [{ node: "a", operator: "LeakyRelu" }],
      difference: { tensor: "a" },
    });
  });
});
