import { existsSync, readFileSync, statSync } from "node:fs";
import { type KeyPattern, parseKeyPattern } from "../../store/key-pattern.ts";
import type { MirrorClient } from "./mirror-client.ts";
import { type NamedPackage, pickPackages, readPackages } from "./package-paths.ts";
import { parseWarmLine, parseWarmList, type WarmTarget } from "./warm-list.ts";

/** What `warm` is to fetch; `problems`: sentences on arguments that name nothing; `skipped`: on lines of lists that do not count as failures. */
export interface WarmTargets {
  readonly targets: readonly WarmTarget[];
  readonly problems: readonly string[];
  readonly skipped: readonly string[];
}

/** Rows that are asked for at once: as many as the server gives at most. */
const PAGE = "999";
const WILDCARD = /[*?]/;

/**
 * Finds out what the arguments of `warm` mean, each by its form: a list on disk or `-` for the input, a path or URL, a pattern of packages' paths
 * (`debian/pool/main/h/hello/*.deb`), or the name of a package. Names are looked for in `repository`, else in the indexes that the mirror holds: in those of
 * the mirror that the first word names.
 */
export async function findTargets(what: readonly string[], repository: string | undefined, client: MirrorClient): Promise<WarmTargets> {
  const targets: WarmTarget[] = [];
  const problems: string[] = [];
  const skipped: string[] = [];
  const names: string[] = [];
  const indexes = createIndexes(client, repository);
  for (const one of what) {
    if (one === "-" || isFile(one)) {
      const list = parseWarmList(readFileSync(one === "-" ? 0 : one, "utf8"));
      targets.push(...list.targets);
      skipped.push(
        ...list.skipped.map(({ line, text, why }) => `Skipped line ${line} of ${one === "-" ? "the input" : one}, "${text}": ${why}`),
      );
    } else if (WILDCARD.test(one)) {
      const found = await matchPackages(one, repository, indexes);
      if (found.length === 0) problems.push(`Cannot find "${one}": no index that the mirror holds names such a package`);
      targets.push(...found);
    } else if (one.includes("/")) {
      const target = parseWarmLine(one);
      if (typeof target === "string") problems.push(`Cannot warm "${one}": ${target}`);
      else targets.push(target);
    } else names.push(one);
  }
  if (names.length > 0) {
    const found = await findNames(names, repository, indexes, client);
    targets.push(...found.paths.map(toTarget));
    problems.push(...found.problems);
  }
  const distinct = new Map(targets.map((target) => [`${target.host ?? ""} ${target.path}`, target]));
  return { targets: [...distinct.values()], problems, skipped };
}

type Indexes = ReturnType<typeof createIndexes>;

/** The repositories whose indexes the mirror holds, and their packages, each read once. */
function createIndexes(client: MirrorClient, repository: string | undefined) {
  const packages = new Map<string, Promise<readonly NamedPackage[]>>();
  return {
    /** Folders as `readPackages` takes them. */
    async folders(mirror: string): Promise<readonly string[]> {
      if (repository !== undefined) return [repository];
      const found = new Set<string>();
      const objects = client.rows((after) =>
        client.verb("GET", `/objects?${query({ pattern: `${mirror}/*/Packages*`, after, limit: PAGE })}`),
      );
      for await (const { paths } of objects) {
        for (const path of (paths ?? []) as readonly string[]) {
          const [, folder] = /^(.+\/dists\/.+)\/Packages(?:\.\w+)?$/.exec(path) ?? [];
          if (folder !== undefined && folder.startsWith(`${mirror}/`)) found.add(folder);
        }
      }
      const repositories = client.rows((after) =>
        client.verb("GET", `/repositories?${query({ pattern: `${mirror}/*`, after, limit: PAGE })}`),
      );
      for await (const { roots } of repositories) {
        for (const { root } of roots as readonly { readonly root: string }[]) {
          if (root === "repodata" || root.endsWith("/repodata")) found.add(`${mirror}/${root}`.slice(0, -"/repodata".length));
        }
      }
      return [...found].toSorted();
    },
    packagesIn(folder: string): Promise<readonly NamedPackage[]> {
      const known = packages.get(folder) ?? readPackages(folder, client.read);
      packages.set(folder, known);
      return known;
    },
  };
}

async function matchPackages(written: string, repository: string | undefined, indexes: Indexes): Promise<readonly WarmTarget[]> {
  const pattern = parseKeyPattern(written) as KeyPattern;
  const [mirror = ""] = pattern.text.split("/", 1);
  if (repository === undefined && (WILDCARD.test(mirror) || mirror === pattern.text))
    throw new Error(`Cannot find "${written}": begin a pattern with a mirror's name, as in debian/pool/main/h/hello/*.deb`);
  const found: WarmTarget[] = [];
  for (const folder of await indexes.folders(mirror)) {
    const packages = await indexes.packagesIn(folder);
    for (const { path, name } of packages) if (pattern.matches(path) || pattern.matches(name)) found.push(toTarget(path));
  }
  return found;
}

async function findNames(
  words: readonly string[],
  repository: string | undefined,
  indexes: Indexes,
  client: MirrorClient,
): Promise<{ readonly paths: readonly string[]; readonly problems: readonly string[] }> {
  const [mirror = "", ...others] = words;
  if (repository === undefined) {
    const mirrors = await client.mirrors();
    if (!mirrors.includes(mirror))
      throw new Error(
        `Cannot tell what "${mirror}" is: name a list on disk, a path, a mirror (${mirrors.join(", ")}) and its packages, or --repository`,
      );
    if (others.length === 0)
      throw new Error(`Cannot warm all of ${mirror}: name packages after it, or a pattern such as '${mirror}/*hello*'`);
  }
  const names = repository === undefined ? others : words;
  const folders = await indexes.folders(mirror);
  if (folders.length === 0)
    throw new Error(`Cannot find packages of ${mirror}: the mirror holds no index of it yet; name its folder with --repository`);
  const found = await Promise.all(folders.map(async (folder) => ({ folder, packages: await indexes.packagesIn(folder) })));
  const paths: string[] = [];
  const problems: string[] = [];
  for (const name of names) {
    const having = found.filter(({ packages }) => packages.some((one) => one.name === name));
    // The components and architectures of one suite are one repository to a user.
    const places = new Set(having.map(({ folder }) => folder.replace(/(\/dists\/[^/]+).*$/, "$1")));
    if (having.length === 0) problems.push(`Cannot find the package ${name} in ${repository ?? folders.join(", ")}`);
    else if (places.size > 1)
      problems.push(
        `Cannot choose among the repositories that have ${name}: ${having.map(({ folder }) => folder).join(", ")}; name one with --repository`,
      );
    else paths.push(...having.flatMap(({ packages }) => pickPackages(packages, [name]).paths));
  }
  return { paths, problems };
}

const toTarget = (path: string): WarmTarget => ({ path: `/${path}` });

function isFile(path: string): boolean {
  return existsSync(path) && !statSync(path).isDirectory();
}

function query(fields: Readonly<Record<string, string>>): string {
  return String(new URLSearchParams(fields));
}
