/** LSTM, GRU and RNN against ONNX Runtime: directions, activations, lengths, peepholes, resets. */
import { describe, test } from "vitest";
import type { AttributeInit } from "../support/onnx-builder.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const time = 5;
const batch = 3;
const inputs = 4;
const hidden = 6;

type Extra = "bias" | "lengths" | "state" | "peepholes";

interface Layer {
  readonly op: "LSTM" | "GRU" | "RNN";
  readonly about: string;
  readonly attributes?: Readonly<Record<string, AttributeInit>>;
  readonly given?: readonly Extra[];
  readonly steps?: number;
}

const gates = { LSTM: 4, GRU: 3, RNN: 1 };

function layer({ op, about, attributes = {}, given = [], steps = time }: Layer): OperatorCase {
  const directions = attributes.direction === "bidirectional" ? 2 : 1;
  const rows = gates[op] * hidden;
  const state = (seed: number) => numbers("f32", [directions, batch, hidden], [-1, 1], seed);
  const all: Readonly<Record<Extra, () => OperatorCase["inputs"][number]>> = {
    bias: () => numbers("f32", [directions, 2 * rows], [-1, 1], 4),
    lengths: () => tensorOf("i32", [batch], [steps, 2, 1]),
    state: () => state(5),
    peepholes: () => numbers("f32", [directions, 3 * hidden], [-1, 1], 7),
  };
  const get = (extra: Extra) => (given.includes(extra) ? all[extra]() : undefined);
  const optional = [get("bias"), get("lengths"), get("state")];
  if (op === "LSTM")
    optional.push(given.includes("state") ? state(6) : undefined, get("peepholes"));
  while (optional.length > 0 && optional.at(-1) === undefined) optional.pop();
  return {
    op,
    about,
    attributes: { hidden_size: hidden, ...attributes },
    inputs: [
      numbers("f32", [steps, batch, inputs], [-2, 2]),
      numbers("f32", [directions, rows, inputs], [-1, 1], 2),
      numbers("f32", [directions, rows, hidden], [-1, 1], 3),
      ...optional,
    ],
    outputs: op === "LSTM" ? ["f32", "f32", "f32"] : ["f32", "f32"],
    tolerance: 2e-5,
    lowered: true,
  };
}

const everything: readonly Extra[] = ["bias", "lengths", "state"];

const common = (["LSTM", "GRU", "RNN"] as const).flatMap((op): Layer[] => [
  { op, about: "plain" },
  { op, about: "bias and state", given: ["bias", "state"] },
  { op, about: "reverse", attributes: { direction: "reverse" }, given: ["bias"] },
  { op, about: "both directions", attributes: { direction: "bidirectional" }, given: everything },
  { op, about: "lengths", given: ["lengths"] },
  { op, about: "lengths in reverse", attributes: { direction: "reverse" }, given: everything },
  { op, about: "clip", attributes: { clip: { float: 0.5 } }, given: ["bias"] },
  { op, about: "many steps", steps: 70, given: ["bias"] },
]);

const own: readonly Layer[] = [
  { op: "LSTM", about: "peepholes", given: ["bias", "state", "peepholes"] },
  {
    op: "LSTM",
    about: "coupled gates",
    attributes: { input_forget: 1 },
    given: ["bias", "peepholes"],
  },
  {
    op: "LSTM",
    about: "activations",
    attributes: {
      activations: ["HardSigmoid", "ScaledTanh", "Softsign"],
      activation_alpha: { floats: [0.3, 0.9] },
      activation_beta: { floats: [0.4, 0.7] },
    },
  },
  { op: "GRU", about: "linear before reset", attributes: { linear_before_reset: 1 } },
  {
    op: "GRU",
    about: "linear before reset, bias",
    attributes: { linear_before_reset: 1, direction: "bidirectional" },
    given: everything,
  },
  {
    op: "GRU",
    about: "activations",
    attributes: { activations: ["Sigmoid", "Relu"] },
    given: ["bias"],
  },
  {
    op: "RNN",
    about: "activations of both directions",
    attributes: {
      direction: "bidirectional",
      activations: ["Affine", "LeakyRelu"],
      activation_alpha: { floats: [0.6, 0.2] },
      activation_beta: { floats: [0.1] },
    },
    given: ["bias"],
  },
  { op: "RNN", about: "elu", attributes: { activations: ["Elu"] } },
];

describe("recurrent layers", () => {
  const open: OperatorCase = {
    ...layer({ op: "LSTM", about: "an open number of steps, on the host", given: everything }),
    open: ["T", batch, inputs],
    lowered: false,
  };
  const cases = [...[...common, ...own].map(layer), open];
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});
