import { isReadable } from "../formats/decompress.ts";
import type { RootContent } from "../members/generation.ts";
import { type Members, usedName } from "../members/members.ts";
import type { Entry } from "../formats/parsed-root.ts";
import type { RepositoryPlace } from "../../route/place.ts";

/** A file that says which packages there are, and with what digests. */
export interface Index {
  readonly path: string;
  /** Where it lies, once it is in the store. */
  readonly key: string;
  /** Differs where the content does. */
  readonly id: string;
  /** What the root says of it; null where the root is the index, and is in the store. */
  readonly entry: Entry | null;
}

/** Which indexes to read: primary.xml; of a deb repository, one readable form of each index that clients use; of pacman the database itself. */
export function chooseIndexes(place: RepositoryPlace, { root, parsed }: RootContent, members: Members): readonly Index[] {
  if (place.kind === "pacman") {
    // Clients ask for `<name>.db`. Its `.files` twin and its other names would only say the same again, or what was true long ago.
    const { sha256, version } = root.object;
    return root.path.endsWith(".db") ? [{ path: root.path, key: root.key, id: sha256 ?? version, entry: null }] : [];
  }
  const entries =
    parsed === null ? [] : place.kind === "rpm-md" ? parsed.entries.filter(isPrimary) : chooseDeb(place, parsed.entries, members);
  return entries.map((entry) => ({ path: entry.path, key: members.keyOf(entry), id: entry.digest, entry }));
}

function isPrimary({ type, path }: Entry): boolean {
  return type === "primary" && isReadable(path);
}

function chooseDeb(place: RepositoryPlace, entries: readonly Entry[], members: Members): readonly Entry[] {
  const forms = Map.groupBy(
    entries.filter(({ path }) => /(^|\/)(Packages|Sources)(\.[a-z0-9]+)?$/.test(path)),
    ({ path }) => path.replace(/\.[a-z0-9]+$/, ""),
  );
  return [...forms.values()].flatMap((same) => {
    if (!same.some((entry) => members.isUsed(usedName(place, entry)))) return [];
    const readable = same.filter(({ path }) => isReadable(path));
    // The plain form is listed by every archive and kept by few.
    const best =
      readable.find((entry) => members.isUsed(usedName(place, entry))) ?? readable.find(({ path }) => /\.\w+$/.test(path)) ?? readable[0];
    return best === undefined ? [] : [best];
  });
}
