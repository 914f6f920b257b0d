/**
 * What holds for the repository as a whole and no compiler checks: which folder may import which, that codes,
 * passes, pages and links are what they say, that sources know nothing of the data they are tested on.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { borderPasses, graphPasses, stageNames } from "../src/compiler/pipeline.js";
import { diagnosticCodes } from "../src/support/codes.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const ignored = new Set(["node_modules", "dist", ".git", "coverage"]);

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (ignored.has(entry.name) || entry.name.startsWith(".tmp")) return [];
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Paths of the files it imports, and the packages. */
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

const sources = filesUnder("src")
  .filter((path) => path.endsWith(".ts"))
  .map((path): SourceFile => {
    const text = textOf(path);
    const named = [
      ...text.matchAll(/^(?:import\b[^"\n]*|export [^"\n]*\bfrom |\} from )"([^"]+)";$/gm),
    ];
    const dynamic = [...text.matchAll(/\bimport\("([^"]+)"\)/g)];
    const all = [...named, ...dynamic].map((match) => match[1]!);
    const local = all.filter((name) => name.startsWith("."));
    return {
      path: path.split(sep).join("/"),
      text,
      imports: local.map((name) =>
        normalize(join(dirname(path), name))
          .split(sep)
          .join("/")
          .replace(/\.js$/, ".ts"),
      ),
      packages: all.filter((name) => !name.startsWith(".")),
    };
  });

/** The parts of src/, each with those that it may import besides itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = (() => {
  const support = ["support"];
  const numerics = [...support, "numerics"];
  const onnx = numerics;
  const ir = numerics;
  const target = numerics;
  const isa = [...numerics, "ir", "target"];
  const ops = [...numerics, "onnx", "ir", "target"];
  const sim = [...isa, "isa"];
  const compiler = [...ops, "isa", "ops"];
  const runtime = [...compiler, "compiler", "sim"];
  const analysis = [...runtime, "runtime"];
  const explore = [...analysis, "analysis"];
  const cli = [...explore, "explore"];
  return {
    support: [],
    numerics: support,
    onnx,
    ir,
    target,
    isa,
    ops,
    sim,
    compiler,
    runtime,
    analysis,
    explore,
    cli,
  };
})();

const partOf = (path: string): string => path.split("/")[1]!;

describe("imports", () => {
  it("were found", () => {
    expect(sources.length).toBeGreaterThan(200);
    expect(sources.flatMap(({ imports }) => imports).length).toBeGreaterThan(1000);
    expect(
      sources.flatMap(({ imports }) => imports).filter((path) => !existsSync(join(root, path))),
    ).toEqual([]);
  });

  it("go one way", () => {
    const wrong = sources
      .filter(({ path }) => path !== "src/index.ts")
      .flatMap(({ path, imports }) =>
        imports
          .filter(
            (to) => partOf(to) !== partOf(path) && !mayImport[partOf(path)]!.includes(partOf(to)),
          )
          .map((to) => `${path} -> ${to}`),
      );
    expect(wrong).toEqual([]);
  });

  it("never go from one phase of the compiler to another", () => {
    const phase = (path: string): string | undefined =>
      /^src\/compiler\/(\d-\w+)\//.exec(path)?.[1];
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(
          (to) => phase(path) !== undefined && phase(to) !== undefined && phase(to) !== phase(path),
        )
        .map((to) => `${path} -> ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  it("keep graphs out of the simulators", () => {
    const wrong = sources
      .filter(({ path }) => path.startsWith("src/sim/"))
      .flatMap(({ path, imports }) =>
        imports
          .filter((to) =>
            /^src\/ir\/(graph|builder|verify|(build|evaluate|ranges|text)\/)/.test(to),
          )
          .map((to) => `${path} -> ${to}`),
      );
    expect(wrong.filter((line) => !importsTypesOrTables(line))).toEqual([]);
  });

  it("name built-ins of Node only where the outside is touched", () => {
    const wrong = sources.filter(
      ({ path, packages }) =>
        packages.some((name) => name.startsWith("node:")) &&
        !/^src\/(cli|runtime\/node)\//.test(path),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it("name packages that package.json depends on", () => {
    const { dependencies } = JSON.parse(textOf("package.json")) as {
      dependencies: Record<string, string>;
    };
    const packageOf = (name: string): string =>
      name
        .split("/")
        .slice(0, name.startsWith("@") ? 2 : 1)
        .join("/");
    const used = new Set(
      sources.flatMap(({ packages }) =>
        packages.filter((n) => !n.startsWith("node:")).map(packageOf),
      ),
    );
    expect([...used].filter((name) => !(name in dependencies))).toEqual([]);
    const peers = [...used].flatMap((name) => {
      const { peerDependencies = {} } = JSON.parse(textOf(`node_modules/${name}/package.json`)) as {
        peerDependencies?: Record<string, string>;
      };
      return Object.keys(peerDependencies);
    });
    const needed = new Set([...used, ...peers]);
    expect(Object.keys(dependencies).filter((name) => !needed.has(name))).toEqual([]);
  });

  it("pass no barrel but the package entry, which nobody inside imports", () => {
    expect(
      sources.filter(({ imports }) => imports.includes("src/index.ts")).map(({ path }) => path),
    ).toEqual([]);
    const barrels = sources.filter(({ text }) => /^export (\*|(type )?\{[^}]*\}) from/m.test(text));
    expect(barrels.map(({ path }) => path)).toEqual(["src/index.ts"]);
  });
});

/** Constants that the numbers are defined by (blocks, partials) stand in graph.ts; they are no graph. */
function importsTypesOrTables(line: string): boolean {
  return line.endsWith("-> src/ir/graph.ts");
}

