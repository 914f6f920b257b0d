/** `InferenceSession.create`: ONNX Runtime's entry, for a path, a URL or bytes. */
import { decodeModel } from "../onnx/model.js";
import { createSession, type InferenceSession as Session } from "./session.js";
import { type SessionOptions, threadsOf } from "./session-options.js";
import { servicesHere } from "./services.js";

export type InferenceSession = Session;

export const InferenceSession = {
  /**
   * A session for a model. `source`: a path (Node), a URL (browser), or the bytes of an `.onnx` file. Nothing
   * is compiled before the first run, whose shapes say what for. Throws L0101, L0102, L0608, L0701, L0702.
   */
  async create(
    source: string | Uint8Array | ArrayBufferLike,
    options: SessionOptions = {},
  ): Promise<Session> {
    const services = await servicesHere();
    const read =
      typeof source === "string"
        ? { ...(await services.readModel(source)), file: source }
        : modelFromBytes(source instanceof Uint8Array ? source : new Uint8Array(source));
    const { bytes, ...rest } = read;
    const { cacheDir } = options;
    const store = cacheDir === false ? undefined : services.store(bytes, cacheDir);
    return createSession(
      {
        ...rest,
        jit: services.jit(threadsOf(options)),
        hostRuntime: services.hostRuntime,
        ...(store === undefined ? {} : { store }),
      },
      options,
    );
  },
};

function modelFromBytes(bytes: Uint8Array) {
  return { bytes, model: decodeModel(bytes) };
}
