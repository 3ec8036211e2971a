import { elapsedMs } from "../../clock/elapsed.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { IndexTables } from "../digests/index-tables.ts";
import type { NamedKey } from "../../watch/named-key.ts";
import type { Generation, RootContent } from "../members/generation.ts";
import type { Members } from "../members/members.ts";
import { databaseOf } from "./root-files.ts";
import { createRootKeeper, type KeeperDependencies, type RootKeeper } from "./root-keeper.ts";

/** Begins the keys under which the places of published roots are kept. */
export const PLACE_KEY = "place:";
/** Roots that are remembered as absent, or have a keeper that holds nothing. Beyond this all are forgotten, which costs two requests each. */
const MAX_ABSENT_ROOTS = 1_000;

export interface KnownRootsDependencies extends Omit<KeeperDependencies, "beforeSwap" | "afterSwap" | "noSwap"> {
  readonly members: Members;
  /** The digest tables of packages; null where packages are judged by their structure only. */
  readonly tables: IndexTables | null;
  /** Receives, after each swap, every key that the published generations name, once for each path: retention evicts these last. */
  readonly onPublished: (named: readonly NamedKey[]) => void;
}

/** The roots that one repository has published something for, each with what keeps it current and with its digest table. A restart finds them again. */
export function createKnownRoots(deps: KnownRootsDependencies) {
  const { kept, members, now } = deps;
  /** By the path of their root. */
  const keepers = new Map<string, RootKeeper>();
  /** With so many keepers those that hold nothing go. */
  let maxKeepers = MAX_ABSENT_ROOTS;
  /** When the upstreams last gave no root here. In memory only: nothing is kept for what does not exist. */
  const rootlessSince = new Map<string, number>();
  for (const key of kept.keys()) {
    if (!key.startsWith(PLACE_KEY)) continue;
    const place = JSON.parse(kept.load(key) ?? "{}") as RepositoryPlace;
    // A restart ends the building of a table: it begins anew here.
    followIndexes(place, keeperOf(place).held());
  }

  return { keepers: keepers as ReadonlyMap<string, RootKeeper>, keeperOf, underKnownRoot, isRootless, noteRootless, forget, followIndexes };

  /** The place below the longest known root above the path: `dists/a/b/` may be a suite `a/b`, or a component `b` of the suite `a`. */
  function underKnownRoot(path: string, place: RepositoryPlace): RepositoryPlace {
    if (place.kind !== "deb" || place.role === "root" || place.role === "companion") return place;
    // A root that was asked for, and that no upstream has or that cannot be read, takes no files from the suite above it.
    const roots = [...keepers].flatMap(([root, keeper]) => (keeper.held()?.parsed == null ? [] : [root]));
    const known = roots.filter((root) => path.startsWith(`${root}/`)).toSorted((a, b) => b.length - a.length)[0];
    return known === undefined ? place : { ...place, root: known };
  }

  /** Whether the upstreams gave no root here a moment ago: otherwise each request for a file below it would ask for the root as well. */
  function isRootless(root: string): boolean {
    const since = rootlessSince.get(root);
    return since !== undefined && elapsedMs(since, now()) < deps.limits.metadataTtlSeconds * 1000 && keepers.get(root)?.held() == null;
  }

  function noteRootless(root: string): void {
    if (rootlessSince.size >= MAX_ABSENT_ROOTS) rootlessSince.clear();
    rootlessSince.set(root, now());
  }

  /** The upstreams have no root here, or no longer. */
  function forget(root: string): void {
    const known = keepers.get(root);
    const withdrawn = known === undefined ? undefined : deps.tables?.withdraw(known.place);
    keepers.delete(root);
    // The ledger knows nothing of a root that was never published.
    if (kept.load(PLACE_KEY + root) === null) return;
    kept.remove(PLACE_KEY + root);
    void (withdrawn ?? Promise.resolve()).then(reportKeys);
  }

  /** A Release that has appeared names the indexes that stood in for it. */
  function dropIndexesBelow({ root, form, kind }: RepositoryPlace): void {
    if (kind !== "deb" || form !== undefined) return;
    for (const [index, keeper] of keepers) {
      if (keeper.place.form === undefined || !(root === "" || index.startsWith(`${root}/`))) continue;
      keeper.drop();
      void deps.tables?.withdraw(keeper.place);
      keepers.delete(index);
      kept.remove(PLACE_KEY + index);
    }
  }

  function keeperOf(place: RepositoryPlace): RootKeeper {
    const existing = keepers.get(place.root);
    if (existing !== undefined) return existing;
    forgetIdle();
    const keeper = createRootKeeper(
      {
        ...deps,
        beforeSwap: async (next, held) => {
          await (held === null ? deps.tables?.announce(place, next, members) : deps.tables?.prepare(place, next, members));
          const publishableAt = deps.tables?.publishableAt(place.root) ?? 0;
          if (publishableAt <= now()) deps.tables?.noteSettled(place.root);
          return publishableAt;
        },
        noSwap: () => {
          deps.tables?.noteSettled(place.root);
          followIndexes(place, keeper.held());
        },
        afterSwap: () => {
          kept.save(PLACE_KEY + place.root, JSON.stringify(place));
          dropIndexesBelow(place);
          members.keepOnly(new Set(liveMembers().map(([key]) => key)));
          followIndexes(place, keeper.held());
          void reportKeys();
        },
      },
      place,
    );
    keepers.set(place.root, keeper);
    return keeper;
  }

  /** Anybody may ask for roots that do not exist, and as many as they like. */
  function forgetIdle(): void {
    if (keepers.size < maxKeepers) return;
    for (const [root, keeper] of keepers) if (keeper.isIdle()) keepers.delete(root);
    maxKeepers = keepers.size + MAX_ABSENT_ROOTS;
  }

  function liveGenerations(): readonly Generation[] {
    return [...keepers.values()].flatMap((one) => one.held() ?? []);
  }

  function liveMembers(): readonly NamedKey[] {
    return liveGenerations().flatMap(({ parsed }) => parsed?.entries.map((entry) => named(members.keyOf(entry), entry.path)) ?? []);
  }

  function named(key: string, path: string): NamedKey {
    return [key, `${deps.mirror.name}/${path}`];
  }

  /** Retention spares what the published generations name, and the digest tables that were made of them. */
  async function reportKeys(): Promise<void> {
    const published = liveGenerations().flatMap(({ root, companions }) => [root, ...companions].map(({ key, path }) => named(key, path)));
    const tables = ((await deps.tables?.keys()) ?? []).map((key): NamedKey => [key, null]);
    deps.onPublished([...liveMembers(), ...published, ...tables]);
  }

  /** `isLost`: the store lost a part of the root's digest table. */
  function followIndexes(place: RepositoryPlace, held: RootContent | null, isLost = false): void {
    const { tables } = deps;
    if (held === null || tables === null) return;
    // The table of the generation that is published next is there already.
    if (!isLost && keepers.get(place.root)?.isNextPrepared() === true) return;
    void tables.prepare(place, held, members, isLost).then((isNew) => (isNew ? reportKeys() : undefined));
    if (place.kind === "pacman") void followDatabase(place);
  }

  /** Clients may ask for a database by another name only, or for its list of files: the packages are named by `<name>.db`. */
  async function followDatabase(place: RepositoryPlace): Promise<void> {
    const root = databaseOf(place.root);
    if (root === place.root || keepers.has(root)) return;
    const { kind } = await keeperOf({ ...place, root, role: "root" }).current();
    if (kind === "absent") forget(root);
  }
}
