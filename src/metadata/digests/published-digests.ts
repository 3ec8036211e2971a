import { distributionOf } from "../../config/distributions.ts";
import type { Target } from "../../route/target.ts";
import type { Expected } from "../../verify/expectation.ts";
import type { AskDigests, Naming } from "../ports/repositories.ts";
import { expectationsOf } from "./expectations.ts";
import { LostTableError, type Tables } from "./read-table.ts";
import { RECENT_MS } from "./remember-tables.ts";
import type { ListedTable, Lookup, LookUpTables } from "./table-directory.ts";
import type { TableRecord } from "./table-format.ts";

/** Suites of one archive that a look-up asks at most, and how many at the same time. */
const MAX_TABLES = 200;
const PARALLEL_TABLES = 6;

export type PublishedDigests = ReturnType<typeof createPublishedDigests>;

export interface PublishedDigestsDependencies {
  readonly tables: Pick<Tables, "lookUp">;
  readonly lookUp: LookUpTables;
  /** A repository of the mirror has answered for its metadata. */
  readonly noteAsked: (mirror: string) => void;
  /** The store lost a table of the repository of this base, or has one of an earlier version only: it is to make another. Never throws. */
  readonly onLost: (mirror: string, base: string) => void;
}

/** What one table says of a path. */
interface Named {
  readonly table: ListedTable;
  readonly records: readonly TableRecord[];
}

/**
 * Whether published indexes of a mirror name a path, and with what digests. Everything rejects if the directory of tables cannot be asked, and with
 * StoreError.
 */
export function createPublishedDigests({ tables, lookUp, noteAsked, onLost }: PublishedDigestsDependencies) {
  return {
    noteAsked,
    /** What the bytes of a file must match, or that no index names it. */
    async expected({ mirror, path }: Target, { waitMs = 0, maxAgeMs = Infinity }: AskDigests): Promise<Expected> {
      if (!isNameable({ mirror, path })) return { kind: "none" };
      let found = await ask(mirror.name, path, { maxAgeMs });
      const isNone = (): boolean => found.named.length === 0;
      // A table that was published since then may name it: clients ask for an update's new packages right away.
      if (isNone() && !found.isOpen && found.lookup.base !== null)
        found = await ask(mirror.name, path, { maxAgeMs: Math.min(maxAgeMs, RECENT_MS) });
      if (isNone() && found.isOpen && waitMs > 0) found = await ask(mirror.name, path, { waitMs });
      const [first, ...others] = found.named.flatMap(({ records }) => expectationsOf(records));
      if (first !== undefined)
        return { kind: "known", expectations: [first, ...others], ...(found.lookup.base === null ? { isReaching: true } : {}) };
      return found.isOpen ? { kind: "building" } : { kind: "none" };
    },
    /** Which index names a path, for a person who asks. */
    async explain({ mirror, path }: Target): Promise<Naming> {
      if (!isNameable({ mirror, path }))
        return { repository: null, roots: [], whys: ["indexes of this mirror name packages by other paths"] };
      const { lookup, named, isOpen } = await ask(mirror.name, path, { maxAgeMs: 0 });
      const whys = isOpen ? ["its table is being built", ...lookup.whys] : lookup.whys;
      return { repository: lookup.base, roots: named.map(({ table }) => table.root), whys };
    },
  };

  async function ask(mirror: string, path: string, options: AskDigests) {
    const lookup = await lookUp(mirror, path, options);
    const { named, isLost } = await askTables(mirror, lookup, path);
    return { lookup, named, isOpen: lookup.building || isLost };
  }

  /** `isLost`: a table that may name the path is not in the store. */
  async function askTables(
    mirror: string,
    lookup: Lookup,
    path: string,
  ): Promise<{ readonly named: readonly Named[]; readonly isLost: boolean }> {
    const named: Named[] = [];
    const lost = new Set<string>();
    if (lookup.isLost && lookup.base !== null) lost.add(lookup.base);
    const next = lookup.tables.slice(0, MAX_TABLES).values();
    const work = async (): Promise<void> => {
      for (const table of next) {
        try {
          const records = await tables.lookUp(table, path);
          if (records.length > 0) named.push({ table, records });
        } catch (error) {
          if (!(error instanceof LostTableError)) throw error;
          lost.add(table.base);
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_TABLES }, work));
    for (const base of lost) onLost(mirror, base);
    return { named, isLost: lost.size > 0 };
  }
}

function isNameable({ mirror, path }: Pick<Target, "mirror" | "path">): boolean {
  return path !== "" && !path.endsWith("/") && distributionOf(mirror.distro).indexesNamePackages !== false;
}
