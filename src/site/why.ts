import type { Config } from "../config/config.ts";
import { DAY_MS } from "../http/units.ts";
import type { Naming, Repositories, Resolution } from "../metadata/ports/repositories.ts";
import type { LedgerRow } from "../retention/ledger.ts";
import { routeRequest } from "../route/route-request.ts";
import type { Target } from "../route/target.ts";
import { contentKey, keyAtRest, keysOf } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { Expected } from "../verify/expectation.ts";
import type { Hold } from "../watch/hold.ts";
import { formatSeconds } from "./format.ts";

/** Where the explanation comes from. `row` and `nextOut` reject if the ledger fails. */
export interface WhySources {
  readonly config: Config;
  readonly store: Pick<ObjectStore, "head">;
  readonly repositories: Repositories;
  /** When an upstream last confirmed the stored copy to this isolate, in milliseconds since the epoch; 0 for never. */
  readonly checkedAt: (key: string) => number;
  /** When this isolate last passed the file on without storing it, in milliseconds since the epoch, and why; null: not that it knows. */
  readonly unstored: (key: string) => { readonly at: number; readonly reason: string } | null;
  readonly now: () => number;
  readonly row: (key: string) => Promise<LedgerRow | null>;
  /** The rows that would be evicted next, in order. */
  readonly nextOut: (limit: number) => Promise<readonly LedgerRow[]>;
}

/** All that is known of one path. Times are milliseconds since the epoch. */
export interface Why {
  readonly mirror: string;
  readonly path: string;
  readonly key: string;
  readonly class: Target["class"];
  readonly rule: string;
  readonly upstreams: readonly string[];
  readonly stored: StoredObject | null;
  readonly checkedAt: number | null;
  /** When and why it was last not stored, though a client asked for it; null: it is stored, or this isolate knows of no such time. */
  readonly unstored: { readonly at: number; readonly reason: string } | null;
  /** How its repository answers for it; null for a path that is no repository's metadata. */
  readonly generation: {
    readonly state: string;
    readonly ageSeconds: number | null;
    readonly detail: string | null;
    /** What holds a newer generation back, or keeps this one from being confirmed, and until when; null: nothing. */
    readonly hold: Hold | null;
  } | null;
  /** The digests that indexes, a root or its own name state. */
  readonly expected: Expected;
  /** Which indexes name it, or why none does; null for metadata. */
  readonly naming: Naming | null;
  /** The same as a sentence. */
  readonly protection: string;
  readonly expiresAt: number | null;
  readonly uses: { readonly count: number; readonly lastUsedAt: number; readonly isHeldByGeneration: boolean } | null;
  readonly eviction: string;
  /** What the next request will do, as a sentence. */
  readonly next: string;
}

/** How far the order of eviction is searched. */
const MAX_RANK = 200;

/** Explains a path. `path` is `<mirror>/<path>` as a client would request it, still encoded, with its query. `refused`: why it names no file of a mirror. */
export async function gatherWhy(sources: WhySources, path: string): Promise<Why | { readonly refused: string }> {
  const { config, store, repositories, checkedAt, now } = sources;
  const routed = routeRequest(config, { url: `/${path}` });
  if (routed.kind !== "mirror")
    return { refused: routed.kind === "refused" ? routed.detail : "Name a mirror and a path: /-/why/<mirror>/<path>" };
  const { target } = routed;
  const resolution = await resolve(target, repositories);
  const { key, stored } =
    resolution?.kind === "object" ? { key: resolution.key, stored: resolution.object } : await findStored(target, store);
  const isPackage = target.repository === null && target.class !== "root" && !target.path.endsWith("/");
  const [expected, naming, row, nextOut] = await Promise.all([
    repositories.expected(target),
    isPackage ? repositories.naming(target).catch(() => null) : null,
    sources.row(key).catch(() => null),
    sources.nextOut(MAX_RANK).catch((): readonly LedgerRow[] => []),
  ]);
  const expiresAt = stored === null ? null : stored.storedAt + config.retentionDays * DAY_MS;
  const rank = nextOut.findIndex((one) => one.key === key);
  return {
    mirror: target.mirror.name,
    path: target.path + target.query,
    key,
    class: target.class,
    rule: target.rule,
    upstreams: target.mirror.upstreams.map(({ url }) => url),
    stored,
    checkedAt: checkedAt(key) || null,
    unstored: stored === null ? (sources.unstored(key) ?? sources.unstored(target.key)) : null,
    generation: resolution && describeGeneration(resolution),
    expected,
    naming,
    protection: describeNaming(expected, naming),
    expiresAt,
    uses: row && { count: row.uses, lastUsedAt: row.lastUsedAt, isHeldByGeneration: row.held > 0 },
    eviction: describeEviction(stored, row, rank, expiresAt, now()),
    next: describeNext(target, stored, resolution, expiresAt !== null && expiresAt <= now()),
  };
}

