import { waitUntil } from "cloudflare:workers";
import { type ByteSpan, resolveRange } from "../http/byte-ranges.ts";
import { createDiskFiles, type OpenFile } from "./disk-files.ts";
import { listDisk } from "./disk-list.ts";
import { createDiskMemory, type DiskMemory, type Known } from "./disk-memory.ts";
import { formatMetaFile, type OnDamaged, readMetaFile } from "./disk-meta.ts";
import { bodyPath, type DiskPaths, pathsOf, slicePath, versionPath } from "./disk-path.ts";
import { type HotBodies, streamOf } from "./hot-bodies.ts";
import { isStorableKey, parseSliceKey, requireStorableKey, serialiseStoredObject } from "./keys.ts";
import { type ListedObject, type ObjectStore, StoreError } from "./object-store.ts";
import type { IsSuspect } from "./power-cut.ts";
import { readStream, readWhole } from "./read-object.ts";
import type { StoredObject } from "./stored-object.ts";

/** How often a read starts anew because of a write to its key before it fails with `busy`. */
const MAX_READ_TRIES = 8;
const MAX_KEYS_PER_PAGE = 1000;

/** Shared by all stores of the isolate, those of Durable Objects included. */
const ISOLATE_MEMORY = createDiskMemory();

export interface DiskStoreOptions {
  readonly memory?: DiskMemory;
  /** Whether a power cut may have spoiled a file of that date; null: there was none. */
  readonly isSuspect?: IsSuspect | null;
  readonly onDamaged?: OnDamaged;
  /** Bodies that need not be read from the disk; absent: each is. */
  readonly hot?: HotBodies | undefined;
}

type FoundObject = Known & { readonly object: StoredObject };

/**
 * Creates a store of objects in a folder, through workerd's `disk` service; docs/storage-layout.md says what lies where. A `get` of a key in memory
 * is one disk call (none for a sliced object), and the body passes through unread.
 *
 * An object exists when its metadata file does: a write removes that file first and writes it last, and a read returns a body only if no write to the
 * key began since it read the metadata. So a killed process or a full disk leaves a miss behind, never a wrong body.
 */
