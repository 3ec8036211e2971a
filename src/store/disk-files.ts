import { StoreError } from "./object-store.ts";
import type { WantedRange } from "./wanted-range.ts";

interface OpenFile {
  /** Of the whole file, in bytes, whatever part of it is open. */
  readonly size: number;
  /** Milliseconds since the epoch, in whole seconds. */
  readonly modifiedAt: number;
  /** Must be read or cancelled. */
  readonly body: ReadableStream<Uint8Array>;
}

interface FolderEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** The calls we make on workerd's `disk` service. Paths are relative, in safe names; what the disk refuses is StoreError `unavailable`. */
export interface DiskFiles {
  /** Null where there is no file (a folder is none) or no byte of `range` in it. */
  open(path: string, range?: WantedRange): Promise<OpenFile | null>;
  /** The text of a file of at most `maxBytes`; null where there is none. */
  read(path: string, maxBytes: number): Promise<{ readonly text: string; readonly modifiedAt: number } | null>;
  stat(path: string): Promise<Omit<OpenFile, "body"> | null>;
  /** Atomic: a reader sees the old file or the new one. */
  write(path: string, bytes: Uint8Array | string, signal: AbortSignal): Promise<void>;
  /** TRAP: takes a folder with all that is in it. `stat` first where one may be in the file's place. */
  remove(path: string, signal: AbortSignal): Promise<void>;
  /** Sorted by name; empty where there is no such folder. */
  readFolder(path: string): Promise<readonly FolderEntry[]>;
}

export function createDiskFiles(disk: Fetcher): DiskFiles {
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

  async function open(path: string, range?: WantedRange): Promise<OpenFile | null> {
    const response = await call("GET", path, range && { headers: { Range: `bytes=${range.start}-${range.end - 1}` } });
    const found = describeFile(response);
    if (found && response.body) return { ...found, body: response.body };
    // A miss, mostly: its few words go with the response.
    if (response.status !== 404) await response.body?.cancel();
    return null;
  }

  return {
    open,

    async read(path, maxBytes) {
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

    async stat(path) {
      return describeFile(await call("HEAD", path));
    },

    async write(path, bytes, signal) {
      await change("PUT", path, { body: bytes, signal });
    },

    async remove(path, signal) {
      await change("DELETE", path, { signal });
    },

    async readFolder(path) {
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

/** Files come as bytes with a length, folders as JSON without one. */
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
