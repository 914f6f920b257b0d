/** Reads one line of a text form from left to right. Spaces between tokens are skipped. */
import { parseNumber } from "../../numerics/number-text.js";
import { fail } from "../../support/diagnostic.js";

export class TextScanner {
  readonly #text: string;
  readonly #line: number;
  #at = 0;

  constructor(text: string, line: number) {
    this.#text = text;
    this.#line = line;
    this.#skipSpaces();
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  get rest(): string {
    return this.#text.slice(this.#at);
  }

  sees(token: string): boolean {
    return this.#text.startsWith(token, this.#at);
  }

  /** Takes `token` if it is next. */
  accept(token: string): boolean {
    if (!this.sees(token)) return false;
    this.#take(token.length);
    return true;
  }

  expect(token: string): void {
    if (!this.accept(token)) this.fail(`"${token}" is missing`);
  }

  /** What `pattern` (sticky) matches here. */
  match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? this.fail(`${what} is missing`);
    this.#take(found.length);
    return found;
  }

  word(): string {
    return this.match(/[A-Za-z_]\w*/y, "a word");
  }

  wordOf<W extends string>(words: readonly W[]): W {
    const word = this.word();
    return (
      words.find((known) => known === word) ?? this.fail(`"${word}" is none of ${words.join(", ")}`)
    );
  }

  /** Plain, or in quotes where it would not scan. */
  name(plain: RegExp): string {
    return this.sees('"') ? this.quoted() : this.match(plain, "a name");
  }

  quoted(): string {
    return JSON.parse(this.match(/"(?:[^"\\]|\\.)*"/y, "a text in quotes")) as string;
  }

  number(): number {
    const text = this.match(/-?(?:nan|inf|[\d.]+(?:e[+-]?\d+)?)/iy, "a number");
    return parseNumber(text) ?? this.fail(`"${text}" is no number`);
  }

  integer(): number {
    return Number(this.match(/-?\d+/y, "an integer"));
  }

  bigInteger(): bigint {
    return BigInt(this.match(/-?\d+/y, "an integer"));
  }

  list<T>(item: () => T, open = "[", close = "]"): T[] {
    const items: T[] = [];
    this.expect(open);
    if (this.accept(close)) return items;
    do items.push(item());
    while (this.accept(","));
    this.expect(close);
    return items;
  }

  fail(problem: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 40);
    const where = rest === "" ? "at its end" : `at ${JSON.stringify(rest)}`;
    return fail("L0109", `line ${this.#line} does not parse ${where}: ${problem}`);
  }

  #take(length: number): void {
    this.#at += length;
    this.#skipSpaces();
  }

  #skipSpaces(): void {
    while (this.#text[this.#at] === " ") this.#at++;
  }
}

/** As it is where `plain` (sticky) matches all of it, else in quotes. */
export function nameText(name: string, plain: RegExp): string {
  plain.lastIndex = 0;
  return plain.exec(name)?.[0] === name ? name : JSON.stringify(name);
}