/** Resolves it as a client's request would: if a check of the root is due, it is done (at most one conditional fetch). */
async function resolve(target: Target, repositories: Repositories): Promise<Resolution | null> {
  return target.class === "root" || target.class === "member" ? repositories.resolve(target) : null;
}

function describeNaming(expected: Expected, naming: Naming | null): string {
  if (naming === null) {
    const isNamed = expected.kind === "known" && expected.expectations[0].source === "name";
    if (isNamed) return "It is bound to the digest in its name.";
    return expected.kind === "known" ? "It is bound to the digest that its root states." : "No index of packages can name it.";
  }
  const { repository, roots, whys } = naming;
  const [root] = roots;
  if (root !== undefined) return `It is bound to what the indexes of ${roots.join(" and ")} say of it.`;
  if (repository === null && whys.length === 0)
    return "It is bound to no digest: no repository is known above it, and none elsewhere names it.";
  const reasons = whys.length === 0 ? "none of its indexes names this path" : whys.join("; ");
  return `It is bound to no digest: ${repository === null ? "" : `the repository below /${repository} decides about it, and `}${reasons}.`;
}

/** The copy that the next request finds; of a file that is named by its digest what is proven comes first (serve/look.ts). */
async function findStored(
  { mirror, repository, key: ownKey }: Target,
  store: WhySources["store"],
): Promise<{ readonly key: string; readonly stored: StoredObject | null }> {
  const digest = repository?.digest;
  const keys = digest === undefined ? { key: ownKey } : keysOf(mirror, contentKey(mirror, digest));
  const shared = keys.sharedKey === undefined ? null : await store.head(keys.sharedKey);
  if (shared !== null && keyAtRest(keys, shared) !== keys.key) return { key: keyAtRest(keys, shared), stored: shared };
  const stored = await store.head(keys.key);
  return { key: stored === null ? (keys.sharedKey ?? keys.key) : keys.key, stored };
}

function describeGeneration(resolution: Resolution): NonNullable<Why["generation"]> {
  switch (resolution.kind) {
    case "object":
      return {
        state: resolution.state,
        ageSeconds: resolution.ageSeconds,
        detail: resolution.detail ?? null,
        hold: resolution.hold ?? null,
      };
    case "absent":
      return { state: "absent", ageSeconds: null, detail: `an upstream answered ${resolution.status}`, hold: null };
    case "opaque":
      return { state: "none", ageSeconds: null, detail: "no generation covers this path: it is cached by itself", hold: null };
    case "failure":
      return { state: "failure", ageSeconds: null, detail: resolution.detail, hold: null };
  }
}

function describeEviction(stored: StoredObject | null, row: LedgerRow | null, rank: number, expiresAt: number | null, now: number): string {
  if (stored === null) return "It is not stored.";
  const age = `because of its age ${expiresAt !== null && expiresAt > now ? `in ${formatSeconds((expiresAt - now) / 1_000)}` : "with the next sweep"}`;
  if (row === null) return `It is deleted ${age}; the ledger does not know it yet.`;
  if (row.held > 0)
    return `It is deleted ${age}; if space runs short it is among the last to go, as a live generation names it or it is pinned.`;
  if (rank >= 0) return `It is deleted ${age}; if space runs short it is number ${rank + 1} to go (LFUDA: ${row.uses} uses).`;
  return `It is deleted ${age}; if space runs short ${MAX_RANK} or more others go before it, or all there are (LFUDA: ${row.uses} uses).`;
}

function describeNext(
  { class: pathClass }: Target,
  stored: StoredObject | null,
  resolution: Resolution | null,
  isExpired: boolean,
): string {
  if (pathClass === "pass")
    return "It is fetched from an upstream, checked on its way, and not stored: the upstream may still be writing the file.";
  if (resolution?.kind === "object") {
    return resolution.state === "stale"
      ? "It is answered from the last good generation; an upstream is asked again once METADATA_TTL_SECONDS have passed."
      : "It is answered from the published generation; no upstream is asked until METADATA_TTL_SECONDS have passed.";
  }
  if (resolution?.kind === "absent") return `It is answered by ${resolution.status}, as no upstream has it.`;
  if (resolution?.kind === "failure") return `An upstream is asked again; if it still fails, the answer is ${resolution.status}.`;
  if (stored === null) return "It is fetched once for all clients, from the first upstream that has it, checked, and stored.";
  if (isExpired) return "It is too old: an upstream is asked whether its file is still the same; if not, the new one is fetched.";
  switch (pathClass) {
    case "hashed":
      return "It is answered from the store and never revalidated: its name holds its digest.";
    case "package":
      return "It is answered from the store; an upstream is asked only if a client doubts it (no-cache, or a conditional request), at most once a minute.";
    case "unstable-package":
      return "It is answered from the store; an upstream is asked once a day whether it is still the same, as this tree replaces packages under the same name.";
    case "volatile":
    case "root":
    case "member":
      return "It is answered from the store while it is fresh (minutes); then an upstream is asked whether it is still the same.";
  }
}
