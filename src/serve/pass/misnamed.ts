import type { Target } from "../../route/target.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";

/**
 * A file in `repodata/` whose name begins with hex digits as the ordinary file that it may be: only repomd.xml makes a digest of a name there. Null where
 * the name is a promise in any case: below `by-hash/` apt takes no other bytes.
 */
export function asOrdinaryFile(target: Target): Target | null {
  const { repository, mirror, path, query } = target;
  if (target.class !== "hashed" || repository?.kind !== "rpm-md") return null;
  return { ...target, class: "volatile", repository: null, key: `${mirror.name}/${path}${query}` };
}

/** Whether the root that the repository holds names the file; also where that cannot be found out now. Asks no upstream. */
export async function isKnownByRoot(target: Target, { repositories }: Pick<ServeDependencies, "repositories">): Promise<boolean> {
  if (target.repository === null) return false;
  const { digest: _ofName, ...place } = target.repository;
  const expected = await repositories.expected({ ...target, class: "member", repository: { ...place, role: "member" } });
  return expected.kind !== "none";
}

/** The same of the root that the upstream has, where the repository holds none yet. */
export async function isNamedByRoot(target: Target, deps: Pick<ServeDependencies, "repositories">): Promise<boolean> {
  const { mirror } = target;
  if (target.repository === null) return false;
  // With the digest it would be the file itself that is asked for.
  const { digest: _ofName, ...place } = target.repository;
  const path = `${place.root}/repomd.xml`;
  const root = { ...target, path, key: `${mirror.name}/${path}`, class: "root", repository: { ...place, role: "root" } } as const;
  const resolution = await deps.repositories.resolve(root);
  return resolution.kind === "failure" || isKnownByRoot(target, deps);
}
