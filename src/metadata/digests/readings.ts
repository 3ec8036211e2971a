import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { NamedPackage } from "../formats/named-package.ts";
import { foldersAbove } from "../formats/repository-path.ts";
import { resolveLocation } from "../formats/resolve-location.ts";

/** Ancestors of a flat repository's folder that may be the URL which clients were given. Deeper repositories are read as if the rest did not exist. */
const MAX_READINGS = 6;

/**
 * The paths of a mirror at which clients ask for a package, none twice; empty where it lies elsewhere.
 *
 * All kinds of repository write where a package lies relative to their base, but for flat deb repositories (`deb URL folder/`): there it is relative to
 * the URL (sources.list(5)), of which the mirror knows only that it is the folder of the index or one above it. So each of them is a reading.
 */
export function readingsOf(
  { kind, base, root }: Pick<RepositoryPlace, "kind" | "base" | "root">,
  indexPath: string,
  { location, base: xmlBase }: Pick<NamedPackage, "location" | "base">,
  { upstreams }: Pick<Mirror, "upstreams">,
): readonly string[] {
  const isFlat = kind === "deb" && root === base;
  const folders = isFlat ? foldersAbove(indexPath).slice(0, MAX_READINGS) : [base];
  const urls = upstreams.map(({ url }) => url);
  const paths = new Set<string>();
  for (const folder of folders) {
    const path = resolveLocation(folder, location, xmlBase, urls);
    if (path !== null && path !== "") paths.add(path);
  }
  return [...paths];
}

/** Whether a path lies in the folder `base`; all do in the mirror's top. */
export function isBelow(path: string, base: string): boolean {
  return base === "" || path.startsWith(`${base}/`);
}
