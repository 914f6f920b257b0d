/**
 * State that stays on the device. An output that shares its memory with an input (a cache that a model appends to)
 * is handed out without being read: its data are read when somebody asks. Handed back unread, it is where the
 * input belongs already, so nothing is moved.
 *
 * An unread tensor must survive later runs: before a run writes over any of it, it is read.
 */
import type { DType } from "../numerics/dtype.js";
import type { Tensor, TensorData } from "../numerics/tensor.js";

export interface ResidentState {
  /** A tensor whose data are still where the run left them. */
  issue(dtype: DType, shape: readonly number[], read: () => TensorData): Tensor;
  /**
   * Called before a run that is fed `tensor`. True if its data lie in place already; otherwise the caller writes
   * them. Reads every other tensor that the run will write over.
   */
  accept(tensor: Tensor): boolean;
}

/** Tensors that nobody has read yet: once read, a caller may have changed the data. */
const unreadTensors = new WeakSet<Tensor>();

export function isUnread(tensor: Tensor): boolean {
  return unreadTensors.has(tensor);
}

export function createResidentState(): ResidentState {
  let issued: WeakRef<Tensor>[] = [];
  const unread = (): Tensor[] =>
    issued.flatMap((ref) => {
      const tensor = ref.deref();
      return tensor !== undefined && isUnread(tensor) ? [tensor] : [];
    });
  return {
    issue(dtype, shape, read) {
      const tensor = lazyTensor(dtype, shape, read);
      issued.push(new WeakRef(tensor));
      return tensor;
    },
    accept(tensor) {
      const live = unread();
      const isInPlace = live.includes(tensor);
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

function lazyTensor(dtype: DType, shape: readonly number[], read: () => TensorData): Tensor {
  let data: TensorData | undefined;
  const tensor: Tensor = {
    dtype,
    shape,
    get data() {
      unreadTensors.delete(tensor);
      data ??= read();
      return data;
    },
  };
  unreadTensors.add(tensor);
  return tensor;
}
