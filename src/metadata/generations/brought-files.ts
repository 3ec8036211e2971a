import type { Mirror } from "../../config/config.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { readObject } from "../../store/read-object.ts";
import { type ByteSource, SourceError, type UpstreamAnswer, type UpstreamFailure, type Upstreams } from "../../upstream/upstream.ts";
import type { EnsureStored, EnsureStoredAnswer } from "../ports/ensure-stored.ts";

/** What a bundle brings of one root: by path below the mirror the key under which the store has the bytes; null: the bundle has no such file. */
export type Brought = ReadonlyMap<string, string | null>;

export interface BroughtDependencies {
  readonly mirror: Mirror;
  readonly store: ObjectStore;
  readonly upstreams: Upstreams;
  readonly ensureStored: EnsureStored;
}

/**
 * An upstream that is a bundle: while a generation is imported, the files of its root come from the store, where the import has put them, and its members
 * are those that the store has. So a bundle's root is judged and published as any other upstream's is. All other files come from the true upstreams.
 */
export function createBroughtFiles({ mirror, store, upstreams, ensureStored }: BroughtDependencies) {
  let brought: Brought | null = null;

  const fromBundle: Upstreams = {
    async open(request): Promise<UpstreamAnswer> {
      const key = brought?.get(request.path);
      if (key === undefined) return upstreams.open(request);
      // In the place of the last one: behind it there is none that might have what the bundle lacks.
      const upstream = mirror.upstreams.at(-1)?.url ?? "";
      if (request.avoid?.includes(upstream) === true) return failure(`The bundle has no other ${request.path}`);
      const object = key === null ? null : await store.head(key);
      if (key === null || object === null) return { kind: "absent", status: 404 };
      // Without validators: those of another server say nothing to this mirror's upstreams.
      const { size, contentType } = object;
      const representation = { size, contentType, etag: undefined, lastModified: undefined, contentEncoding: undefined, upstream };
      return { kind: "body", representation, first: 0, source: sourceOf(readObject(store, key)) };
    },
  };

  return {
    upstreams: fromBundle,
    /** While a bundle is imported no member is fetched: what it lacks comes at a client's request. */
    ensureStored: async (asked: Parameters<EnsureStored>[0]): Promise<EnsureStoredAnswer> => {
      if (brought === null) return ensureStored(asked);
      const object = await store.head(asked.key);
      return object?.verified === "digest" ? { kind: "stored", object } : { kind: "no-room" };
    },
    /** Runs `work` with the files of a bundle. Throws an Error where another import of the repository runs. */
    async during<T>(files: Brought, work: () => Promise<T>): Promise<T> {
      if (brought !== null) throw new Error("another import of this repository is under way");
      brought = files;
      try {
        return await work();
      } finally {
        brought = null;
      }
    },
  };
}

function sourceOf(chunks: AsyncGenerator<Uint8Array>): ByteSource {
  return {
    async read() {
      try {
        const { done, value } = await chunks.next();
        return done === true ? null : value;
      } catch (error) {
        throw new SourceError(failure(error instanceof Error ? error.message : String(error)));
      }
    },
    cancel: () => void chunks.return(undefined).catch(() => {}),
  };
}

function failure(detail: string): UpstreamFailure {
  return { kind: "failure", status: 502, detail };
}
