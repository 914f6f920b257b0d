/** Assembly text in tokens, each with its line and column, and the cursor that the assembler walks them with. */
import { fail } from "../support/diagnostic.js";

export interface Token {
  readonly kind: "name" | "string" | "number" | "sign" | "end";
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

/** Words that a name would be confused with; a queue of such a name is written in quotes. */
const reserved = new Set(["loop", "ext", "min"]);

const plainName = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function isPlainName(text: string): boolean {
  return plainName.test(text) && !reserved.has(text);
}

const pattern =
  /[ \t\r]+|#[^\n]*|(\n)|([A-Za-z_][A-Za-z0-9_]*)|("(?:[^"\\\n]|\\.)*")|(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(<-|->|<=|\+=|\.\.|[[\](){},:.@&!*+\-%$=])/y;

export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let lineStart = 0;
  let at = 0;
  while (at < text.length) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    const place = { line, column: at - lineStart + 1 };
    if (match === null) {
      failAt(place, `unexpected character ${JSON.stringify(text[at])}`);
    }
    at = pattern.lastIndex;
    const [, newline, name, quoted, number, sign] = match;
    if (newline !== undefined) {
      line++;
      lineStart = at;
    } else if (name !== undefined) tokens.push({ kind: "name", text: name, ...place });
    else if (quoted !== undefined)
      tokens.push({ kind: "string", text: unquote(quoted, place), ...place });
    else if (number !== undefined) tokens.push({ kind: "number", text: number, ...place });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign, ...place });
  }
  tokens.push({ kind: "end", text: "the end of the text", line, column: at - lineStart + 1 });
  return tokens;
}

export function failAt(
  place: { readonly line: number; readonly column: number },
  sentence: string,
): never {
  fail("L0503", `line ${place.line}, column ${place.column}: ${sentence}`);
}

function unquote(quoted: string, place: { line: number; column: number }): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return failAt(place, `${quoted} is not a well-formed string`);
  }
}

/** A place in a token list; parsing functions move it forward. */
export interface Cursor {
  readonly tokens: readonly Token[];
  at: number;
}

export function peek(cursor: Cursor): Token {
  return cursor.tokens[Math.min(cursor.at, cursor.tokens.length - 1)]!;
}

export function next(cursor: Cursor): Token {
  const token = peek(cursor);
  cursor.at++;
  return token;
}

/** True where the next token is this sign or word of the grammar. */
export function sees(cursor: Cursor, text: string): boolean {
  const token = peek(cursor);
  return (token.kind === "sign" || token.kind === "name") && token.text === text;
}

export function accept(cursor: Cursor, text: string): boolean {
  if (!sees(cursor, text)) return false;
  cursor.at++;
  return true;
}

export function expect(cursor: Cursor, text: string): void {
  if (!accept(cursor, text)) failAt(peek(cursor), `expected ${text}, found ${shown(peek(cursor))}`);
}

export function shown(token: Token): string {
  return token.kind === "string" ? JSON.stringify(token.text) : token.text;
}

/** A name, plain or quoted. */
export function parseName(cursor: Cursor): string {
  const token = next(cursor);
  if (token.kind === "string") return token.text;
  if (token.kind === "name" && isPlainName(token.text)) return token.text;
  return failAt(token, `expected a name, found ${shown(token)}`);
}

/** One of the words; `what` says what they are, for messages. */
export function parseWord<W extends string>(cursor: Cursor, words: readonly W[], what: string): W {
  const token = next(cursor);
  const word = token.kind === "name" ? words.find((w) => w === token.text) : undefined;
  if (word !== undefined) return word;
  return failAt(token, `expected ${what} (${words.join(", ")}), found ${shown(token)}`);
}

/** A floating number, `inf` and `nan` included. */
export function parseNumber(cursor: Cursor): number {
  const negative = accept(cursor, "-");
  const token = next(cursor);
  const value =
    token.kind === "number"
      ? Number(token.text)
      : token.kind === "name" && token.text === "inf"
        ? Infinity
        : token.kind === "name" && token.text === "nan"
          ? NaN
          : failAt(token, `expected a number, found ${shown(token)}`);
  return negative ? -value : value;
}

/** A whole number that a double holds exactly. */
export function parseInteger(cursor: Cursor): number {
  const place = peek(cursor);
  const value = parseNumber(cursor);
  if (!Number.isSafeInteger(value)) failAt(place, `${value} is not a whole number`);
  return value === 0 ? 0 : value;
}

/** Items between brackets, separated by commas. */
export function parseList<T>(cursor: Cursor, open: string, close: string, item: () => T): T[] {
  expect(cursor, open);
  const items: T[] = [];
  if (accept(cursor, close)) return items;
  do items.push(item());
  while (accept(cursor, ","));
  expect(cursor, close);
  return items;
}
