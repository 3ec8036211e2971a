import type { RepositoryPlace } from "../../route/place.ts";
import { isReadable } from "../formats/decompress.ts";
import type { Entry } from "../formats/parsed-root.ts";
import type { RootContent } from "../members/generation.ts";
import { type Members, usedName } from "../members/members.ts";

/** One compression of an index. */
export interface IndexForm {
  /** Decoded canonical path below the mirror. */
  readonly path: string;
  /** Where it lies in the store, once it is there. */
  readonly key: string;
  /** What the root says of it; null where the root is the index itself, which is in the store already. */
  readonly entry: Entry | null;
}

/** A file that says which packages there are, and with what digests. */
export interface Index {
  /** Another one for other content. */
  readonly id: string;
  /** Its compressions, the one to try first at the front: a root names several, of which some may exist nowhere. */
  readonly forms: readonly IndexForm[];
}

/** What a table is to be made of. `why`: why a repository of this kind has no index to read, as a phrase; else null. */
export interface Choice {
  readonly indexes: readonly Index[];
  readonly why: string | null;
}

const NONE: Choice = { indexes: [], why: null };
/** Of deb the index that stands in for a root, where there is no Release. */
const DEB_INDEX = /(?:^|\/)(?:Packages|Sources)(?:\.[a-z0-9]+)?$/;

/**
 * The indexes to read: of rpm-md primary.xml; of deb each Packages and Sources that clients use; of pacman and Alpine the root itself.
 */
export function chooseIndexes(place: RepositoryPlace, { root, parsed }: RootContent, members: Members): Choice {
  const itself = [{ id: root.object.sha256 ?? root.object.version, forms: [{ path: root.path, key: root.key, entry: null }] }];
  switch (place.kind) {
    case "pacman":
      // `<name>.files` and `<name>.db.tar.*` name the same packages again, or those of long ago where they are left over (root-files.ts, `databaseOf`).
      return root.path.endsWith(".db") ? { indexes: itself, why: null } : NONE;
    case "apk":
      return root.path.endsWith(".adb") ? { indexes: [], why: "the format of apk 3 is not read here" } : { indexes: itself, why: null };
    case "rpm-md":
      return choose(
        place,
        Map.groupBy(
          named(parsed, ({ type }) => type === "primary"),
          ({ type = "" }) => type,
        ),
        members,
        "it names no primary.xml that can be read",
      );
    case "deb": {
      if (parsed === null && DEB_INDEX.test(root.path)) return { indexes: itself, why: null };
      const groups = Map.groupBy(
        named(parsed, ({ path }) => DEB_INDEX.test(path)),
        ({ path }) => path.replace(/\.[a-z0-9]+$/, ""),
      );
      for (const [name, forms] of groups) if (!forms.some((entry) => members.isUsed(usedName(place, entry)))) groups.delete(name);
      return choose(place, groups, members, "no client has asked for one of its Packages or Sources");
    }
    default:
      return NONE;
  }
}

function named(parsed: RootContent["parsed"], isIndex: (entry: Entry) => boolean): readonly Entry[] {
  return (parsed?.entries ?? []).filter(isIndex);
}

function choose(place: RepositoryPlace, groups: ReadonlyMap<string, readonly Entry[]>, members: Members, why: string): Choice {
  const indexes = [...groups.values()].map((same): Index => {
    // What clients use or the store has costs nothing; of the others the smallest. Every archive lists the form without compression, and few have it.
    const cost = (entry: Entry): number =>
      members.isUsed(usedName(place, entry)) ? 0 : members.has(entry) ? 1 : 2 + (entry.size ?? Infinity);
    // Each cost once, not at each comparison: a root may name 20,000 forms.
    const costs = same.filter(({ path }) => isReadable(path)).map((entry) => [entry, cost(entry)] as const);
    const forms = costs.toSorted(([, one], [, other]) => one - other || 0).map(([entry]) => entry);
    const id = same
      .map(({ digest }) => digest)
      .toSorted()
      .join(" ");
    return { id, forms: forms.map((entry) => ({ path: entry.path, key: members.keyOf(entry), entry })) };
  });
  return { indexes, why: indexes.length === 0 ? why : null };
}
