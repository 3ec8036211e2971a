/** A file to request. `path` is the request target; `host` is the URL's host, sent as Host because it may pick the mirror. */
export interface WarmTarget {
  readonly path: string;
  readonly host?: string;
}

/**
 * Parses a list of files to fetch, one per line:
 * - paths below the server: `fedora/updates/…` or `/fedora/…`;
 * - URLs, as `dnf download --url`, `dnf repoquery --location` and `apt-get --print-uris` (`'http://host/path' name size digest`) print them on a
 *   machine that uses the mirror;
 * - logs of another machine: this mirror's own lines, the common log format, squid's.
 *
 * Ignores comments (`#`) and lines that are none of these. Returns each target once, in the order of the list.
 */
export function parseWarmList(text: string): readonly WarmTarget[] {
  const targets = text.split(/\r?\n/).flatMap((line) => parseLine(line.trim()) ?? []);
  return [...new Map(targets.map((target) => [`${target.host ?? ""} ${target.path}`, target])).values()];
}

/** `GET <target>` in any log; our own log has `GET  <mirror>:<path>`. */
const REQUEST = /(?:^|[\s"])GET\s+(\S+)/;
const OWN_NOTATION = /^([a-z0-9][a-z0-9._-]*):(?!\/\/)(.+)$/;
const QUOTED_URL = /^'(https?:\/\/[^']+)'/;
const URL_PARTS = /^https?:\/\/([^/]+)(\/.*)$/i;

function parseLine(line: string): WarmTarget | null {
  if (line === "" || line.startsWith("#")) return null;
  const written = REQUEST.exec(line)?.[1] ?? QUOTED_URL.exec(line)?.[1] ?? (/\s/.test(line) ? undefined : line);
  if (written === undefined) return null;
  const [, host, rest] = URL_PARTS.exec(written) ?? [];
  const [, mirror, below] = OWN_NOTATION.exec(written) ?? [];
  const path = rest ?? (mirror === undefined ? written.replace(/^\/*/, "/") : `/${mirror}/${below}`);
  // The mirror's own pages and listings are not worth fetching ahead.
  if (!/^\/[^/]+\/./.test(path) || path.startsWith("/-/") || path.endsWith("/")) return null;
  return host === undefined ? { path } : { path, host };
}