describe("sources", () => {
  it("begin with a comment that says what they are", () => {
    const bare = sources.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  it("have named exports only, no enums and no namespaces", () => {
    const wrong = sources.filter(({ text }) =>
      /^export default|^(export )?(const )?enum |^(export )?namespace /m.test(text),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it("export no function or constant that no other file names", () => {
    const scripts = ["test", "scripts", "bench"].flatMap((folder) => filesUnder(folder));
    const others = scripts.filter((path) => /\.m?ts$/.test(path));
    const users = new Map<string, number>();
    for (const text of [...sources.map((file) => file.text), ...others.map(textOf)]) {
      const code = text.replaceAll(/\/\/.*|\/\*[\s\S]*?\*\//g, "");
      for (const word of new Set(code.match(/\w+/g))) users.set(word, (users.get(word) ?? 0) + 1);
    }
    const exported = /^export (?:async )?(?:function\*?|const|class) (\w+)/gm;
    const alone = sources.flatMap(({ path, text }) =>
      [...text.matchAll(exported)].flatMap(([, name]) =>
        users.get(name!)! > 1 ? [] : [`${path}: ${name}`],
      ),
    );
    expect(alone).toEqual([]);
  });

  it("use every diagnostic code, and only codes of the table", () => {
    const rest = sources
      .filter(({ path }) => path !== "src/support/codes.ts")
      .map(({ text }) => text)
      .join("\n");
    const used = new Set([...rest.matchAll(/"(L\d{4})"/g)].map((match) => match[1]!));
    const known = Object.keys(diagnosticCodes);
    expect(known.filter((code) => !used.has(code))).toEqual([]);
    expect([...used].filter((code) => !known.includes(code))).toEqual([]);
  });

  it("read no clock and throw no dice outside of runtime/node, cli and bench", () => {
    const wrong = sources.filter(
      ({ path, text }) =>
        !/^src\/(cli|runtime\/(node|browser))\//.test(path) &&
        /\b(Date\.now|new Date|Math\.random|performance\.now)\b/.test(text),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it("know nothing of the models and cases that they are tested on", () => {
    const names = /\b(resnet\d+|mobilenet|squeezenet|gpt-?2|bert|whisper|yolov\d)\b/i;
    const wrong = sources.filter(
      ({ path, text }) => path !== "src/cli/example.ts" && names.test(text),
    );
    expect(wrong.map(({ path, text }) => `${path}: ${names.exec(text)![0]}`)).toEqual([]);
  });
});

describe("passes", () => {
  it("each have a file of their name and golden cases", () => {
    for (const { name } of graphPasses) {
      expect(existsSync(join(root, `src/compiler/2-optimize/${name}.ts`)), name).toBe(true);
    }
    for (const { name } of borderPasses) {
      expect(existsSync(join(root, `src/compiler/3-partition/${name}.ts`)), name).toBe(true);
    }
    const golden = (name: string): number => {
      const path = join(root, "test/golden", name);
      return existsSync(path) ? readdirSync(path).length : 0;
    };
    const few = stageNames.filter((name) => name !== "import" && golden(name) < 2);
    expect(few).toEqual([]);
  });
});

describe("documents", () => {
  const pages = [...filesUnder("."), ...filesUnder("docs")].filter(
    (path, i, all) => path.endsWith(".md") && all.indexOf(path) === i,
  );

  it("link to what exists", () => {
    const broken = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
        .map((match) => match[1]!)
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => !existsSync(join(root, dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it("name paths that exist", () => {
    const paths = /`((?:src|test|docs|bench|scripts|examples)\/[\w./*<>{},-]*)`/g;
    const broken = pages.flatMap((page) =>
      [...textOf(page).matchAll(paths)]
        .map((match) => match[1]!)
        .filter((path) => !/[*<>{}]/.test(path) && !existsSync(join(root, path)))
        .map((path) => `${page}: ${path}`),
    );
    expect(broken).toEqual([]);
  });

  it("that derive from tables are up to date", () => {
    const script = ["--import", "tsx", "scripts/generate-docs.ts", "--check"];
    expect(execFileSync(process.execPath, script, { cwd: root, encoding: "utf8" })).toBe("");
  });

  it("give the number of operators that the table has", () => {
    const [, count] = /^(\d+) operators in /m.exec(textOf("docs/operators.md"))!;
    expect(textOf("README.md")).toContain(`[${count} operators](docs/operators.md)`);
  });

  it("give a reason for every dependency", () => {
    const { dependencies, devDependencies } = JSON.parse(textOf("package.json")) as Record<
      string,
      Record<string, string>
    >;
    const reasons = textOf("docs/dependencies.md");
    const names = Object.keys({ ...dependencies, ...devDependencies });
    expect(names.filter((name) => !reasons.includes(`\`${name}\``))).toEqual([]);
  });
});

it("every test file belongs to a project of the runner", () => {
  const tests = filesUnder("test").map((path) => relative("test", path));
  expect(tests.filter((path) => path.endsWith(".spec.ts"))).toEqual([]);
});
