import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { DAY_MS } from "../../http/units.ts";
import { contentKey, parseStoredObjectText } from "../../store/keys.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { BY_HASH_FOLDERS, type NamedDigest } from "../../verify/digest-name.ts";
import type { Entry } from "../formats/parsed-root.ts";
import type { EnsureStored, EnsureStoredAnswer } from "../ports/ensure-stored.ts";
import type { KeptState } from "../ports/kept-state.ts";

const OBJECT = "object:";
const USED = "used:";
/** A use that goes on is noted again after this long. */
const RENEW_MS = DAY_MS;

export interface MemberFile extends NamedDigest {
  readonly path: string;
  readonly size?: number;
}

/** The files that roots name: which of them lie in the store, and which of them clients asked for. */
export interface Members {
  /** Where the content of this digest lies, for this mirror. */
  keyOf(this: void, digest: NamedDigest): string;
  /** In the store after this, verified; at once where it is known to be there. */
  ensure(member: MemberFile, candidates: readonly string[]): Promise<EnsureStoredAnswer>;
  /** The store lost it, or nothing names it any more. */
  forget(key: string): void;
  /** True where it was not used before. */
  markUsed(name: string): boolean;
  isUsed(name: string): boolean;
  /** Keeps notes only of these keys; the objects themselves live for the retention. */
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
      const known = stored.get(key) ?? parseStoredObjectText(kept.load(OBJECT + key) ?? "");
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

/** Where a member may lie upstream: under its hash first (that never changes beneath us), then under its name. */
export function memberCandidates(member: MemberFile, byHash: boolean): readonly string[] {
  const folder = BY_HASH_FOLDERS[member.algorithm];
  if (!byHash || folder === undefined) return [member.path];
  const slash = member.path.lastIndexOf("/") + 1;
  return [`${member.path.slice(0, slash)}by-hash/${folder}/${member.digest}`, member.path];
}

/** Under what name a member's use is noted: hash-prefixed names change with each generation, the kind of data does not. */
export function usedName(place: Pick<RepositoryPlace, "kind" | "root">, entry: Entry): string {
  return place.kind === "rpm-md" ? `${place.root}#${entry.type}` : entry.path;
}
