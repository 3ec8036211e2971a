import { DAY_MS } from "../http/units.ts";
import { dayOf, HISTORY_DAYS, type DayCount, type RootLine } from "../watch/history.ts";
import type { Counters, MirrorCounts, PathCount, Trouble } from "../watch/counters.ts";

/** One file being fetched, as far as a page tells. */
export interface FillLine {
  readonly key: string;
  /** Null while its length is not known. */
  readonly size: number | null;
  /** Furthest byte that arrived. */
  readonly done: number;
  readonly readers: number;
}

/** One upstream asked so far. */
export interface UpstreamLine {
  readonly upstream: string;
  readonly state: "ready" | "probe-due" | "open" | "held";
  readonly failures: number;
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  readonly bodies: number;
}

/** What is stored, by the ledger. */
export interface StorageView {
  readonly used: number;
  readonly reserved: number;
  readonly shards: readonly { readonly shard: string; readonly objects: number; readonly live: number; readonly dead: number }[];
}

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

export interface MirrorLine {
  readonly name: string;
  readonly requests: number;
  readonly served: number;
  /** Of what was served, what no upstream had to send for it. */
  readonly saved: number;
  readonly stored: number;
  /** `saved` of `served`, 0 to 1; null before the first byte. */
  readonly byteHitRatio: number | null;
  readonly refused: number;
  readonly cut: number;
  readonly turnedAway: number;
  readonly objects: number;
  readonly held: number;
}

/** One mirror's day, with what follows from its counts. */
export interface DayLine extends DayCount {
  /** `saved` of `served`, 0 to 1; null before the first byte. */
  readonly byteHitRatio: number | null;
}

/**
 * All that the status page shows. Counts, fills, upstreams and troubles are of one isolate since `since`; storage, days and roots are of the whole
 * mirror, and null where the ledger does not answer.
 */
export interface Status {
  readonly now: number;
  readonly since: number;
  readonly mirrors: readonly MirrorLine[];
  readonly storage: { readonly used: number; readonly reserved: number; readonly budget: number } | null;
  /** The days that are remembered, the oldest first: those without a request too. */
  readonly dayNames: readonly string[];
  readonly days: readonly DayLine[] | null;
  readonly roots: readonly RootLine[] | null;
  readonly fills: readonly FillLine[];
  readonly upstreams: readonly UpstreamLine[];
  readonly top: readonly PathCount[];
  readonly troubles: readonly Trouble[];
}

const TOP = 15;

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
