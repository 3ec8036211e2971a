import type { Config } from "../config/config.ts";
import type { progressOf } from "../fill/shared/fill.ts";
import { formatCount } from "./format.ts";
import { DAY_MS } from "../http/units.ts";
import { largestStorable } from "../retention/policy.ts";
import type { BookView } from "../retention/ledger-object.ts";
import type { RepositoriesView, RepositoryLine } from "../retention/repository-list.ts";
import type { HotFigures } from "../store/hot-bodies.ts";
import type { UpstreamStatus } from "../upstream/upstream.ts";
import { dayOf, HISTORY_DAYS, type DayCount, type RootLine, type RootProtection } from "../watch/history.ts";
import { describeSetAside, type SetAside } from "../watch/readings.ts";
import { type Counters, type MirrorCounts, type PathCount, zeroCounts } from "../watch/counters.ts";
import type { CountedTrouble } from "../watch/troubles.ts";

type FillLine = ReturnType<typeof progressOf>;
type StorageView = Pick<BookView, "used" | "reserved" | "shards"> & Partial<Pick<BookView, "scrub" | "sweptAt">>;

/** Where the status comes from. `storage`, `repositories` and `history` reject if the ledger fails. */
export interface StatusSources {
  readonly counters: Counters;
  readonly mirrors: readonly string[];
  readonly budget: number;
  /** What a mirror may take of it (`budget_gb`), in bytes by name; a mirror without one shares the whole. */
  readonly quotas?: ReadonlyMap<string, number>;
  /** VERIFY: where it is `structure`, no index is read. */
  readonly verify: Config["verify"];
  /** PLAN; absent on one machine, which has none. */
  readonly plan?: Config["plan"];
  readonly offline?: boolean;
  readonly now: () => number;
  readonly fills: () => readonly FillLine[];
  readonly upstreams: () => readonly UpstreamStatus[];
  readonly storage: () => Promise<StorageView>;
  readonly repositories: () => Promise<RepositoriesView>;
  readonly history: () => Promise<{ readonly days: readonly DayCount[]; readonly roots: readonly RootLine[] }>;
  /** What the runtime stood still over, and is not read for now; also what was such a thing lately. Default: nothing. */
  readonly setAside?: () => readonly SetAside[];
  /** Bodies in memory; null, or absent: there are none. */
  readonly hot?: () => HotFigures | null;
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
  /** How many they may be (`budget_gb`); null: the mirror shares the budget with the others. */
  readonly quota: number | null;
  /** Repositories that have published something; null if the ledger fails. */
  readonly repositories: number | null;
}

/**
 * All that the status page shows. Counts, fills, upstreams and troubles are one isolate's since `since`; storage, days and roots are the whole mirror's,
 * and null if the ledger fails. Times are milliseconds since the epoch.
 */
export interface Status {
  readonly now: number;
  readonly since: number;
  readonly mirrors: readonly MirrorLine[];
  /** Bytes; `largest`: of the largest file that is stored at all. */
  readonly storage: { readonly used: number; readonly reserved: number; readonly budget: number; readonly largest: number } | null;
  /** How far what is stored was compared with its digests; null: the scrub is off, or has not begun. */
  readonly scrub: BookView["scrub"];
  /** When cron, or an operator's sweep, last kept house over all ledgers; null: it has not yet, or the ledger fails. */
  readonly sweptAt: number | null;
  /** The Cloudflare plan that the configuration is for; null on one machine. */
  readonly plan: Config["plan"] | null;
  /** No upstream is ever asked (OFFLINE). */
  readonly offline: boolean;
  /** Every day of the history, the oldest first, also those without a request. */
  readonly dayNames: readonly string[];
  readonly days: readonly (DayCount & Pick<MirrorLine, "byteHitRatio">)[] | null;
  readonly roots: readonly RootLine[] | null;
  /** The 200 repositories that clients used last. */
  readonly repositories: readonly RepositoryLine[] | null;
  readonly fills: readonly FillLine[];
  readonly upstreams: readonly UpstreamStatus[];
  readonly top: readonly PathCount[];
  /** The newest first, those of one kind, place and reason as one. */
  /** Of each file and upstream its own. */
  readonly troubles: readonly CountedTrouble[];
  /** The same, one for all that have one reason. */
  readonly troubleGroups: readonly CountedTrouble[];
  /** Bodies in memory; null: there are none. */
  readonly memory: HotFigures | null;
}

