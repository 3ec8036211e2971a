import { waitUntil } from "cloudflare:workers";
import { createDiskFiles } from "./disk-files.ts";
import { listDisk } from "./disk-list.ts";
import { createDiskMemory } from "./disk-memory.ts";
import type { DiskMemory } from "./disk-memory.ts";
import { formatMetaFile, readMetaFile } from "./disk-meta.ts";
import { bodyPath, metaPath, slicePath, versionPath } from "./disk-path.ts";
import { isStorableKey, parseSliceKey, requireStorableKey, serialiseStoredObject, sliceKey } from "./keys.ts";
import { StoreError } from "./object-store.ts";
import type { ListedObject, ObjectStore } from "./object-store.ts";
import type { StoredObject } from "./stored-object.ts";
import { resolveWanted } from "./wanted-range.ts";

/** A read that meets so many writes to its key gives up. */
const MAX_TRIES = 8;
const MAX_LISTED = 1000;

/** One for every store of the isolate, the Durable Objects' too. */
const ISOLATE_MEMORY = createDiskMemory();

interface Place {
  readonly key: string;
  readonly meta: string;
  readonly body: string;
  /** Under which memory knows it: keys that one file may hold, where the file system ignores case, are one place. */
  readonly name: string;
}

interface FoundObject {
  readonly key: string;
  readonly object: StoredObject;
}

/**
 * Objects in a folder, through workerd's `disk` service; docs/storage-layout.md says what lies where. A `get` of a key in memory is one
 * disk call (none for a sliced object), and the body passes untouched.
 *
 * Metadata is the commit point: it goes first and comes last, and a body is given out only if no write to its key has begun since its
 * metadata was looked at. What a kill or a full disk leaves behind is then a miss.
 */
