const SCHEME = "://";
const MAX_PATH_CHARACTERS = 1024;
const MAX_UPSTREAMS = 64;

/**
 * The canonical path below the mirror at which clients ask for a package, or null where that is no path of this mirror.
 * @param folder the folder that the index's relative locations are relative to, below the mirror and without slashes at its ends; "" is the top.
 * @param location as the index writes it: relative (`Packages/x.rpm`, `./x.deb`, `../../blob/x.rpm`), or an absolute URL.
 * @param base the `xml:base` of primary.xml: an absolute URL, or a folder relative to `folder`.
 * @param upstreams URLs that the mirror stands for: an absolute URL below one of them is a path of the mirror, any other is none.
 *
 * A relative location is a file's name, not a URL: dnf and zypper escape it (they ask for `b%2Bc.rpm` as `b%252Bc.rpm`), and apt does so for `%` too.
 * So it is not decoded. An absolute URL is sent as it is, so that its path is decoded once, as that of any request.
 */
export function resolveLocation(folder: string, location: string, base?: string, upstreams: readonly string[] = []): string | null {
  if (location.includes(SCHEME)) return belowUpstream(location, upstreams);
  if (base === undefined || base === "") return normalize(`${folder}/${location}`);
  if (!base.includes(SCHEME)) return normalize(`${folder}/${base}/${location}`);
  const above = belowUpstream(`${base}/`, upstreams);
  return above === null ? null : normalize(`${above}/${location}`);
}

/** The path of a URL below the first upstream that it begins with; "" is that upstream itself. */
function belowUpstream(url: string, upstreams: readonly string[]): string | null {
  const wanted = parseUrl(url);
  if (wanted === null) return null;
  for (const upstream of upstreams.slice(0, MAX_UPSTREAMS)) {
    const top = parseUrl(upstream);
    if (top === null || top.host !== wanted.host) continue;
    const prefix = top.path === "" ? "" : `${top.path}/`;
    if (wanted.path === top.path) return "";
    if (wanted.path.startsWith(prefix)) return wanted.path.slice(prefix.length);
  }
  return null;
}

/** Host with port, and decoded canonical path. The scheme is left out: one file lies under both, and mirrors are often configured with the other. */
function parseUrl(text: string): { readonly host: string; readonly path: string } | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:") || url.search !== "") return null;
  const path = normalize(decode(url.pathname) ?? "\0");
  return path === null ? null : { host: url.host, path };
}

function decode(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

/** Without empty and `.` parts, `..` resolved; null where it leads above the top, is too long, or could not be asked for (route/canonical-path.ts). */
function normalize(path: string): string | null {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) return null;
    } else if (part !== "" && part !== ".") {
      parts.push(part);
    }
  }
  const resolved = parts.join("/");
  return resolved.length > MAX_PATH_CHARACTERS || /[\p{Cc}\\?]/u.test(resolved) ? null : resolved;
}
