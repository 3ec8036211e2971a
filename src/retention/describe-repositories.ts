import type { createHistory, RootLine } from "../watch/history.ts";
import { parseKeyPattern } from "../store/key-pattern.ts";
import type { Ledger } from "./ledger.ts";
import type { RepositoryLine, RepositoryList } from "./repository-list.ts";

/** A repository that has published something: what of it is stored, and how its roots stand. */
export interface RepositoryRow extends RepositoryLine {
  /** Stored files that its published generations name, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  readonly roots: readonly RootLine[];
}

/** One page. `after` continues with the next one, which may be empty; null: this was the last. */
export interface RepositoryPage {
  readonly rows: readonly RepositoryRow[];
  readonly after: string | null;
}

interface Sources {
  readonly list: Pick<RepositoryList, "page">;
  readonly ledger: Pick<Ledger, "namedBy">;
  readonly history: Pick<ReturnType<typeof createHistory>, "rootsBelow">;
}

/** The next page of the repositories with a root that the pattern (`parseKeyPattern`) may reach files of. Reads at most `limit` repositories. */
export function describeRepositories({ list, ledger, history }: Sources, written: string, after: string, limit: number): RepositoryPage {
  const pattern = parseKeyPattern(written);
  if (pattern === null) return { rows: [], after: null };
  const isReached = (path: string): boolean => pattern.matches(path) || pattern.reaches(`${path}/`);
  const lines = list.page(after, limit);
  const rows = lines.flatMap((line): readonly RepositoryRow[] => {
    const slash = line.name.indexOf("/");
    const mirror = line.name.slice(0, slash);
    const base = line.name.slice(slash + 1);
    const below = base === "" ? "" : `${base}/`;
    if (!pattern.reaches(`${mirror}/${below}`) && !isReached(line.name)) return [];
    const roots = history.rootsBelow(mirror, below).filter(({ root }) => isReached(`${mirror}/${root}`));
    return roots.length === 0 ? [] : [{ ...line, ...ledger.namedBy(line.name), roots }];
  });
  return { rows, after: lines.length < limit ? null : (lines.at(-1)?.name ?? null) };
}
