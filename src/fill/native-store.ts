import type { Target } from "../route/target.ts";
import { newVersion } from "../store/keys.ts";
import { describeObject, type StoredObject } from "../store/stored-object.ts";
import type { Representation } from "../upstream/upstream.ts";
import { contentTypeOf } from "../verify/html.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";

/** Longer bodies are left to the runtime on the free plan: a MB through the pump takes about 1 ms of its 10 (docs/costs.md). */
export const FREE_PUMP_BYTES = 4 * 1024 * 1024;

/** Stores a body as the platform moves it, without a look at its bytes. */
export interface NativeStore {
  /** Whether an object of this size (in bytes) may be stored. */
  admit(key: string, size: number): Promise<boolean>;
  /** Stores all of `body` or nothing. Never throws. */
  put(target: Target, representation: Representation & { readonly size: number }, body: ReadableStream<Uint8Array>): Promise<void>;
}

/** Writes a body of known length; one that ends early stores nothing, and throws. */
export type StreamPut = (key: string, object: StoredObject, body: ReadableStream<Uint8Array>) => Promise<void>;

type Dependencies = Pick<PumpDependencies, "admit" | "now" | "onStored" | "onUnstored"> & { readonly put: StreamPut };

export function createNativeStore({ admit, put, now, onStored, onUnstored }: Dependencies): NativeStore {
  return {
    admit,
    async put(target, representation, body) {
      const { size } = representation;
      const object = describeObject(
        { ...representation, contentType: contentTypeOf(target.path, representation.contentType, false) },
        { version: newVersion(), size, storedAt: now(), verified: "length" },
      );
      try {
        await put(target.key, object, body);
        onStored(target, object);
      } catch (error) {
        onUnstored(target.key, String(error));
        // The body is one branch of a tee: left unread, it would hold up the client's branch.
        await body.cancel().catch(() => {});
      }
    },
  };
}
