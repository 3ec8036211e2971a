/** A file to request. `path` is the request target; `host` is the URL's host, sent as Host because it may pick the mirror. */
export interface WarmTarget {
  readonly path: string;
  readonly host?: string;
}

/** A line that names no file. `line` counts from 1. */
export interface SkippedLine {
  readonly line: number;
  readonly text: string;
  /** A phrase. */
  readonly why: string;
}

/**
 * Parses a list of files to fetch, one per line:
 * - paths below the server: `fedora/updates/…` or `/fedora/…`;
 * - URLs, as `dnf download --url`, `dnf repoquery --location` and `apt-get --print-uris` (`'http://host/path' name size digest`) print them on a
 *   machine that uses the mirror;
 * - logs of another machine: this mirror's own lines, the common log format, squid's.
 *
 * Ignores comments (`#`) and empty lines; lines that are none of these are `skipped`. Returns each target once, in the order of the list.
 */
export function parseWarmList(text: string): { readonly targets: readonly WarmTarget[]; readonly skipped: readonly SkippedLine[] } {
  const targets = new Map<string, WarmTarget>();
  const skipped: SkippedLine[] = [];
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const parsed = parseWarmLine(line);
    if (typeof parsed === "string") skipped.push({ line: at + 1, text: line, why: parsed });
    else targets.set(`${parsed.host ?? ""} ${parsed.path}`, parsed);
  }
  return { targets: [...targets.values()], skipped };
}

/** `GET <target>` in any log; our own log has `GET  <mirror>:<path>`. */
const REQUEST = /(?:^|[\s"])GET\s+(\S+)/;
const OTHER_REQUEST = /(?:^|[\s"])(?:HEAD|POST|PUT|DELETE|CONNECT|OPTIONS)\s+\S+/;
const OWN_NOTATION = /^([a-z0-9][a-z0-9._-]*):(?!\/\/)(.+)$/;
const QUOTED_URL = /^'(https?:\/\/[^']+)'/;
const URL_PARTS = /^https?:\/\/([^/]+)(\/.*)$/i;

/** One line of such a list; a text: why it names no file. */
export function parseWarmLine(line: string): WarmTarget | string {
  const written = REQUEST.exec(line)?.[1] ?? QUOTED_URL.exec(line)?.[1] ?? (/\s/.test(line) ? undefined : line);
  if (written === undefined) return OTHER_REQUEST.test(line) ? "it is no GET" : "it holds no path, no URL and no request";
  const [, host, rest] = URL_PARTS.exec(written) ?? [];
  const [, mirror, below] = OWN_NOTATION.exec(written) ?? [];
  const path = rest ?? (mirror === undefined ? written.replace(/^\/*/, "/") : `/${mirror}/${below}`);
  // The mirror's own pages and listings are not worth fetching ahead.
  if (path.startsWith("/-/")) return "it is a page of the mirror itself";
  if (path.endsWith("/")) return "it is a folder, not a file";
  if (!/^\/[^/]+\/./.test(path)) return "it names no file of a mirror: wanted <mirror>/<path>";
  return host === undefined ? { path } : { path, host };
}