export function createDiskStore(
  disk: Fetcher,
  { memory = ISOLATE_MEMORY, isSuspect = null, onDamaged, hot }: DiskStoreOptions = {},
): ObjectStore {
  const files = createDiskFiles(disk);

  async function findObject(paths: DiskPaths): Promise<FoundObject | null> {
    const { key, name } = paths;
    for (let tries = 0; tries < MAX_READ_TRIES; tries++) {
      while (memory.isBusy(name)) await memory.settled(name);
      let known = memory.recall(name);
      if (known?.key === key && known.object !== null) return known as FoundObject;
      if (known?.key !== key) memory.learn(name, (known = { key, object: null }));
      const file = await readMetaFile(files, paths.meta, onDamaged);
      if (!memory.isCurrent(name, known)) continue;
      if (file === null) memory.learn(name, { key, object: null, isAbsent: true });
      if (file?.key !== key) return null;
      const found = { key, object: file.object, isSuspect: isSuspect?.(file.modifiedAt) === true };
      memory.learn(name, found);
      return found;
    }
    throw tooManyWrites(key);
  }

  /** Whether the bytes have the digest that was noted when they were stored. False where none was noted: nothing then shows what a power cut left. */
  async function isAsStored({ body }: DiskPaths, { size, sha256 }: StoredObject): Promise<boolean> {
    const file = await files.open(body);
    if (file?.size !== size || sha256 === undefined) {
      await file?.body.cancel();
      return false;
    }
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await readStream(file.body)));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
  }

  /** Runs `write` while no other write to the object runs, and makes memory forget the object. `isAbsent`: memory knows that it had no metadata. */
  async function change<T>({ key, name }: DiskPaths, write: (signal: AbortSignal, isAbsent: boolean) => Promise<T>): Promise<T> {
    return alone(name, async (signal) => {
      const before = memory.recall(name);
      const isAbsent = before?.key === key && before.isAbsent === true;
      memory.learn(name, { key, object: null });
      return write(signal, isAbsent);
    });
  }

  /** Keeps the write running when the client leaves: other writes would wait for a dropped one until its time limit. */
  async function alone<T>(name: string, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const written = memory.alone(name, write);
    waitUntil(written.catch(() => {}));
    return written;
  }

  /** Removes the body only if it is a file: `files.remove` deletes a folder with everything in it. */
  async function removeBody({ body }: DiskPaths, signal: AbortSignal): Promise<void> {
    if ((await files.stat(body)) !== null) await files.remove(body, signal);
  }

  async function writeBody(paths: DiskPaths, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    try {
      await files.write(paths.body, bytes, signal);
    } catch (error) {
      if (!(await clearWay(paths.key))) throw error;
      await files.write(paths.body, bytes, signal);
    }
  }

  /**
   * Deletes objects that lie where a folder of `key` must be, such as a listing stored under the folder's name without its slash: nothing below them
   * could be stored. Returns whether there was one.
   */
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
    const paths = pathsOf(key);
    await change(paths, async (signal) => {
      const found = await readMetaFile(files, paths.meta);
      if (found !== null && found.key !== key) return;
      await files.remove(paths.meta, signal);
      await removeBody(paths, signal);
    });
  }

  async function deleteSlice(version: string, index: number): Promise<void> {
    const path = slicePath(version, index);
    await alone(path, (signal) => files.remove(path, signal));
  }

  async function deleteSuspect(path: string): Promise<void> {
    await alone(path, async (signal) => {
      const there = await files.stat(path);
      if (there !== null && isSuspect?.(there.modifiedAt) === true) await files.remove(path, signal);
    });
  }

  /** Removes a version's empty folder. A slice that is put at this moment goes with it: its put fails, or the slice is a miss. */
  async function deleteEmptyVersion(version: string): Promise<void> {
    const folder = versionPath(version);
    if ((await files.readFolder(folder)).length > 0) return;
    await alone(folder, (signal) => files.remove(folder, signal));
  }

  /** The wanted bytes from memory; null: they are not there, or the file is not what it was when they were read. */
  async function getHot(
    { name, body }: DiskPaths,
    found: FoundObject,
    span: ByteSpan | undefined,
  ): Promise<ReadableStream<Uint8Array> | null> {
    const held = hot?.use(name, found) ?? null;
    if (hot === undefined || held === null) return null;
    if (hot.isLookDue(held)) {
      hot.looked(held);
      const file = await files.stat(body);
      if (file?.size !== held.bytes.size || file.modifiedAt !== held.modifiedAt) {
        hot.drop(name);
        return null;
      }
    }
    if (!memory.isCurrent(name, found)) return null;
    return streamOf(span === undefined ? held.bytes : held.bytes.slice(span.offset, span.offset + span.length));
  }

  /** Reads all of a body into memory: what is used again will be used often. Throws StoreError where the disk gives fewer bytes, or none. */
  async function heat({ name, key }: DiskPaths, found: FoundObject, { body, modifiedAt }: OpenFile, into: HotBodies): Promise<Blob> {
    const { size } = found.object;
    const loaded = into.load(name, found, { size, modifiedAt }, () => readWhole(body, key, size));
    // When the client leaves, the runtime may end the read without its `finally`: its place among those being read would never be free again.
    waitUntil(loaded.catch(() => {}));
    return loaded;
  }

  async function head(key: string): Promise<StoredObject | null> {
    return isStorableKey(key) ? ((await findObject(pathsOf(key)))?.object ?? null) : null;
  }

  return {
    head,
    peek: head,

    async get(key, wanted, { isCompared = false } = {}) {
      if (!isStorableKey(key)) return null;
      const paths = pathsOf(key);
      for (let tries = 0; tries < MAX_READ_TRIES; tries++) {
        const found = await findObject(paths);
        if (found === null) return null;
        const { object } = found;
        const span = wanted && resolveRange(wanted, object.size);
        if (object.sliceBytes !== undefined || span?.length === 0) return { object, body: null };
        const held = isCompared ? null : await getHot(paths, found, span);
        if (held !== null) return { object, body: held };
        const file = await files.open(paths.body, span);
        const isCurrent = memory.isCurrent(paths.name, found);
        const isDoubted = found.isCompared !== true && (found.isSuspect === true || isSuspect?.(file?.modifiedAt ?? NaN) === true);
        if (isCurrent && file?.size === object.size && !isDoubted) {
          if (hot === undefined || isCompared || span !== undefined || !hot.isWanted(found, object.size, memory.isCurrent))
            return { object, body: file.body };
          const bytes = await heat(paths, found, file, hot);
          if (!memory.isCurrent(paths.name, found)) continue;
          return { object, body: streamOf(bytes) };
        }
        await file?.body.cancel();
        if (!isCurrent) continue;
        if (isDoubted && (await isAsStored(paths, object))) {
          if (memory.isCurrent(paths.name, found)) memory.learn(paths.name, { key, object, isCompared: true });
          continue;
        }
        onDamaged?.(paths.body);
        await change(paths, (signal) => files.remove(paths.meta, signal));
        return null;
      }
      throw tooManyWrites(key);
    },

    async put(key, object, bytes, options = {}) {
      requireStorableKey(key);
      const text = formatMetaFile(key, serialiseStoredObject(object, bytes));
      const paths = pathsOf(key);
      return change(paths, async (signal, isAbsent) => {
        if (options.ifVersion !== undefined) {
          const there = isAbsent ? null : await readMetaFile(files, paths.meta);
          if (there?.key !== key || there.object.version !== options.ifVersion) return "changed";
        }
        if (options.ifAbsent && !isAbsent && (await readMetaFile(files, paths.meta))?.key === key) return "exists";
        // A version has one content: only what is known of it changes, and a full disk that refuses that leaves it as it was.
        if (options.ifVersion !== object.version) {
          if (!isAbsent) await files.remove(paths.meta, signal);
          if (object.sliceBytes === undefined) await writeBody(paths, bytes, signal);
          else await removeBody(paths, signal);
        }
        await files.write(paths.meta, text, signal);
        memory.learn(paths.name, { key, object, isCompared: true });
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

    async list({ prefix = "", cursor = "", limit = MAX_KEYS_PER_PAGE }) {
      const objects: ListedObject[] = [];
      let last = cursor;
      for await (const [path, listed] of listDisk(files, prefix, cursor)) {
        if (objects.length === Math.min(limit, MAX_KEYS_PER_PAGE)) return { objects, cursor: last };
        objects.push(listed);
        last = path;
      }
      return { objects };
    },

    async putSlice(version, index, bytes) {
      const path = slicePath(version, index);
      return alone(path, async (signal) => {
        const there = await files.stat(path);
        if (there?.size === bytes.length && isSuspect?.(there.modifiedAt) !== true) return "exists";
        await files.write(path, bytes, signal);
        return "stored";
      });
    },

    async getSlice(version, index, offset = 0, length) {
      const path = slicePath(version, index);
      if (length === 0) return null;
      const isWhole = offset === 0 && length === undefined;
      // The size of the file is not known here: the span may end behind it.
      const file = await files.open(path, isWhole ? undefined : { offset, length: length ?? Number.MAX_SAFE_INTEGER - offset });
      if (file === null) return null;
      const isDoubted = isSuspect?.(file.modifiedAt) === true;
      if (!isDoubted && file.size >= offset + (length ?? 0)) return file.body;
      await file.body.cancel();
      // A slice has no digest of its own: the same bytes of its version are fetched again.
      if (isDoubted) await deleteSuspect(path);
      return null;
    },
  };
}

function tooManyWrites(key: string): StoreError {
  return new StoreError("busy", `Cannot read "${key}": it was written ${MAX_READ_TRIES} times meanwhile`);
}
