import type { ByteSpan } from "../http/byte-ranges.ts";
import { StoreError } from "./object-store.ts";

/** A file, opened for reading. */
export interface OpenFile {
  /** Bytes of the whole file, whatever part of it is open. */
  readonly size: number;
  /** Milliseconds since the epoch; the disk service gives whole seconds. */
  readonly modifiedAt: number;
  /** The caller must read or cancel it. */
  readonly body: ReadableStream<Uint8Array>;
}

export type DiskFiles = ReturnType<typeof createDiskFiles>;

/**
 * The calls that we make on workerd's `disk` service over the state folder. Paths are relative, in the safe names of disk-path.ts. Every call throws
 * StoreError `unavailable` where the disk refuses it.
 */
export function createDiskFiles(disk: Fetcher) {
  async function call(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    try {
      return await disk.fetch(`http://disk/${path.replaceAll("%", "%25")}`, { ...init, method });
    } catch (cause) {
      throw refusal(method, path, String(cause), cause);
    }
  }

  async function change(method: string, path: string, init: RequestInit): Promise<void> {
    const response = await call(method, path, init);
    await response.body?.cancel();
    if (response.status !== 204 && response.status !== 404) throw refusal(method, path, `status ${response.status}`);
  }

  /** Opens a file, or `span` of it. Null where there is no file (a folder is not one), or `span` begins behind its end. */
  async function open(path: string, span?: ByteSpan): Promise<OpenFile | null> {
    const response = await call("GET", path, span && { headers: { Range: `bytes=${span.offset}-${span.offset + span.length - 1}` } });
    const found = describeFile(response);
    if (found && response.body) return { ...found, body: response.body };
    // The short body of a 404, the common miss, need not be cancelled.
    if (response.status !== 404) await response.body?.cancel();
    return null;
  }

  return {
    open,

    /** Reads a text file; null where there is none, or it is longer than `maxBytes`. */
    async read(path: string, maxBytes: number): Promise<{ readonly text: string; readonly modifiedAt: number } | null> {
      const file = await open(path);
      if (file === null) return null;
      if (file.size > maxBytes) {
        await file.body.cancel();
        return null;
      }
      try {
        return { text: await new Response(file.body).text(), modifiedAt: file.modifiedAt };
      } catch (cause) {
        throw refusal("read", path, String(cause), cause);
      }
    },

    /** Size and time of a file; null where there is none. */
    stat: async (path: string) => describeFile(await call("HEAD", path)),

    /** Writes a file and the folders above it. It is atomic: a reader sees the old file or the new one. */
    write: (path: string, body: Uint8Array | string, signal: AbortSignal) => change("PUT", path, { body, signal }),

    /** Removes a file; absent ones are no error. TRAP: it removes a folder with everything in it, so `stat` first where a folder may have the path. */
    remove: (path: string, signal: AbortSignal) => change("DELETE", path, { signal }),

    /** Lists a folder, sorted by name; empty where there is none. */
    async readFolder(path: string) {
      const response = await call("GET", path);
      if (response.status !== 200 || !isFolder(response)) {
        await response.body?.cancel();
        return [];
      }
      const entries: readonly { readonly name: string; readonly type: string }[] = await response.json();
      return entries
        .map(({ name, type }) => ({ name, isFolder: type === "directory" }))
        .toSorted((one, other) => (one.name < other.name ? -1 : 1));
    },
  };
}

/** The disk service sends a folder as JSON, and a file as bytes with a length. */
function isFolder(response: Response): boolean {
  return response.headers.get("Content-Type") === "application/json";
}

function describeFile(response: Response): Omit<OpenFile, "body"> | null {
  const { status, headers } = response;
  if (isFolder(response)) return null;
  const size = status === 200 ? headers.get("Content-Length") : status === 206 ? headers.get("Content-Range")?.split("/")[1] : null;
  return size == null ? null : { size: Number(size), modifiedAt: Date.parse(headers.get("Last-Modified") ?? "") };
}

function refusal(method: string, path: string, why: string, cause?: unknown): StoreError {
  const message = `Cannot ${method} ${path} in the state folder: ${why}. Wanted: free space, the right to write, and no file in the place of a folder`;
  return new StoreError("unavailable", message, { cause });
}
