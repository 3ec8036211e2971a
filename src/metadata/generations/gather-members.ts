import type { Config } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { memberCandidates, type Members, usedName } from "../members/members.ts";
import type { Entry, ParsedRoot } from "../formats/parsed-root.ts";

const PARALLEL_FETCHES = 4;

export interface MemberDependencies {
  readonly place: RepositoryPlace;
  readonly members: Members;
  readonly limits: Pick<Config, "prefetchBytes">;
}

/**
 * Fetches into the store what clients are sure to ask for. Longer files than `prefetchBytes` come when a client asks for them. Resolves with null once
 * all is there, else with the reason why not, a sentence for the log.
 */
export async function gatherMembers({ members, place, limits }: MemberDependencies, root: ParsedRoot): Promise<string | null> {
  const wanted = root.entries.filter((entry) => isWanted(members, place, entry) && (entry.size ?? 0) <= limits.prefetchBytes);
  let reason: string | null = null;
  const next = wanted.values();
  const work = async (): Promise<void> => {
    for (const entry of next) {
      if (reason !== null) return;
      const answer = await members.ensure(entry, memberCandidates(entry, root.byHash));
      if (answer.kind === "absent") reason ??= `${entry.path} is named but not there`;
      if (answer.kind === "mismatch") reason ??= `${entry.path} is not the file that is named`;
      if (answer.kind === "failure") reason ??= answer.detail;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_FETCHES }, work));
  return reason;
}

function isWanted(members: Members, place: RepositoryPlace, entry: Entry): boolean {
  if (place.kind === "deb" || entry.path.endsWith(".zck")) return members.isUsed(usedName(place, entry));
  return entry.type?.endsWith("_db") !== true && !/\.sqlite(\.\w+)?$/.test(entry.path);
}
