import { DAY_MS } from "../http/units.ts";
import { dayOf, HISTORY_DAYS, type DayCount, type RootLine } from "../watch/history.ts";
import type { Counters, MirrorCounts, PathCount, TroubleLine } from "../watch/counters.ts";

/** One file that is being fetched. */
export interface FillLine {
  readonly key: string;
  /** Bytes of the whole file; null while unknown. */
  readonly size: number | null;
  /** Bytes up to the furthest one that has arrived. */
  readonly done: number;
  /** Requests that read it. */
  readonly readers: number;
}

/** One upstream that this isolate has asked. */
export interface UpstreamLine {
  /** Its URL. */
  readonly upstream: string;
  /** `open`: it failed and is not used; `probe-due`: it failed and is tried with the next request; `held`: it asked us to wait (Retry-After). */
  readonly state: "ready" | "probe-due" | "open" | "held";
  /** In a row. */
  readonly failures: number;
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** Bodies that it is sending now. */
  readonly bodies: number;
}

/** What is stored, in bytes, as the ledger has it: in all, reserved by fills under way, and by ledger (book.ts, `Totals`). */
export interface StorageView {
  readonly used: number;
  readonly reserved: number;
  readonly shards: readonly { readonly shard: string; readonly objects: number; readonly live: number; readonly dead: number }[];
}

/** Where the status comes from. `storage` and `history` reject if the ledger fails. */
export interface StatusSources {
  readonly counters: Counters;
  readonly mirrors: readonly string[];
  readonly budget: number;
  readonly now: () => number;
  readonly fills: () => readonly FillLine[];
  readonly upstreams: () => readonly UpstreamLine[];
  readonly storage: () => Promise<StorageView>;
  readonly history: () => Promise<{ readonly days: readonly DayCount[]; readonly roots: readonly RootLine[] }>;
}

/** One mirror: its counts of this isolate (counters.ts), and what of it is stored. */
export interface MirrorLine {
  readonly name: string;
  readonly requests: number;
  /** Bytes sent to clients. */
  readonly served: number;
  /** Those of `served` that no upstream had to send. */
  readonly saved: number;
  /** Bytes that fills stored. */
  readonly stored: number;
  /** `saved` of `served`, 0 to 1; null before the first byte. */
  readonly byteHitRatio: number | null;
  readonly refused: number;
  readonly cut: number;
  readonly turnedAway: number;
  /** Stored objects. */
  readonly objects: number;
  /** Their bytes. */
  readonly held: number;
}

/** One mirror's day, with its hit ratio. */
export interface DayLine extends DayCount {
  /** `saved` of `served`, 0 to 1; null before the first byte. */
  readonly byteHitRatio: number | null;
}

/**
 * All that the status page shows. Counts, fills, upstreams and troubles are one isolate's since `since`; storage, days and roots are the whole mirror's,
 * and null if the ledger fails. Times are milliseconds since the epoch.
 */
export interface Status {
  readonly now: number;
  readonly since: number;
  readonly mirrors: readonly MirrorLine[];
  readonly storage: { readonly used: number; readonly reserved: number; readonly budget: number } | null;
  /** Every day of the history, the oldest first, also those without a request. */
  readonly dayNames: readonly string[];
  readonly days: readonly DayLine[] | null;
  readonly roots: readonly RootLine[] | null;
  readonly fills: readonly FillLine[];
  readonly upstreams: readonly UpstreamLine[];
  readonly top: readonly PathCount[];
  readonly troubles: readonly TroubleLine[];
}

const TOP = 15;

/** Never rejects. */
export async function gatherStatus(sources: StatusSources): Promise<Status> {
  const { counters, now, budget } = sources;
  const storage = await sources.storage().catch(() => null);
  const history = await sources.history().catch(() => null);
  return {
    now: now(),
    since: counters.since() || now(),
    mirrors: sources.mirrors.map((name) => lineOf(name, counters.mirrors().get(name), storage)),
    storage: storage && { used: storage.used, reserved: storage.reserved, budget },
    dayNames: Array.from({ length: HISTORY_DAYS }, (_, at) => dayOf(now() - (HISTORY_DAYS - 1 - at) * DAY_MS)),
    days: history && history.days.map((one) => ({ ...one, byteHitRatio: ratio(one) })),
    roots: history && history.roots,
    fills: sources.fills(),
    upstreams: sources.upstreams(),
    top: counters.top(TOP),
    troubles: counters.troubles(),
  };
}

function lineOf(name: string, counts: MirrorCounts | undefined, storage: StorageView | null): MirrorLine {
  const shard = storage?.shards.find((one) => one.shard === name);
  const held = { objects: shard?.objects ?? 0, held: shard?.live ?? 0 };
  if (counts === undefined) {
    return { name, requests: 0, served: 0, saved: 0, stored: 0, byteHitRatio: null, refused: 0, cut: 0, turnedAway: 0, ...held };
  }
  const { requests, bytes, storedBytes, refused, cut } = counts;
  const served = sum(bytes);
  const saved = bytes.hit + bytes.stale + bytes.collapsed;
  return {
    name,
    requests: sum(requests),
    served,
    saved,
    stored: storedBytes,
    byteHitRatio: ratio({ served, saved }),
    refused,
    cut,
    turnedAway: requests["turned-away"],
    ...held,
  };
}

function ratio({ served, saved }: { readonly served: number; readonly saved: number }): number | null {
  return served === 0 ? null : saved / served;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
