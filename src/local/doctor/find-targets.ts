import type { Ask } from "./ask.ts";
import { attempt, bad, type Finding, good, unsure } from "./finding.ts";
import { followFolder, followPlace, isMiss, type Miss, nameOf, type Target, textOf } from "./follow.ts";
import { readSetup, readSetupList, type SetupPlace } from "./read-setup.ts";

const PAGE_BYTES = 256 * 1024;
/** Mirrors of one server that are looked at. */
const MAX_MIRRORS = 30;
const NAME_A_FILE = "Give the URL of a file of the mirror, such as https://<host>/debian/dists/stable/InRelease.";

/** From a URL of a mirror, of a folder of it or of the server (whose own URL is `site`), to files that its clients use. Yields what it asks, and returns what it found. */
export async function* findTargets(url: URL, site: URL, ask: Ask): AsyncGenerator<Finding, readonly Target[]> {
  const path = `${url.pathname}/`;
  const isSite = url.pathname === site.pathname || path === site.pathname || path.startsWith(`${site.pathname}-/`);
  if (isSite) {
    const list = await attempt(ask(new URL("./-/setup", site), { maxBytes: PAGE_BYTES }));
    const names = "error" in list || list.status !== 200 ? [] : readSetupList(list.body.toString("utf8"));
    if (names.length > 0) return yield* findOfMirrors(site, names, ask);
    if (!("error" in list) && list.status === 421) {
      yield unsure("mirrors", list.body.toString("utf8").trim(), "Give the URL of a mirror, or one with a name that the server knows.");
      return [];
    }
  } else if (!url.pathname.endsWith("/")) {
    const reply = await attempt(ask(url, { method: "HEAD" }));
    const isFolder = !("error" in reply) && [301, 302, 307, 308].includes(reply.status) && reply.headers.location?.endsWith("/") === true;
    if (!isFolder) return [{ name: nameOf(url), file: url, other: url, large: url }];
  }
  const folder = isSite ? site : new URL(url.pathname.replace(/\/*$/, "/"), url);
  const found = await followFolder(folder, ask);
  yield isMiss(found) ? bad("mirrors", `${found.why} at ${folder.href}`, NAME_A_FILE) : say(found);
  return isMiss(found) ? [] : [found];
}

/** One target for each mirror of the setup pages; those whose host the server's URL has come first. */
async function* findOfMirrors(site: URL, names: readonly string[], ask: Ask): AsyncGenerator<Finding, readonly Target[]> {
  yield good("mirrors", `${names.length}, as /-/setup lists them: ${names.join(", ")}`);
  if (names.length > MAX_MIRRORS) yield unsure("mirrors", `only the first ${MAX_MIRRORS} are looked at`);
  const seen = new Set<string>();
  const targets: Target[] = [];
  for (const name of names.slice(0, MAX_MIRRORS)) {
    const places = await readPlaces(new URL(`./-/setup/${name}`, site), ask);
    if (places.length === 0) yield unsure(name, `/-/setup/${name} names no URL that the doctor can use`, NAME_A_FILE);
    // Debian's page names the security archive too.
    for (const place of places.filter(({ base }) => !seen.has(base))) {
      seen.add(place.base);
      if (!URL.canParse(place.base)) {
        yield unsure(name, "the host of the given URL does not lead to it", NAME_A_FILE);
        continue;
      }
      const found = await followPlace(place, ask);
      yield isMiss(found) ? judgeMiss(name, found) : say(found);
      if (!isMiss(found)) targets.push(found);
    }
  }
  if (targets.length === 0) yield bad("files", "the doctor found no file of any mirror", NAME_A_FILE);
  return targets.toSorted((a, b) => Number(b.file.host === site.host) - Number(a.file.host === site.host));
}

async function readPlaces(page: URL, ask: Ask): Promise<readonly SetupPlace[]> {
  const first = await textOf(page, ask);
  // Of koji the first lines have no repository: mock's have.
  if (!first.startsWith("[kojid]")) return readSetup(first);
  page.search = "?for=mock";
  return readSetup(await textOf(page, ask));
}

function judgeMiss(name: string, { status, why }: Miss): Finding {
  if (status === 401) return unsure(name, why, "It requires a password: give --user name:password.");
  if (status === 403) return unsure(name, why, "It is not for this machine's address, or a firewall in front refuses the doctor.");
  if (status !== null && status < 500)
    return unsure(name, why, `Is its upstream's URL right? /-/why/${name}/ explains more. Or give the URL of a file that it has.`);
  return bad(
    name,
    why,
    "Check from the mirror's machine that the upstream answers; correct its URL in wrangler.toml, or add a second upstream.",
  );
}

function say({ name, root, file }: Target): Finding {
  return good(name, [...(root === undefined ? [] : [root.pathname]), file.pathname].join(" → "));
}
