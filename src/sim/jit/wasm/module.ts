/**
 * Assembles functions into a WebAssembly module. All modules of the JIT import one memory as "m"."m" and functions
 * of other modules as "f"."<name>". A module's functions call imports or one another, not both: the numbers of the
 * own ones come after those of all imports, which are not known before the end.
 */
import { InternalError } from "../../../support/diagnostic.js";
import { ByteWriter } from "./bytes.js";
import { type Callee, FunctionBuilder, typeCodes } from "./function.js";
import type { ValueType } from "./opcodes.js";

/** What 32-bit addresses reach. */
const pagesMax = 65_536;

export class ModuleBuilder {
  readonly #isShared: boolean;
  readonly #types = new Map<string, number>();
  readonly #typeList: Signature[] = [];
  readonly #imports = new Map<string, { readonly index: number; readonly type: number }>();
  readonly #functions: { type: number; body: FunctionBuilder; exported: string | undefined }[] = [];

  /** `isShared`: of the memory that is imported. */
  constructor(isShared = false) {
    this.#isShared = isShared;
  }

  /** The import of that name, declared when it is first asked for. */
  import(name: string, params: readonly ValueType[], results: readonly ValueType[]): Callee {
    let known = this.#imports.get(name);
    if (known === undefined) {
      known = { index: this.#imports.size, type: this.#type({ params, results }) };
      this.#imports.set(name, known);
    }
    return { index: known.index };
  }

  /** Adds a function; `write` fills its body now. What is returned may be called if nothing is imported. */
  add(
    signature: Signature & { readonly exported?: string },
    write: (f: FunctionBuilder) => void,
  ): Callee {
    const { params, results } = signature;
    const body = new FunctionBuilder(params, results);
    write(body);
    this.#functions.push({ type: this.#type(signature), body, exported: signature.exported });
    return { index: this.#functions.length - 1, isOwn: true };
  }

  encode(): Uint8Array<ArrayBuffer> {
    if (this.#imports.size > 0 && this.#functions.some(({ body }) => body.callsOwn)) {
      throw new InternalError("a module both imports functions and calls its own");
    }
    const out = new ByteWriter(4096);
    out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, this.#typeList, (into, { params, results }) => {
      into.byte(0x60);
      into.unsigned(params.length);
      for (const type of params) into.byte(typeCodes[type]);
      into.unsigned(results.length);
      for (const type of results) into.byte(typeCodes[type]);
    });
    const memory = { name: "", type: -1 };
    const imports = [...this.#imports].map(([name, { type }]) => ({ name, type }));
    section(out, 2, [memory, ...imports], (into, { name, type }) => {
      into.name(type < 0 ? "m" : "f");
      into.name(type < 0 ? "m" : name);
      if (type >= 0) {
        into.byte(0);
        into.unsigned(type);
      } else if (this.#isShared) {
        into.bytes([2, 3, 0]);
        into.unsigned(pagesMax);
      } else into.bytes([2, 0, 0]);
    });
    section(out, 3, this.#functions, (into, { type }) => into.unsigned(type));
    const exports = this.#functions.flatMap(({ exported }, i) =>
      exported === undefined ? [] : [{ name: exported, index: imports.length + i }],
    );
    section(out, 7, exports, (into, { name, index }) => {
      into.name(name);
      into.byte(0);
      into.unsigned(index);
    });
    section(out, 10, this.#functions, (into, { body }) => body.encode(into));
    return out.toBytes().slice();
  }

  #type(signature: Signature): number {
    const key = `${signature.params.join()}>${signature.results.join()}`;
    const known = this.#types.get(key);
    if (known !== undefined) return known;
    this.#types.set(key, this.#typeList.length);
    return this.#typeList.push({ params: signature.params, results: signature.results }) - 1;
  }
}

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

function section<T>(
  out: ByteWriter,
  id: number,
  items: readonly T[],
  write: (into: ByteWriter, item: T) => void,
): void {
  const body = new ByteWriter(512);
  body.unsigned(items.length);
  for (const item of items) write(body, item);
  out.byte(id);
  out.unsigned(body.length);
  out.append(body);
}
