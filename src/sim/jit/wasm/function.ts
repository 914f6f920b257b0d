/**
 * Builds the body of one WebAssembly function. Every method appends to the code at once and returns a token
 * that stands for what is now on the operand stack; since arguments are evaluated before the call that takes
 * them, nested calls write postfix code in the right order:
 *
 *   f.set(sum, f.op("i32.add", f.get(sum), f.i32(1)))
 *
 * The tokens make the type checker check the code that is emitted. At run time they are serial numbers, which show
 * whether arguments were emitted in the order in which an instruction takes them.
 */
import { InternalError } from "../../../support/diagnostic.js";
import { ByteWriter } from "./bytes.js";
import {
  type ArgsOf,
  type LaneOp,
  type MemoryLaneOp,
  type MemoryOp,
  opcodes,
  type PlainOp,
  type ResultOf,
  type ValueType,
} from "./opcodes.js";

declare const onStack: unique symbol;
export interface OnStack<T> {
  readonly [onStack]: T;
}
export type I32 = OnStack<"i32">;
export type F32 = OnStack<"f32">;
export type V128 = OnStack<"v128">;
type Tokens<A extends readonly ValueType[]> = { [K in keyof A]: OnStack<A[K]> };
type Token<R extends ValueType | "none"> = R extends ValueType ? OnStack<R> : void;

export interface Local<T extends ValueType = ValueType> {
  readonly index: number;
  readonly type: T;
}

/** A place that a branch can go to: the end of a block, or the head of a loop. */
export interface Label {
  readonly level: number;
}

/** A function that can be called: its number among the imports or, without any, among the module's own. */
export interface Callee {
  readonly index: number;
  readonly isOwn?: true;
}

export const typeCodes = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const satisfies Record<
  ValueType,
  number
>;
const emptyBlock = 0x40;

export class FunctionBuilder {
  readonly params: readonly Local[];
  readonly results: readonly ValueType[];
  readonly #code = new ByteWriter(256);
  readonly #locals: ValueType[] = [];
  #level = 0;
  #callsOwn = false;
  #serial = 0;

  constructor(params: readonly ValueType[], results: readonly ValueType[]) {
    this.params = params.map((type, index) => ({ index, type }));
    this.results = results;
  }

  get callsOwn(): boolean {
    return this.#callsOwn;
  }

  param<T extends ValueType>(type: T, number: number): Local<T> {
    const local = this.params[number];
    if (local?.type !== type) throw new InternalError(`parameter ${number} is no ${type}`);
    return local as Local<T>;
  }

