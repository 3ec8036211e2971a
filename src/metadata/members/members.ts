import { elapsedMs } from "../../clock/elapsed.ts";
import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { DAY_MS } from "../../http/units.ts";
import { contentKey, parseStoredObject } from "../../store/keys.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { byHashFolder, type Expectation, type NamedDigest } from "../../verify/expectation.ts";
import type { Entry } from "../formats/parsed-root.ts";
import { groupName } from "./member-groups.ts";
import type { EnsureStored, EnsureStoredAnswer } from "../ports/ensure-stored.ts";
import type { KeptState } from "../ports/kept-state.ts";

const OBJECT = "object:";
const USED = "used:";
const GOT = "got:";
/** A use is noted again after this long: one write a day for each file that clients keep asking for. */
const RENEW_MS = DAY_MS;
/** A member that the store did not take is passed on for this long, before it is fetched for the store again. */
const UNKEPT_MS = 60_000;
/** A file that clients got within this long must be in a new generation too. */
const NEEDED_FOR_MS = 30 * DAY_MS;

export type Members = ReturnType<typeof createMembers>;

export interface MembersDependencies {
  readonly mirror: Mirror;
  readonly ensureStored: EnsureStored;
  readonly kept: KeptState;
  readonly now: () => number;
  /** A use is forgotten after this long. */
  readonly usedForMs: number;
}

/** The files that roots name: which of them lie in the store, and which of them clients got. */
export function createMembers({ mirror, ensureStored, kept, now, usedForMs }: MembersDependencies) {
  const stored = new Map<string, StoredObject>();
  /** When the store last did not take a member, by key. */
  const unkeptAt = new Map<string, number>();
  const keyOf = (digest: NamedDigest) => contentKey(mirror, digest);
  /** What has been saved, read at once: a root names up to 20,000 files, of most of which nothing is, and each question to the storage takes some 20 µs. */
  let names: Set<string> | null = null;
  return {
    /** The key of the content with this digest, for this mirror. */
    keyOf,
    /**
     * Fetches a member into the store, verified by its digest; asks no upstream where it is known to be there. `candidates`: as `memberCandidates`
     * gives them. `isAhead`: before a client asks for it.
     */
    async ensure(member: Entry, candidates: readonly string[], isAhead = false): Promise<EnsureStoredAnswer> {
      const key = keyOf(member);
      const known = stored.get(key) ?? parseStoredObject(load(OBJECT + key) ?? "");
      if (known !== null) {
        stored.set(key, known);
        return { kind: "stored", object: known };
      }
      if (elapsedMs(unkeptAt.get(key) ?? -Infinity, now()) < UNKEPT_MS)
        return { kind: "unkept", reason: `the store did not take ${key} a moment ago` };
      const answer = await ensureStored({ mirror, candidates, key, expectation: expectationOf(member), isAhead });
      if (answer.kind === "stored") {
        stored.set(key, answer.object);
        save(OBJECT + key, JSON.stringify(answer.object));
      }
      if (answer.kind === "unkept") unkeptAt.set(key, now());
      else unkeptAt.delete(key);
      return answer;
    },
    /** Whether the member is known to be in the store: `ensure` asks no upstream for it. */
    has(member: Entry): boolean {
      const key = keyOf(member);
      return stored.has(key) || load(OBJECT + key) !== null;
    },
    forget,
    /** Notes that a client got this member, in this form. True where clients did not use this form before. */
    noteGot(place: Pick<RepositoryPlace, "kind" | "root">, entry: Entry): boolean {
      const isNew = !isUsed(usedName(place, entry));
      renew(USED + usedName(place, entry));
      renew(GOT + groupName(place, entry));
      return isNew;
    },
    isUsed,
    /**
     * Whether a client got the file of this name (`groupName`), in any form, within the last 30 days. What earlier versions noted does not count: they
     * noted what clients asked for, also where the answer was 404.
     */
    wasGot: (name: string): boolean => elapsedMs(at(GOT + name), now()) < NEEDED_FOR_MS,
    /** Forgets all keys but these, and uses of long ago; the stored objects stay as long as retention keeps them. */
    keepOnly(keys: ReadonlySet<string>): void {
      for (const name of kept.keys()) {
        if (name.startsWith(OBJECT) && !keys.has(name.slice(OBJECT.length))) forget(name.slice(OBJECT.length));
        const isUse = name.startsWith(USED) || name.startsWith(GOT);
        if (isUse && elapsedMs(at(name), now()) >= Math.max(usedForMs, NEEDED_FOR_MS)) kept.remove(name);
      }
    },
  };

  function renew(name: string): void {
    if (elapsedMs(at(name), now()) >= RENEW_MS) save(name, String(now()));
  }

  /** Forgets that the store has the key: the store lost it, or nothing names it any more. */
  function forget(key: string): void {
    stored.delete(key);
    unkeptAt.delete(key);
    kept.remove(OBJECT + key);
  }

  /** Whether clients used the member of this name (`usedName`) within `usedForMs`. */
  function isUsed(name: string): boolean {
    return elapsedMs(at(USED + name), now()) < usedForMs;
  }

  function at(name: string): number {
    const text = load(name);
    return text === null ? -Infinity : Number(text);
  }

  /** Does not ask the storage for what was never saved. */
  function load(name: string): string | null {
    names ??= new Set(kept.keys());
    return names.has(name) ? kept.load(name) : null;
  }

  function save(name: string, value: string): void {
    names?.add(name);
    kept.save(name, value);
  }
}

/** What its root says of a member's content. */
export function expectationOf({ algorithm, digest, size }: Entry): Expectation {
  return { algorithm, digest, source: "index", ...(size === undefined ? {} : { size }) };
}

/** The paths at which an upstream may have a member: first the by-hash one, at which the content never changes, then the member's own. */
export function memberCandidates(member: Entry, byHash: boolean): readonly string[] {
  if (!byHash) return [member.path];
  const slash = member.path.lastIndexOf("/") + 1;
  return [`${member.path.slice(0, slash)}by-hash/${byHashFolder(member.algorithm)}/${member.digest}`, member.path];
}

/**
 * The name under which the use of a member in this form is noted. Of rpm-md it is the type of data, since hash-prefixed file names change with each
 * generation.
 */
export function usedName(place: Pick<RepositoryPlace, "kind" | "root">, entry: Entry): string {
  return place.kind === "rpm-md" ? `${place.root}#${entry.type}` : entry.path;
}
