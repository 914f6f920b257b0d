/**
 * Every diagnostic code, its meaning and what to do about it: the source of `docs/errors.md`.
 * L01 files and import, L02 shapes and types, L03 support and partition, L04 fitting the machine,
 * L05 programs and executables, L06 sessions and inputs, L07 machines, L09 usage of the command line.
 */
export interface CodeRow {
  readonly title: string;
  readonly explain: string;
  /** True where the command line was used wrongly: exit code 2. */
  readonly usage?: true;
}

export const diagnosticCodes = {
  L0101: {
    title: "file cannot be read",
    explain: "The file does not exist, is a directory, or may not be read. Check the path.",
    usage: true,
  },
  L0102: {
    title: "not an ONNX model",
    explain:
      "The file does not decode as an ONNX ModelProto, or it ends too early. Download or export it again.",
  },
  L0103: {
    title: "unknown operator",
    explain:
      "The operator does not exist in the domain and opset that the model imports, or its domain is not known.",
  },
  L0104: {
    title: "unsupported opset",
    explain: "The model imports an opset version outside the supported range. Convert the model.",
  },
  L0105: {
    title: "invalid graph",
    explain:
      "The graph breaks a rule of the format: a cycle, a name used before it is defined, a name defined twice.",
  },
  L0106: {
    title: "external data",
    explain:
      "External tensor data is missing, outside the model's folder, or its range lies outside the file.",
  },
  L0107: {
    title: "invalid tensor",
    explain: "A tensor's data does not match its shape or data type.",
  },
  L0108: {
    title: "invalid attribute",
    explain:
      "An attribute is missing, of the wrong type, or has a value the operator does not allow.",
  },
  L0109: {
    title: "text form does not parse",
    explain: "The text of a graph, kernel or program is not well-formed.",
  },
  L0201: {
    title: "shapes do not match",
    explain: "The shapes of an operator's inputs break its shape rule.",
  },
  L0202: {
    title: "types do not match",
    explain: "The data types of an operator's inputs break its rules.",
  },
  L0203: {
    title: "unbound dimension",
    explain:
      "A symbolic dimension has no value where one is needed. Give it one, for example --dim N=1.",
  },
  L0204: {
    title: "unknown dimension",
    explain: "No input of the model has a symbolic dimension of that name.",
    usage: true,
  },
  L0301: {
    title: "unsupported",
    explain: "The operator, data type or form has neither a lowering nor a reference evaluation.",
  },
  L0401: {
    title: "does not fit the machine",
    explain: "A tile, a buffer or the whole model needs more memory than the machine has.",
  },
  L0402: {
    title: "too large to simulate",
    explain:
      "The simulated device's memory, or a tensor that the host computes, exceeds what this process can address.",
  },
  L0501: {
    title: "program rejected",
    explain: "The verifier found an instruction that could break a rule of the machine.",
  },
  L0502: {
    title: "corrupt executable",
    explain: "The file is no Lightloom executable, is damaged, or was made by another version.",
  },
  L0503: { title: "assembly error", explain: "A line of assembly text is not well-formed." },
  L0504: {
    title: "undefined behaviour",
    explain:
      "The reference simulator met an access or value that the instruction set does not define.",
  },
  L0601: {
    title: "unknown input or output",
    explain: "The name is not an input or output of the model.",
    usage: true,
  },
  L0602: {
    title: "wrong input",
    explain:
      "An input has the wrong data type, shape or values, or a file's format has no form for a value.",
    usage: true,
  },
  L0603: {
    title: "missing input",
    explain: "An input that the model needs was not given.",
    usage: true,
  },
  L0604: {
    title: "device fault",
    explain: "The device reported a fault while running, such as an index out of range.",
  },
  L0605: {
    title: "session released",
    explain: "The session was used after release(). Create another one.",
  },
  L0606: {
    title: "recorded outputs in dispute",
    explain:
      "The recorded outputs of a test are not what the model computes: ONNX Runtime gives what lightloom gives.",
  },
  L0607: {
    title: "thread lost",
    explain:
      "A worker thread of the simulator ended while the model ran, for example for want of memory.",
  },
  L0608: {
    title: "wrong session option",
    explain: "An option of the session has a value that it cannot have.",
    usage: true,
  },
  L0701: {
    title: "unknown machine",
    explain: "No machine has that name. `lightloom machines` lists them.",
    usage: true,
  },
  L0702: {
    title: "inconsistent machine",
    explain: "The machine description contradicts itself or lacks a field.",
  },
  L0901: {
    title: "wrong usage",
    explain: "The command line was used wrongly. See --help.",
    usage: true,
  },
} satisfies Record<string, CodeRow>;

export type DiagnosticCode = keyof typeof diagnosticCodes;
