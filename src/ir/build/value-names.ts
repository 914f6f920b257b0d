/** The names of a graph's values, each once: a name of the model wins over one of ours. */
import { fail } from "../../support/diagnostic.js";
import type { Value } from "../graph.js";

/** Values are renamed until the graph is finished. */
export type Draft = { -readonly [K in keyof Value]: Value[K] };

export class ValueNames {
  readonly #prefix: string;
  readonly #holders = new Map<string, Draft>();
  /** Values whose name is ours, not the model's. */
  readonly #ours = new Set<Value>();
  #counter = 0;

  /** `prefix` is what our own names begin with. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Without a name the value gets one of ours. */
  give(value: Draft, name: string | undefined): void {
    if (name !== undefined && name !== "") return this.#take(value, name);
    this.#number(value);
    this.#ours.add(value);
  }

  /** The model's name instead of ours; the first stays. */
  rename(value: Value, name: string): void {
    if (!this.#ours.has(value) || value.data !== undefined || name === "") return;
    this.#holders.delete(value.name);
    this.#take(value, name);
    this.#ours.delete(value);
  }

  /** What is made of a constant is named after it: the name, with a number where it is taken. */
  free(name: string): string {
    let free = name;
    for (let i = 1; this.#holders.has(free); i++) free = `${name}.${i}`;
    return free;
  }

  #take(value: Draft, name: string): void {
    const holder = this.#holders.get(name);
    if (holder !== undefined && holder !== value) {
      if (!this.#ours.has(holder)) fail("L0105", `the name "${name}" is defined twice`);
      this.#number(holder);
    }
    value.name = name;
    this.#holders.set(name, value);
  }

  #number(value: Draft): void {
    do value.name = `${this.#prefix}${this.#counter++}`;
    while (this.#holders.has(value.name));
    this.#holders.set(value.name, value);
  }
}
