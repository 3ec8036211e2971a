/** Something that went wrong, at `at` in milliseconds since the epoch. `where`: the upstream's URL, or `<mirror>/<path>`. */
export interface TroubleLine {
  readonly at: number;
  readonly where: string;
  readonly kind: "refused" | "cut" | "fault" | "broken" | "breaker" | "answer" | "set-aside" | "rotten" | "unstored";
  readonly cause: string;
  /** When it ends, in milliseconds since the epoch, where that is known. */
  readonly until?: number;
}

/** Troubles of one kind at one mirror or upstream, for one reason: the newest of them, and how many there are. */
export interface TroubleGroup extends TroubleLine {
  readonly count: number;
  /** When the first of them came, in milliseconds since the epoch. */
  readonly since: number;
}

const MAX_GROUPS = 30;
/** What differs between two failures of one reason: paths, digests, and numbers such as those of bytes, ports and milliseconds. */
const PARTICULARS = /(?<![\w:/])\/?[\w%+~@.:-]*\/[\w%+~@.:/-]*[^\s;,:)"]|\b[0-9a-f]{16,}\b|\d+/g;

/** The latest troubles, in memory, in groups: one failure that comes back a thousand times pushes no other one out. */
export function createTroubles() {
  const groups = new Map<string, TroubleGroup>();

  return {
    add(line: TroubleLine): void {
      const name = groupOf(line);
      const before = groups.get(name);
      // To the end, where the newest are.
      groups.delete(name);
      groups.set(name, { ...line, count: (before?.count ?? 0) + 1, since: before?.since ?? line.at });
      for (const [oldest] of groups) if (groups.size > MAX_GROUPS) groups.delete(oldest);
    },
    /** The newest first. */
    list: (): readonly TroubleGroup[] => [...groups.values()].toReversed(),
  };
}

function groupOf({ where, kind, cause }: TroubleLine): string {
  const place = /^https?:/i.test(where) ? where : where.slice(0, where.indexOf("/") + 1);
  const path = where.slice(place.length);
  const reason = path === "" ? cause : cause.replaceAll(path, "");
  return `${kind} ${place} ${reason.replaceAll(PARTICULARS, "")}`;
}
