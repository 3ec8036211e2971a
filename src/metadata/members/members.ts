import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { DAY_MS } from "../../http/units.ts";
import { contentKey, parseStoredObject } from "../../store/keys.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { byHashFolder, type NamedDigest } from "../../verify/expectation.ts";
import type { Entry } from "../formats/parsed-root.ts";
import type { EnsureStored, EnsureStoredAnswer } from "../ports/ensure-stored.ts";
import type { KeptState } from "../ports/kept-state.ts";

const OBJECT = "object:";
const USED = "used:";
/** A use is noted again after this long: one write a day for each file that clients keep asking for. */
const RENEW_MS = DAY_MS;

/** A member as its root names it. */
export interface MemberFile extends NamedDigest {
  /** Decoded canonical path below the mirror. */
  readonly path: string;
  /** Bytes, where the root says it. */
  readonly size?: number;
}

/** The files that roots name: which of them lie in the store, and which of them clients asked for. */
export interface Members {
  /** The key of the content with this digest, for this mirror. */
  keyOf(this: void, digest: NamedDigest): string;
  /**
   * Fetches a member into the store, verified by its digest; asks no upstream where it is known to be there. `candidates`: as `memberCandidates`
   * gives them.
   */
  ensure(member: MemberFile, candidates: readonly string[]): Promise<EnsureStoredAnswer>;
  /** Forgets that the store has the key: the store lost it, or nothing names it any more. */
  forget(key: string): void;
  /** Notes that clients use the member of this name (`usedName`). True where they did not before. */
  markUsed(name: string): boolean;
  /** Whether a client asked for it within `usedForMs`. */
  isUsed(name: string): boolean;
  /** Forgets all keys but these; the stored objects stay as long as retention keeps them. */
  keepOnly(keys: ReadonlySet<string>): void;
}

export interface MembersDependencies {
  readonly mirror: Mirror;
  readonly ensureStored: EnsureStored;
  readonly kept: KeptState;
  readonly now: () => number;
  /** A use is forgotten after this long. */
  readonly usedForMs: number;
}

export function createMembers({ mirror, ensureStored, kept, now, usedForMs }: MembersDependencies): Members {
  const stored = new Map<string, StoredObject>();
  const keyOf = (digest: NamedDigest) => contentKey(mirror, digest);
  return {
    keyOf,
    async ensure(member, candidates) {
      const key = keyOf(member);
      const known = stored.get(key) ?? parseStoredObject(kept.load(OBJECT + key) ?? "");
      if (known !== null) {
        stored.set(key, known);
        return { kind: "stored", object: known };
      }
      const { algorithm, digest, size } = member;
      const expectation = { algorithm, digest, source: "index", ...(size === undefined ? {} : { size }) } as const;
      const answer = await ensureStored({ mirror, candidates, key, expectation, class: "member" });
      if (answer.kind === "stored") {
        stored.set(key, answer.object);
        kept.save(OBJECT + key, JSON.stringify(answer.object));
      }
      return answer;
    },
    forget(key) {
      stored.delete(key);
      kept.remove(OBJECT + key);
    },
    markUsed(name) {
      const isNew = !isUsed(name);
      if (isNew || now() - usedAt(name) >= RENEW_MS) kept.save(USED + name, String(now()));
      return isNew;
    },
    isUsed,
    keepOnly(keys) {
      for (const name of kept.keys()) {
        if (!name.startsWith(OBJECT) || keys.has(name.slice(OBJECT.length))) continue;
        this.forget(name.slice(OBJECT.length));
      }
    },
  };

  function isUsed(name: string): boolean {
    return now() - usedAt(name) < usedForMs;
  }

  function usedAt(name: string): number {
    const at = kept.load(USED + name);
    return at === null ? -Infinity : Number(at);
  }
}

/** The paths at which an upstream may have a member: first the by-hash one, at which the content never changes, then the member's own. */
export function memberCandidates(member: MemberFile, byHash: boolean): readonly string[] {
  if (!byHash) return [member.path];
  const slash = member.path.lastIndexOf("/") + 1;
  return [`${member.path.slice(0, slash)}by-hash/${byHashFolder(member.algorithm)}/${member.digest}`, member.path];
}

/** The name under which a member's use is noted. Of rpm-md it is the type of data, since hash-prefixed file names change with each generation. */
export function usedName(place: Pick<RepositoryPlace, "kind" | "root">, entry: Entry): string {
  return place.kind === "rpm-md" ? `${place.root}#${entry.type}` : entry.path;
}
