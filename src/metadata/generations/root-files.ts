import type { RepositoryKind, RepositoryPlace } from "../../route/place.ts";
import { join } from "../formats/repository-path.ts";

/** The paths at which the root of a repository may lie, in order: the first that exists is the root. */
export function rootFiles({ kind, root }: Pick<RepositoryPlace, "kind" | "root">): readonly string[] {
  if (kind === "rpm-md") return [`${root}/repomd.xml`];
  if (kind === "deb") return [join(root, "InRelease"), join(root, "Release")];
  return [root];
}

/** The paths of a root's companions, which must be published together with it: signatures, keys, and the Release beside an InRelease. */
export function companionFiles(kind: RepositoryKind, rootFile: string): readonly string[] {
  if (kind === "rpm-md") return [`${rootFile}.asc`, `${rootFile}.key`];
  if (kind === "pacman") return [`${rootFile}.sig`];
  if (kind === "apk") return [];
  const slash = rootFile.lastIndexOf("/");
  const folder = rootFile.slice(0, Math.max(slash, 0));
  const signature = join(folder, "Release.gpg");
  return rootFile.slice(slash + 1) === "InRelease" ? [join(folder, "Release"), signature] : [signature];
}