const TOP = 15;
const UNREAD: RootProtection = { state: "not", packages: 0, skipped: 0, detail: "VERIFY is structure: no index is read", isExpected: true };

/** Whether packages of a repository are bound to digests, as a phrase. */
export function describeProtection({ state, packages, skipped, detail }: RootProtection): string {
  if (state === "bound") return `${formatCount(packages)} bound to digests`;
  if (state === "partly")
    return `${formatCount(packages)} bound to digests, ${formatCount(skipped)} entries could not be used: ${detail ?? "?"}`;
  return `not bound to digests: ${detail ?? "?"}`;
}

/** Never rejects. */
export async function gatherStatus(sources: StatusSources): Promise<Status> {
  const { counters, now, budget } = sources;
  const storage = await sources.storage().catch(() => null);
  const history = await sources.history().catch(() => null);
  const repositories = await sources.repositories().catch(() => null);
  const setAside = setAsideNow(sources).map(troubleOf);
  return {
    now: now(),
    since: counters.since() || now(),
    mirrors: sources.mirrors.map((name) => ({
      ...lineOf(name, counters.mirrors().get(name) ?? zeroCounts(), storage, repositories),
      quota: sources.quotas?.get(name) ?? null,
    })),
    storage: storage && { used: storage.used, reserved: storage.reserved, budget, largest: largestStorable(budget) },
    scrub: storage?.scrub ?? null,
    sweptAt: storage?.sweptAt ?? null,
    plan: sources.plan ?? null,
    offline: sources.offline ?? false,
    dayNames: Array.from({ length: HISTORY_DAYS }, (_, at) => dayOf(now() - (HISTORY_DAYS - 1 - at) * DAY_MS)),
    days: history && history.days.map((one) => ({ ...one, byteHitRatio: ratio(one) })),
    roots: history && history.roots.map((one) => (sources.verify === "structure" ? { ...one, protection: UNREAD } : one)),
    repositories: repositories && repositories.latest,
    fills: sources.fills(),
    upstreams: sources.upstreams(),
    top: counters.top(TOP),
    memory: sources.hot?.() ?? null,
    troubles: [...setAside, ...counters.troubles.places()],
    troubleGroups: [...setAside, ...counters.troubles.groups()],
  };
}

/** What is not read now. */
export function setAsideNow({ now, setAside = () => [] }: Pick<StatusSources, "now" | "setAside">): readonly SetAside[] {
  return setAside().filter(({ until }) => now() < until);
}

function troubleOf(one: SetAside): CountedTrouble {
  const { mirror, file, since, until } = one;
  return { at: since, where: `${mirror}/${file}`, kind: "set-aside", cause: describeSetAside(one), until, count: 1, since };
}

function lineOf(
  name: string,
  { requests, bytes, storedBytes, refused, cut }: MirrorCounts,
  storage: StorageView | null,
  repositories: RepositoriesView | null,
): Omit<MirrorLine, "quota"> {
  const shard = storage?.shards.find((one) => one.shard === name);
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
    objects: shard?.objects ?? 0,
    held: shard?.live ?? 0,
    repositories: repositories && (repositories.counts.find(({ mirror }) => mirror === name)?.repositories ?? 0),
  };
}

function ratio({ served, saved }: { readonly served: number; readonly saved: number }): number | null {
  return served === 0 ? null : saved / served;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
