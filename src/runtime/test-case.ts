/**
 * Test directories in ONNX's form: `model.onnx` beside `test_data_set_<k>/{input,output}_<i>.pb`. Finding them
 * among files and reading them; running them is the caller's.
 */
import { dtypeFromOnnx } from "../onnx/dtypes.js";
import type { ExternalData } from "../onnx/external.js";
import { decodeModel, type Model } from "../onnx/model.js";
import type { TypeProto, ValueInfoProto } from "../onnx/schema.js";
import { isTensor } from "../ops/context.js";
import { decodeHostValue } from "../ops/host-value.js";
import type { HostValue } from "../ops/record.js";
import { fail } from "../support/diagnostic.js";
import type { FileSource } from "./files.js";

/** What is known of a test before anything is read. */
export interface TestCase {
  /** Path of the folder, "" for the source's root. */
  readonly path: string;
  readonly modelPath: string;
  readonly sets: readonly TestFiles[];
}

export interface TestFiles {
  readonly path: string;
  /** By index; a number that is left out leaves a hole. */
  readonly inputs: readonly (string | undefined)[];
  readonly outputs: readonly (string | undefined)[];
}

export interface TestSet {
  readonly inputs: ReadonlyMap<string, HostValue>;
  readonly outputs: ReadonlyMap<string, HostValue>;
}

/** In the order of their paths. */
export function findTestCases(source: FileSource): readonly TestCase[] {
  const folders = new Map<string, Map<string, TestFilesDraft>>();
  const models = new Map<string, string>();
  for (const path of source.paths) {
    const { folder, name } = splitPath(path);
    if (name.endsWith(".onnx")) {
      if (name === "model.onnx" || !models.has(folder)) models.set(folder, path);
      continue;
    }
    const set = splitPath(folder);
    if (!set.name.startsWith("test_data_set_")) continue;
    const sets = folders.get(set.folder) ?? new Map<string, TestFilesDraft>();
    addTestFile(sets, folder, path, name);
    if (sets.size > 0) folders.set(set.folder, sets);
  }
  return [...models]
    .map(([path, modelPath]) => ({
      path,
      modelPath,
      sets: [...(folders.get(path)?.values() ?? [])].sort((a, b) => comparePaths(a.path, b.path)),
    }))
    .filter((test) => test.sets.length > 0)
    .sort((a, b) => comparePaths(a.path, b.path));
}

/** The data sets of a folder, which may be one itself, whatever model they are for. */
export function findTestSets(source: FileSource): readonly TestFiles[] {
  const sets = new Map<string, TestFilesDraft>();
  for (const path of source.paths) {
    const { folder, name } = splitPath(path);
    const isSet = folder === "" || /^test_data_set_\d+$/.test(folder);
    if (isSet) addTestFile(sets, folder, path, name);
  }
  return [...sets.values()].sort((a, b) => comparePaths(a.path, b.path));
}

/** The model of a test, with external data read from beside it. */
export function readTestModel(source: FileSource, test: TestCase): Model {
  return decodeModel(source.read(test.modelPath), { file: test.modelPath });
}

/** Tensors are matched by their name, or by position where the model has no such name. */
export function readTestSet(source: FileSource, model: Model, files: TestFiles): TestSet {
  const initializers = new Set(model.graph.initializer.map((tensor) => tensor.name));
  const inputs = model.graph.input.filter((input) => !initializers.has(input.name));
  return {
    inputs: readValues(source, files.inputs, { all: model.graph.input, byPosition: inputs }),
    outputs: readValues(source, files.outputs, {
      all: model.graph.output,
      byPosition: model.graph.output,
    }),
  };
}

/** External tensors among the files of a source, relative to the model's folder. */
export function externalDataOf(source: FileSource, modelPath: string): ExternalData {
  const { folder } = splitPath(modelPath);
  return {
    read(location, offset, length) {
      const bytes = source.read(folder === "" ? location : `${folder}/${location}`);
      const end = length === undefined ? bytes.length : offset + length;
      if (end <= bytes.length && offset <= end) return bytes.subarray(offset, end);
      return fail("L0106", `bytes ${offset} to ${end} lie outside the external data file`, {
        place: { file: location },
      });
    },
  };
}

interface TestFilesDraft {
  readonly path: string;
  readonly inputs: string[];
  readonly outputs: string[];
}

/** Adds the file to the set of its folder if it is one of a test set. */
function addTestFile(
  sets: Map<string, TestFilesDraft>,
  folder: string,
  path: string,
  name: string,
): void {
  const match = /^(input|output)_(\d+)\.pb$/.exec(name);
  if (match === null) return;
  const files = sets.get(folder) ?? { path: folder, inputs: [], outputs: [] };
  sets.set(folder, files);
  files[match[1] === "input" ? "inputs" : "outputs"][Number(match[2])] = path;
}

interface Slots {
  readonly all: readonly ValueInfoProto[];
  readonly byPosition: readonly ValueInfoProto[];
}

function readValues(
  source: FileSource,
  paths: readonly (string | undefined)[],
  { all, byPosition }: Slots,
): ReadonlyMap<string, HostValue> {
  const values = new Map<string, HostValue>();
  const byName = new Map(all.map((info) => [info.name ?? "", info]));
  paths.forEach((path, index) => {
    if (path === undefined) return;
    const positional = byPosition[index];
    const { name, value } = decodeHostValue(source.read(path), positional?.type, path);
    const slot = (name === "" ? undefined : byName.get(name)) ?? positional;
    if (slot === undefined) {
      fail("L0601", `the model has nothing that tensor "${name}" is for`, {
        place: { file: path },
      });
    }
    values.set(slot.name ?? "", withDeclaredType(value, slot.type));
  });
  return values;
}

/** NumPy has no bf16: ONNX's own test data has had its bits as uint16 until release 1.19. */
function withDeclaredType(value: HostValue, type: TypeProto | undefined): HostValue {
  const declared = dtypeFromOnnx(type?.tensorType?.elemType ?? 0);
  if (!isTensor(value) || value.dtype !== "u16" || declared !== "bf16") return value;
  return { ...value, dtype: "bf16" };
}

function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const at = path.lastIndexOf("/");
  return { folder: at < 0 ? "" : path.slice(0, at), name: path.slice(at + 1) };
}

/** Numbers in names count as numbers: set 2 comes before set 10. */
function comparePaths(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
