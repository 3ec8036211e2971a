import { elapsedMs } from "../clock/elapsed.ts";
import { DAY_MS } from "../http/units.ts";
import { knownDigest } from "../store/known-digest.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { readPart } from "../store/read-object.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { CreateDigest } from "../verify/digest-ranges.ts";
import { createProof } from "../verify/proof.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";

/** A pass begins so long after the last one began, or when an operator asks for one. */
const PASS_INTERVAL_MS = DAY_MS;
/**
 * A turn reads as much as the rate allows in this time. It is shorter than the 10 s or so after which the platform forgets an idle Durable Object, and with it
 * what was read of a file.
 */
const ALLOWANCE_MS = 5_000;
/** A turn that takes longer, on a slow disk, ends early; the next one begins as soon as it may. */
const MAX_TURN_MS = 2_500;
const MIN_WAIT_MS = 1_000;
/** Read and hashed at once; other requests run in between. */
const MAX_PART_BYTES = 1024 * 1024;
/** What it counts, in bytes, to look for the next object and for what is known of it. */
const LOOK_BYTES = 4 * 1024;
/** Rows that are asked of a ledger at once. */
const PAGE = 100;
/** An object is left out where the process ended so many times while it was being read. */
const MAX_TRIES = 3;
/** Rotten objects that are remembered. */
const MAX_LINES = 10;
const NOTE = "scrub";

/** What a pass has come to so far. Times are milliseconds since the epoch. */
export interface ScrubView {
  readonly began: number;
  /** Null: it goes on. */
  readonly ended: number | null;
  /** Objects whose bytes were compared with their digest, and their bytes. */
  readonly objects: number;
  readonly bytes: number;
  /** Objects of which no digest is known, or of which a part is not there or cannot be read. */
  readonly unknown: number;
  /** Objects that had changed, and were deleted. */
  readonly rotten: number;
  /** Those of this pass and of earlier ones, the newest first. */
  readonly last: readonly { readonly at: number; readonly key: string; readonly reason: string }[];
}

/** What is kept of a pass: also where it stands. `tries`: how often the object behind `after` was begun. */
type Pass = { -readonly [Field in keyof ScrubView]: ScrubView[Field] } & { shard: number; after: string; tries: number };

/** What a scrub works with. */
export interface ScrubDependencies {
  readonly notes: Ledger["notes"];
  /** The store itself, without a cache before it. */
  readonly store: Pick<ObjectStore, "head" | "get" | "getSlice">;
  /** Names of the ledgers, in an order that stays. */
  readonly shardNames: readonly string[];
  /** The rows of a ledger whose keys come after `after`, in the order of keys. */
  readonly rows: (shard: string, after: string, limit: number) => Promise<readonly Pick<LedgerRow, "key">[]>;
  readonly createDigest: CreateDigest;
  /** 0: nothing is read. */
  readonly bytesPerSecond: number;
  readonly now: () => number;
  /** As in store/condemn.ts, with the dependencies filled in. */
  readonly condemn: (key: string, object: StoredObject, reason: string) => Promise<void>;
  readonly log: (message: string) => void;
}

/** The scrub of all ledgers. */
export type Scrub = ReturnType<typeof createScrub>;

/** An object that is being read. */
interface OpenObject {
  readonly key: string;
  readonly object: StoredObject;
  readonly proof: ReturnType<typeof createProof>;
  /** So many bytes were read. */
  position: number;
}

/**
 * Reads all that is stored, slowly, and compares it with the digests that are known of it: so it finds a byte that changed at rest although no client asks for
 * the file. It deletes objects that changed. It works in short turns, and goes on after a restart.
 */
