import { isReadable } from "../formats/decompress.ts";
import type { RootContent } from "../members/generation.ts";
import { type Members, usedName } from "../members/members.ts";
import type { Entry } from "../formats/parsed-root.ts";
import type { RepositoryPlace } from "../../route/place.ts";

/** A file that says which packages there are, and with what digests. */
export interface Index {
  /** Decoded canonical path below the mirror. */
  readonly path: string;
  /** Where it lies in the store, once it is there. */
  readonly key: string;
  /** Another one for other content: its digest, or its version where it has none. */
  readonly id: string;
  /** What the root says of it; null where the root is the index itself, which is in the store already. */
  readonly entry: Entry | null;
}

/**
 * The indexes to read: of rpm-md primary.xml; of deb one readable form of each Packages and Sources that clients use; of pacman the database itself.
 */
export function chooseIndexes(place: RepositoryPlace, { root, parsed }: RootContent, members: Members): readonly Index[] {
  if (place.kind === "pacman") {
    // Clients ask for `<name>.db`. `<name>.files` and `<name>.db.tar.*` name the same packages, or those of long ago where they are left over.
    const { sha256, version } = root.object;
    return root.path.endsWith(".db") ? [{ path: root.path, key: root.key, id: sha256 ?? version, entry: null }] : [];
  }
  const named = parsed?.entries ?? [];
  const isPrimary = ({ type, path }: Entry) => type === "primary" && isReadable(path);
  const entries = place.kind === "rpm-md" ? named.filter(isPrimary) : chooseDeb(place, named, members);
  return entries.map((entry) => ({ path: entry.path, key: members.keyOf(entry), id: entry.digest, entry }));
}

function chooseDeb(place: RepositoryPlace, entries: readonly Entry[], members: Members): readonly Entry[] {
  const forms = Map.groupBy(
    entries.filter(({ path }) => /(^|\/)(Packages|Sources)(\.[a-z0-9]+)?$/.test(path)),
    ({ path }) => path.replace(/\.[a-z0-9]+$/, ""),
  );
  return [...forms.values()].flatMap((same) => {
    if (!same.some((entry) => members.isUsed(usedName(place, entry)))) return [];
    const readable = same.filter(({ path }) => isReadable(path));
    // Every archive lists the form without compression, and few have it.
    const best =
      readable.find((entry) => members.isUsed(usedName(place, entry))) ?? readable.find(({ path }) => /\.\w+$/.test(path)) ?? readable[0];
    return best === undefined ? [] : [best];
  });
}
