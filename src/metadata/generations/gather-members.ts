import type { Config } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { groupMembers, groupName, isAlwaysNeeded, isDatabase, isNeededOnceGot, type MemberGroup } from "../members/member-groups.ts";
import { memberCandidates, type Members, usedName } from "../members/members.ts";
import type { Entry, ParsedRoot } from "../formats/parsed-root.ts";
import type { EnsureStoredAnswer } from "../ports/ensure-stored.ts";

const PARALLEL_FETCHES = 4;
/** All that is fetched ahead for one generation, but for what clients cannot do without. */
const MAX_AHEAD_BYTES = 128 * 1_048_576;

export interface MemberDependencies {
  readonly place: RepositoryPlace;
  readonly members: Members;
  readonly limits: Pick<Config, "prefetchBytes">;
}

/** A file that the root names and that cannot be had. `reason`: a sentence for the log. */
export interface MissingFile {
  readonly path: string;
  readonly reason: string;
}

/** What is taken as the upstream has it, since it has held the generation back for long enough (root-keeper.ts decides). */
export interface TakesMembers {
  /** A file that clients cannot do without. */
  readonly needed: boolean;
  /** A file that could not be fetched just now. */
  readonly unfetched: boolean;
}

export type Gathered =
  /** All that clients are sure to ask for is in the store, but for the holes. */
  | { readonly kind: "complete"; readonly holes: readonly MissingFile[] }
  /** A file that clients cannot do without cannot be had (`needed`), or another one could not be fetched just now (`sync`). */
  | { readonly kind: "needed" | "sync"; readonly reason: string };

/**
 * Fetches into the store what clients are sure to ask for. Longer files than `prefetchBytes` come when a client asks for them. `has`: the files (by
 * `groupName`) that the held generation has; null: no generation is held. What it lacks is not waited for in the next one either.
 */
export async function gatherMembers(
  { members, place, limits }: MemberDependencies,
  root: ParsedRoot,
  has: ReadonlySet<string> | null,
  takes: TakesMembers,
): Promise<Gathered> {
  const isHad = (name: string): boolean => has?.has(name) ?? true;
  const isNeeded = (name: string): boolean =>
    isHad(name) && (isAlwaysNeeded(place, name) || (isNeededOnceGot(place, name) && members.wasGot(name)));
  const isUsed = (entry: Entry): boolean => members.isUsed(usedName(place, entry));
  const groups = groupMembers(place, root.entries).filter(({ name, forms }) => isNeeded(name) || forms.some(isWanted));
  const next = withinLimit(groups.toSorted((a, b) => Number(isNeeded(b.name)) - Number(isNeeded(a.name)))).values();
  const holes: MissingFile[] = [];
  let obstacle: Gathered | null = null;
  const work = async (): Promise<void> => {
    for (const group of next) {
      if (obstacle !== null) return;
      const missing = await gatherGroup(group);
      if (missing === null) continue;
      if (isNeeded(group.name) && !takes.needed) obstacle ??= { kind: "needed", reason: missing.reason };
      else if (missing.isTransport && isHad(group.name) && !takes.unfetched) obstacle ??= { kind: "sync", reason: missing.reason };
      else holes.push({ path: missing.path, reason: missing.reason });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_FETCHES }, work));
  return obstacle ?? { kind: "complete", holes };

  /** Whether it is fetched ahead: of deb what clients used, of rpm-md all but the forms that few clients read. */
  function isWanted(entry: Entry): boolean {
    if (place.kind === "deb" || entry.type?.endsWith("_zck") === true || entry.path.endsWith(".zck")) return isUsed(entry);
    return !isDatabase(entry);
  }

  /** Fetches the wanted forms, and the others in turn only where none of those can be had. Null: one can, or is too long to try. */
  async function gatherGroup({ forms }: MemberGroup): Promise<(MissingFile & { readonly isTransport: boolean }) | null> {
    const wanted = new Set(forms.filter(isWanted));
    const others = forms.filter((entry) => !wanted.has(entry) && !isDatabase(entry));
    let missing: MissingFile | null = null;
    let isTransport = false;
    let isThere = false;
    for (const entry of [...wanted, ...others]) {
      if (isThere && !wanted.has(entry)) break;
      if ((entry.size ?? 0) > limits.prefetchBytes) {
        isThere = true;
        continue;
      }
      const answer = await members.ensure(entry, memberCandidates(entry, root.byHash), true);
      // What there is no room for, or the store does not take, a client's own request gets as the upstream has it: it holds nothing back.
      if (answer.kind === "stored" || answer.kind === "no-room" || answer.kind === "unkept") {
        isThere = true;
        continue;
      }
      isTransport ||= answer.kind === "failure";
      missing ??= { path: entry.path, reason: describeMissing(entry, answer) };
    }
    return isThere || missing === null ? null : { ...missing, isTransport };
  }

  /** Leaves out what goes beyond the limit for the whole generation; what comes first counts first. */
  function withinLimit(sorted: readonly MemberGroup[]): readonly MemberGroup[] {
    let total = 0;
    return sorted.filter(({ name, forms }) => {
      const size = forms
        .filter((entry) => isWanted(entry) && !members.has(entry))
        // A root that does not state the length of a file may name one as long as any.
        .map((entry) => entry.size ?? limits.prefetchBytes)
        .reduce((sum, bytes) => (bytes > limits.prefetchBytes ? sum : sum + bytes), 0);
      if (total + size > MAX_AHEAD_BYTES && !isNeeded(name)) return false;
      total += size;
      return true;
    });
  }
}

/** The files that a generation has: what its root names, without its holes. */
export function filesOf(place: RepositoryPlace, root: ParsedRoot, holes: readonly Pick<MissingFile, "path">[]): ReadonlySet<string> {
  const missing = new Set(holes.map(({ path }) => path));
  const names = new Set(root.entries.map((entry) => groupName(place, entry)));
  for (const entry of root.entries) if (missing.has(entry.path)) names.delete(groupName(place, entry));
  return names;
}

/** Why a member cannot be had, as a sentence for the log. */
export function describeMissing({ path }: Pick<Entry, "path">, answer: Exclude<EnsureStoredAnswer, { kind: "stored" | "unkept" }>): string {
  if (answer.kind === "absent") return `${path} is named but not there`;
  if (answer.kind === "no-room") return `there is no room for ${path}`;
  return answer.kind === "mismatch" ? `${path} is not the file that is named` : answer.detail;
}