export function createScrub(deps: ScrubDependencies) {
  const { notes, store, shardNames, createDigest, bytesPerSecond, now, log } = deps;
  const partBytes = Math.min(MAX_PART_BYTES, Math.ceil((bytesPerSecond * ALLOWANCE_MS) / 1_000));
  let rows: Pick<LedgerRow, "key">[] = [];
  let reading: OpenObject | null = null;

  function load(): Pass | null {
    const text = notes.get(NOTE);
    return text === null ? null : (JSON.parse(text) as Pass);
  }

  const save = (pass: Pass): void => notes.set(NOTE, JSON.stringify(pass));

  /** Goes on to the object behind this one. */
  function leave(pass: Pass, key: string): void {
    pass.after = key;
    pass.tries = 0;
    reading = null;
  }

  /** Does one step; returns the bytes that it counts, or null at the end of the pass. Throws StoreError where the store says nothing of the next object. */
  async function step(pass: Pass): Promise<number | null> {
    return reading === null ? openNext(pass) : readOn(pass, reading);
  }

  async function openNext(pass: Pass): Promise<number | null> {
    const shard = shardNames[pass.shard];
    if (shard === undefined) return null;
    if (rows.length === 0) rows = [...(await deps.rows(shard, pass.after, PAGE))];
    const row = rows.shift();
    if (row === undefined) {
      [pass.shard, pass.after] = [pass.shard + 1, ""];
      return LOOK_BYTES;
    }
    const { key } = row;
    const object = await store.head(key);
    const known = object && knownDigest(key, object);
    if (object !== null && known !== null && object.size > 0 && pass.tries < MAX_TRIES) {
      pass.tries++;
      reading = { key, object, proof: createProof(known, createDigest), position: 0 };
    } else {
      // What is gone by now has a row for a moment longer.
      if (object !== null && object.size > 0) pass.unknown++;
      leave(pass, key);
    }
    return LOOK_BYTES;
  }

  async function readOn(pass: Pass, one: OpenObject): Promise<number> {
    const { key, object, proof, position } = one;
    const { size, sliceBytes = size } = object;
    const length = Math.min(partBytes, size - position, sliceBytes - (position % sliceBytes));
    const part = await readPart(store, key, object, position, length).catch((error: unknown) => {
      log(`Cannot read the stored ${key}: ${String(error)}`);
      return null;
    });
    if (part?.length !== length) {
      pass.unknown++;
      leave(pass, key);
      return length;
    }
    await proof.update(part);
    one.position += length;
    if (one.position === size) await settle(pass, one);
    return length;
  }

  async function settle(pass: Pass, { key, object, proof }: OpenObject): Promise<void> {
    const reason = await proof.finish();
    pass.objects++;
    pass.bytes += object.size;
    leave(pass, key);
    if (reason === null) return;
    pass.rotten++;
    pass.last = [{ at: now(), key, reason }, ...pass.last].slice(0, MAX_LINES);
    await deps.condemn(key, object, reason);
  }

  function end(pass: Pass): void {
    pass.ended = now();
    const { began, ended, objects, bytes, unknown, rotten } = pass;
    const seconds = Math.round(elapsedMs(began, ended) / 1_000);
    log(
      `Scrub: compared ${objects} stored files of ${bytes} bytes with their digests within ${seconds} s: ` +
        `${rotten} had changed and are deleted; ${unknown} could not be compared`,
    );
  }

  return {
    /** The pass under way, or the last one; null: there was none, or the scrub is off. */
    view(): ScrubView | null {
      const pass = bytesPerSecond === 0 ? null : load();
      if (pass === null) return null;
      const { shard: _shard, after: _after, tries: _tries, ...view } = pass;
      return view;
    },
    /** Begins a pass if one is due, or if `isAsked` and none is under way. Returns whether there is something to do: then call `turn`. */
    begin(isAsked: boolean): boolean {
      if (bytesPerSecond === 0) return false;
      const before = load();
      if (before !== null && before.ended === null) return true;
      if (before !== null && !isAsked && elapsedMs(before.began, now()) < PASS_INTERVAL_MS) return false;
      const last = before?.last ?? [];
      save({ began: now(), ended: null, objects: 0, bytes: 0, unknown: 0, rotten: 0, last, shard: 0, after: "", tries: 0 });
      rows = [];
      reading = null;
      return true;
    },
    /**
     * Reads for a moment. Returns after how many milliseconds to call it again, or null where nothing is left to do. Rejects if the store or a ledger fails:
     * call it again later.
     */
    async turn(): Promise<number | null> {
      const pass = bytesPerSecond === 0 ? null : load();
      if (pass === null || pass.ended !== null) return null;
      const began = now();
      let cost = 0;
      try {
        while (cost < (bytesPerSecond * ALLOWANCE_MS) / 1_000 && elapsedMs(began, now()) < MAX_TURN_MS) {
          const stepCost = await step(pass);
          if (stepCost === null) {
            end(pass);
            return null;
          }
          cost += stepCost;
        }
      } finally {
        save(pass);
      }
      return Math.max(MIN_WAIT_MS, (cost / bytesPerSecond) * 1_000 - elapsedMs(began, now()));
    },
  };
}