  local<T extends ValueType>(type: T): Local<T> {
    this.#locals.push(type);
    return { index: this.params.length + this.#locals.length - 1, type };
  }

  /** A new local that holds the value. */
  keep<T extends ValueType>(type: T, _value: OnStack<T>): Local<T> {
    const local = this.local(type);
    this.#local(0x21, local);
    return local;
  }

  get<T extends ValueType>(local: Local<T>): OnStack<T> {
    this.#local(0x20, local);
    return this.#token();
  }

  set<T extends ValueType>(local: Local<T>, _value: OnStack<T>): void {
    this.#local(0x21, local);
  }

  tee<T extends ValueType>(local: Local<T>, _value: OnStack<T>): OnStack<T> {
    this.#local(0x22, local);
    return this.#token();
  }

  /** Takes values from the stack into locals, the last first: the results of a call. */
  setAll(locals: readonly Local[]): void {
    for (let i = locals.length - 1; i >= 0; i--) this.#local(0x21, locals[i]!);
  }

  drop(_value: OnStack<ValueType>): void {
    this.#code.byte(0x1a);
  }

  i32(value: number): I32 {
    this.#code.byte(0x41);
    this.#code.signed(value | 0);
    return this.#token();
  }

  f32(value: number): F32 {
    this.#code.byte(0x43);
    this.#code.float32(value);
    return this.#token();
  }

  /** A vector of four equal words. */
  words(word: number): V128 {
    return this.wordsOf([word, word, word, word]);
  }

  wordsOf(words: readonly [number, number, number, number]): V128 {
    this.#code.byte(0xfd);
    this.#code.byte(12);
    for (const word of words) this.#code.word(word);
    return this.#token();
  }

  floats(value: number): V128 {
    return this.words(floatBits(value));
  }

  op<N extends PlainOp>(name: N, ...args: Tokens<ArgsOf<N>>): Token<ResultOf<N>> {
    this.#inOrder(args);
    const row = opcodes[name];
    this.#code.bytes(row.code);
    if ("immediate" in row) this.#code.bytes(row.immediate === "zero2" ? [0, 0] : [0]);
    return this.#token();
  }

  /** A load: takes an address. */
  load<N extends MemoryOp>(name: N, _address: I32, offset = 0): Token<ResultOf<N>> {
    this.#memory(opcodes[name].code, offset);
    return this.#token();
  }

  /** A store: takes an address and a value. */
  store<N extends MemoryOp>(
    name: N,
    address: I32,
    value: ArgsOf<N> extends readonly [unknown, infer V] ? OnStack<V> : never,
    offset = 0,
  ): void {
    this.#inOrder([address, value]);
    this.#memory(opcodes[name].code, offset);
  }

  loadLane(name: MemoryLaneOp, address: I32, into: V128, lane: number, offset = 0): V128 {
    this.#inOrder([address, into]);
    this.#memory(opcodes[name].code, offset);
    this.#code.byte(lane);
    return this.#token();
  }

  storeLane(name: MemoryLaneOp, address: I32, from: V128, lane: number, offset = 0): void {
    this.#inOrder([address, from]);
    this.#memory(opcodes[name].code, offset);
    this.#code.byte(lane);
  }

  laneOp<N extends LaneOp>(name: N, lane: number, ...args: Tokens<ArgsOf<N>>): Token<ResultOf<N>> {
    this.#inOrder(args);
    this.#code.bytes(opcodes[name].code);
    this.#code.byte(lane);
    return this.#token();
  }

  /** Lanes of four bytes, 0-3 from a, 4-7 from b. */
  shuffleWords(a: V128, b: V128, lanes: readonly [number, number, number, number]): V128 {
    const bytes = lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte));
    return this.shuffle(a, b, bytes);
  }

  shuffle(a: V128, b: V128, bytes: readonly number[]): V128 {
    this.#inOrder([a, b]);
    this.#code.bytes(opcodes["i8x16.shuffle"].code);
    this.#code.bytes(bytes);
    return this.#token();
  }

  select<T extends ValueType>(a: OnStack<T>, b: OnStack<T>, condition: I32): OnStack<T> {
    this.#inOrder([a, b, condition]);
    this.#code.byte(0x1b);
    return this.#token();
  }

  block(body: (end: Label) => void): void {
    this.#structure(0x02, body);
  }

  /** The label is the loop's head: a branch there goes round again. */
  loop(body: (head: Label) => void): void {
    this.#structure(0x03, body);
  }

  if(_condition: I32, then: () => void, otherwise?: () => void): void {
    this.#code.byte(0x04);
    this.#code.byte(emptyBlock);
    this.#level++;
    then();
    if (otherwise !== undefined) {
      this.#code.byte(0x05);
      otherwise();
    }
    this.#level--;
    this.#code.byte(0x0b);
  }

  branch(label: Label): void {
    this.#code.byte(0x0c);
    this.#code.unsigned(this.#level - label.level);
  }

  branchIf(label: Label, _condition: I32): void {
    this.#code.byte(0x0d);
    this.#code.unsigned(this.#level - label.level);
  }

  return(): void {
    this.#code.byte(0x0f);
  }

  /** Arguments are on the stack already, results are left there. */
  call(callee: Callee, args: readonly OnStack<ValueType>[]): void {
    this.#inOrder(args);
    if (callee.isOwn) this.#callsOwn = true;
    this.#code.byte(0x10);
    this.#code.unsigned(callee.index);
  }

  callFor<T extends ValueType>(
    callee: Callee,
    _type: T,
    args: readonly OnStack<ValueType>[],
  ): OnStack<T> {
    this.call(callee, args);
    return this.#token();
  }

  /** Runs the body while `index` counts from its present value by `step` as long as it is below `end`. */
  countUp(index: Local<"i32">, end: () => I32, step: number, body: () => void): void {
    this.block((done) => {
      this.branchIf(done, this.op("i32.ge_s", this.get(index), end()));
      this.loop((again) => {
        body();
        this.set(index, this.op("i32.add", this.get(index), this.i32(step)));
        this.branchIf(again, this.op("i32.lt_s", this.get(index), end()));
      });
    });
  }

  increase(local: Local<"i32">, by: () => I32): void {
    this.set(local, this.op("i32.add", this.get(local), by()));
  }

  /** Size, local declarations and code, as the code section holds them. */
  encode(into: ByteWriter): void {
    const declarations = new ByteWriter(32);
    const groups: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = groups.at(-1);
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    declarations.unsigned(groups.length);
    for (const group of groups) {
      declarations.unsigned(group.count);
      declarations.byte(typeCodes[group.type]);
    }
    into.unsigned(declarations.length + this.#code.length + 1);
    into.append(declarations);
    into.append(this.#code);
    into.byte(0x0b);
  }

  #token(): never {
    return ++this.#serial as never;
  }

  #inOrder(tokens: readonly unknown[]): void {
    for (let i = 1; i < tokens.length; i++) {
      if (tokens[i]! <= tokens[i - 1]!)
        throw new InternalError("arguments are emitted out of order");
    }
  }

  #structure(opcode: number, body: (label: Label) => void): void {
    this.#code.byte(opcode);
    this.#code.byte(emptyBlock);
    this.#level++;
    body({ level: this.#level });
    this.#level--;
    this.#code.byte(0x0b);
  }

  #local(opcode: number, local: Local): void {
    this.#code.byte(opcode);
    this.#code.unsigned(local.index);
  }

  /** The alignment is a hint that engines ignore. */
  #memory(code: readonly number[], offset: number): void {
    this.#code.bytes(code);
    this.#code.byte(0);
    this.#code.unsigned(offset);
  }
}

const scratch = new DataView(new ArrayBuffer(4));

export function floatBits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getInt32(0);
}
