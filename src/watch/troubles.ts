/** Something that went wrong, at `at` in milliseconds since the epoch. `where`: the upstream's URL, or `<mirror>/<path>`. */
export interface TroubleLine {
  readonly at: number;
  readonly where: string;
  readonly kind: "refused" | "cut" | "fault" | "broken" | "breaker" | "answer" | "set-aside" | "rotten" | "unstored";
  readonly cause: string;
  /** When it ends, in milliseconds since the epoch, where that is known. */
  readonly until?: number;
}

/** A trouble that came `count` times: the newest of them. */
export interface CountedTrouble extends TroubleLine {
  readonly count: number;
  /** When the first of them came, in milliseconds since the epoch. */
  readonly since: number;
}

const MAX_GROUPS = 30;
/** Of how many files or upstreams a group names the trouble. */
const MAX_PLACES = 10;
/** What differs between two failures of one reason: paths, digests, and numbers such as those of bytes, ports and milliseconds. */
const PARTICULARS = /(?<![\w:/])\/?[\w%+~@.:-]*\/[\w%+~@.:/-]*[^\s;,:)"]|\b[0-9a-f]{16,}\b|\d+/g;

interface Group {
  readonly all: CountedTrouble;
  /** By `where`, the newest last. */
  readonly places: Map<string, CountedTrouble>;
}

/** The latest troubles, in memory, in groups of one kind at one mirror or upstream for one reason: a failure that comes back a thousand times pushes no other one out. */
export function createTroubles() {
  const groups = new Map<string, Group>();

  return {
    add(line: TroubleLine): void {
      const name = groupOf(line);
      const { all, places } = groups.get(name) ?? { all: undefined, places: new Map<string, CountedTrouble>() };
      // To the end, where the newest are.
      groups.delete(name);
      groups.set(name, { all: again(all, line), places });
      dropOldest(groups, MAX_GROUPS);
      const before = places.get(line.where);
      places.delete(line.where);
      places.set(line.where, again(before, line));
      dropOldest(places, MAX_PLACES);
    },
    /** Of each group the newest, with the count of all; the newest first. */
    groups: (): readonly CountedTrouble[] => [...groups.values()].map(({ all }) => all).toReversed(),
    /** Of each file and upstream its own, as far as its group names them; the newest first. */
    places: (): readonly CountedTrouble[] =>
      [...groups.values()].flatMap(({ places }) => [...places.values()]).toSorted((a, b) => b.at - a.at),
  };
}

function again(before: CountedTrouble | undefined, line: TroubleLine): CountedTrouble {
  return { ...line, count: (before?.count ?? 0) + 1, since: before?.since ?? line.at };
}

function dropOldest(map: Map<string, unknown>, limit: number): void {
  for (const [oldest] of map) if (map.size > limit) map.delete(oldest);
}

function groupOf({ where, kind, cause }: TroubleLine): string {
  const place = /^https?:/i.test(where) ? where : where.slice(0, where.indexOf("/") + 1);
  const path = where.slice(place.length);
  const reason = path === "" ? cause : cause.replaceAll(path, "");
  return `${kind} ${place} ${reason.replaceAll(PARTICULARS, "")}`;
}