export function createDiskStore(disk: Fetcher, { memory = ISOLATE_MEMORY }: { readonly memory?: DiskMemory } = {}): ObjectStore {
  const files = createDiskFiles(disk);

  async function look(place: Place): Promise<FoundObject | null> {
    const { key, name } = place;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      while (memory.isBusy(name)) await memory.settled(name);
      let known = memory.recall(name);
      if (known?.key === key && known.object !== null) return known as FoundObject;
      if (known?.key !== key) memory.learn(name, (known = { key, object: null }));
      const file = await readMetaFile(files, place.meta);
      if (!memory.isCurrent(name, known)) continue;
      if (file === null) memory.learn(name, { key, object: null, isAbsent: true });
      if (file?.key !== key) return null;
      const found = { key, object: file.object };
      memory.learn(name, found);
      return found;
    }
    throw tooManyWrites(key);
  }

  /** Runs `write` alone on its place, with nothing known of the place any more; `isAbsent`: it had no metadata. */
  async function change<T>({ key, name }: Place, write: (signal: AbortSignal, isAbsent: boolean) => Promise<T>): Promise<T> {
    return alone(name, async (signal) => {
      const before = memory.recall(name);
      const isAbsent = before?.key === key && before.isAbsent === true;
      memory.learn(name, { key, object: null });
      return write(signal, isAbsent);
    });
  }

  /** Kept alive when the client leaves: a write dropped half-way would keep the others waiting to its time limit. */
  async function alone<T>(name: string, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const written = memory.alone(name, write);
    waitUntil(written.then(ignore, ignore));
    return written;
  }

  /** `remove` would take a folder with all that is in it. */
  async function removeBody({ body }: Place, signal: AbortSignal): Promise<void> {
    if ((await files.stat(body)) !== null) await files.remove(body, signal);
  }

  async function writeBody(place: Place, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    try {
      await files.write(place.body, bytes, signal);
    } catch (error) {
      if (!(await clearWay(place.key))) throw error;
      await files.write(place.body, bytes, signal);
    }
  }

  /** A listing stored under a folder's name without its slash would keep all that is below out of the store: it goes. */
  async function clearWay(key: string): Promise<boolean> {
    let isCleared = false;
    for (let slash = key.indexOf("/"); slash > 0; slash = key.indexOf("/", slash + 1)) {
      const above = key.slice(0, slash);
      if ((await files.stat(bodyPath(above))) === null) continue;
      await deleteObject(above);
      isCleared = true;
    }
    return isCleared;
  }

  async function deleteObject(key: string): Promise<void> {
    const place = placeOf(key);
    await change(place, async (signal) => {
      const found = await readMetaFile(files, place.meta);
      if (found !== null && found.key !== key) return;
      await files.remove(place.meta, signal);
      await removeBody(place, signal);
    });
  }

  async function deleteSlice(version: string, index: number): Promise<void> {
    const path = slicePath(version, index);
    await alone(path, (signal) => files.remove(path, signal));
  }

  /** An emptied folder goes too, with a slice that is being put this moment, if any: that put then fails or the slice is a miss. */
  async function deleteEmptyVersion(version: string): Promise<void> {
    const folder = versionPath(version);
    if ((await files.readFolder(folder)).length > 0) return;
    await alone(folder, (signal) => files.remove(folder, signal));
  }

  return {
    async head(key) {
      if (!isStorableKey(key)) return null;
      return (await look(placeOf(key)))?.object ?? null;
    },

    async get(key, wanted) {
      if (!isStorableKey(key)) return null;
      const place = placeOf(key);
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const found = await look(place);
        if (found === null) return null;
        const { object } = found;
        const range = object.sliceBytes === undefined ? resolveWanted(wanted, object.size) : null;
        if (range === null) return { object, body: null };
        const file = await files.open(place.body, wanted && range);
        const isCurrent = memory.isCurrent(place.name, found);
        if (isCurrent && file?.size === object.size) return { object, body: file.body };
        await file?.body.cancel();
        if (!isCurrent) continue;
        await change(place, (signal) => files.remove(place.meta, signal));
        return null;
      }
      throw tooManyWrites(key);
    },

    async put(key, object, bytes, options = {}) {
      requireStorableKey(key);
      const text = formatMetaFile(key, serialiseStoredObject(object, bytes));
      const place = placeOf(key);
      return change(place, async (signal, isAbsent) => {
        if (options.ifAbsent && !isAbsent && (await readMetaFile(files, place.meta))?.key === key) return "exists";
        if (!isAbsent) await files.remove(place.meta, signal);
        if (object.sliceBytes === undefined) await writeBody(place, bytes, signal);
        else await removeBody(place, signal);
        await files.write(place.meta, text, signal);
        memory.learn(place.name, { key, object });
        return "stored";
      });
    },

    async delete(keys) {
      const versions = new Set<string>();
      for (const key of keys.filter(isStorableKey)) {
        const slice = parseSliceKey(key);
        if (slice === null) {
          await deleteObject(key);
        } else {
          await deleteSlice(slice.version, slice.index);
          versions.add(slice.version);
        }
      }
      for (const version of versions) await deleteEmptyVersion(version);
    },

    async list({ prefix = "", cursor = "", limit = MAX_LISTED }) {
      const objects: ListedObject[] = [];
      let last = cursor;
      for await (const [path, listed] of listDisk(files, prefix, cursor)) {
        if (objects.length === Math.min(limit, MAX_LISTED)) return { objects, cursor: last };
        objects.push(listed);
        last = path;
      }
      return { objects };
    },

    async putSlice(version, index, bytes) {
      requireSlice(version, index);
      const path = slicePath(version, index);
      return alone(path, async (signal) => {
        if ((await files.stat(path)) !== null) return "exists";
        await files.write(path, bytes, signal);
        return "stored";
      });
    },

    async getSlice(version, index, offset = 0, length) {
      requireSlice(version, index);
      const isWhole = offset === 0 && length === undefined;
      // The end of a file is not known here: a range may go past it.
      const range = {
        start: offset,
        end: length === undefined ? Number.MAX_SAFE_INTEGER : offset + length,
      };
      if (range.end <= range.start) return null;
      const file = await files.open(slicePath(version, index), isWhole ? undefined : range);
      if (file === null) return null;
      if (file.size >= offset + (length ?? 0)) return file.body;
      await file.body.cancel();
      return null;
    },
  };
}

function placeOf(key: string): Place {
  const body = bodyPath(key);
  return { key, meta: metaPath(key), body, name: body.toLowerCase() };
}

/** Throws RangeError for what would be no slice's path. */
function requireSlice(version: string, index: number): void {
  sliceKey(version, index);
}

function ignore(): void {}

function tooManyWrites(key: string): StoreError {
  return new StoreError("busy", `Cannot read "${key}": it was written ${MAX_TRIES} times meanwhile`);
}
