/** What to ask a mirror for; `host` where the name in a URL picks the mirror. */
export interface WarmTarget {
  readonly path: string;
  readonly host?: string;
}

/**
 * Files to fetch ahead, from whatever lists them, one a line:
 * - paths below the server: `fedora/updates/…` or `/fedora/…`;
 * - URLs, as `dnf download --url`, `dnf repoquery --location` and `apt-get --print-uris` (`'http://host/path' name size digest`) print them on a
 *   machine that uses the mirror;
 * - logs of another machine: this mirror's own lines, the common log format, squid's.
 *
 * Comments (`#`) and what is none of these are left out. Each target once, in order.
 */
export function parseWarmList(text: string): readonly WarmTarget[] {
  const targets = text.split(/\r?\n/).flatMap((line) => parseLine(line.trim()) ?? []);
  return [...new Map(targets.map((target) => [`${target.host ?? ""} ${target.path}`, target])).values()];
}

/** `GET x` of any log; our own says `GET  mirror:path`. */
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
  // Pages and listings are nothing to keep.
  if (!/^\/[^/]+\/./.test(path) || path.startsWith("/-/") || path.endsWith("/")) return null;
  return host === undefined ? { path } : { path, host };
}
