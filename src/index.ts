/**
 * The public API, and the only barrel: nothing inside imports it. Sessions have the shape of ONNX Runtime's
 * JavaScript API; the compiler and its parts are there for tools.
 */
export { Tensor } from "onnxruntime-common";
export { InferenceSession } from "./runtime/inference-session.js";
export type { SessionOptions } from "./runtime/session-options.js";
export type { RanOn, RunnerStats } from "./runtime/model-runner.js";
export type { Feed, SessionMap, SessionValue, TensorLike } from "./runtime/ort-tensors.js";
export type { DimRange } from "./compiler/1-import/symbols.js";

export { decodeModel, type Model } from "./onnx/model.js";
export type { ExternalData } from "./onnx/external.js";
export { compileModel, type CompileOptions, type Stage } from "./compiler/compile.js";
export { graphPasses, type Precision, stageNames } from "./compiler/pipeline.js";
export type { DecisionRecord, Executable } from "./isa/executable.js";
export { readExecutable, writeExecutable } from "./runtime/executable-file.js";
export { assemble } from "./isa/assemble.js";
export { disassemble } from "./isa/disassemble.js";
export { verifyProgram } from "./isa/verify.js";
export type { Program } from "./isa/program.js";
export { printGraph } from "./ir/text/print.js";
export { parseGraph } from "./ir/text/parse.js";
export type { Graph } from "./ir/graph.js";
export { printKernel } from "./isa/kernel-text.js";

export { createSimulatedDevice, type Device } from "./runtime/device.js";
export { type LoadedExecutable, loadExecutable } from "./runtime/walk.js";
export { createModelRunner, type ModelRunner } from "./runtime/model-runner.js";
export { machineHash } from "./target/machine-hash.js";
export { createJitEngine } from "./sim/jit/jit.js";
export { createReferenceEngine } from "./sim/reference/reference.js";
export type { Engine } from "./sim/engine.js";

export { findDevice, findMachine, machines } from "./target/machines.js";
export { parseMachine } from "./target/schema.js";
export { validateMachine } from "./target/validate.js";
export type { DeviceMachine, Machine } from "./target/machine.js";

export {
  type Diagnostic,
  DiagnosticError,
  formatDiagnostic,
  InternalError,
} from "./support/diagnostic.js";
export { type DiagnosticCode, diagnosticCodes } from "./support/codes.js";
