/**
 * State that stays on the device. An output that shares its memory with an input (a cache that a model appends to)
 * is handed out without being read: its data are read when somebody asks. Handed back unread, it is where the
 * input belongs already, so nothing is moved.
 *
 * An unread tensor must survive later runs: before a run writes over any of it, it is read.
 */
import type { DType } from "../numerics/dtype.js";
import type { Tensor, TensorData } from "../numerics/tensor.js";

export interface ResidentTensor extends Tensor {
  /** True once somebody has seen the data, and may have changed them. */
  readonly isRead: boolean;
}

export interface ResidentState {
  /** A tensor whose data are still where the run left them. */
  issue(dtype: DType, shape: readonly number[], read: () => TensorData): ResidentTensor;
  /**
   * Called before a run that is fed `tensor`. True if its data lie in place already; otherwise the caller writes
   * them. Reads every other tensor that the run will write over.
   */
  accept(tensor: Tensor): boolean;
}

export function createResidentState(): ResidentState {
  let issued: WeakRef<LazyTensor>[] = [];
  const unread = (): LazyTensor[] =>
    issued.map((ref) => ref.deref()).filter((t) => t !== undefined && !t.isRead) as LazyTensor[];
  return {
    issue(dtype, shape, read) {
      const tensor = new LazyTensor(dtype, shape, read);
      issued.push(new WeakRef(tensor));
      return tensor;
    },
    accept(tensor) {
      const live = unread();
      const isInPlace = tensor instanceof LazyTensor && live.includes(tensor);
      for (const other of live) {
        // What was issued earlier in the same history is a beginning of the fed one and stays as it is.
        const isBeginning =
          isInPlace && other.shape.every((extent, i) => extent <= tensor.shape[i]!);
        if (!isBeginning) void other.data;
      }
      issued = unread().map((t) => new WeakRef(t));
      return isInPlace;
    },
  };
}

class LazyTensor implements ResidentTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  #read: (() => TensorData) | undefined;
  #data: TensorData | undefined;

  constructor(dtype: DType, shape: readonly number[], read: () => TensorData) {
    this.dtype = dtype;
    this.shape = shape;
    this.#read = read;
  }

  get isRead(): boolean {
    return this.#data !== undefined;
  }

  get data(): TensorData {
    if (this.#data === undefined) {
      this.#data = this.#read!();
      this.#read = undefined;
    }
    return this.#data;
  }
}

export function isResident(tensor: Tensor): tensor is ResidentTensor {
  return tensor instanceof LazyTensor;
}
