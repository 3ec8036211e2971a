import * as v from "valibot";
import { parseHost } from "../http/host.ts";
import { type Network, parseNetwork } from "../http/network.ts";
import { type Access, DISTROS, type HostPattern, type Mirror, PATH_CLASSES, type Upstream } from "./config.ts";
import { list, oneOf, type Parsed, table, text } from "./table-schema.ts";

/** Patterns run on every request. A longer one is probably a mistake, and may be slow. */
const MAX_PATTERN_CHARACTERS = 200;

const upstreamUrl = text(parseUpstreamUrl);

const upstream = v.lazy((input): v.GenericSchema<unknown, Upstream> =>
  typeof input === "string"
    ? v.pipe(
        upstreamUrl,
        v.transform((url) => ({ url, authorization: undefined })),
      )
    : v.pipe(
        table({ url: upstreamUrl, authorization: v.optional(text(parseAuthorization)) }),
        v.transform(({ url, authorization }) => ({ url, authorization })),
      ),
);

const MIN_PASSWORD_CHARACTERS = 8;

const access = v.pipe(
  table({
    users: v.optional(
      v.record(
        v.pipe(v.string(), v.regex(/^[^:\p{Cc}]{1,64}$/u, "name a user without colon, by at most 64 characters")),
        v.pipe(
          v.string("write a password in quotes"),
          v.minLength(MIN_PASSWORD_CHARACTERS, `use at least ${MIN_PASSWORD_CHARACTERS} characters`),
        ),
        "write a table of passwords by user name",
      ),
      {},
    ),
    networks: v.optional(list(text(parseAccessNetwork)), []),
  }),
  v.check(
    ({ users, networks }) => Object.keys(users).length + networks.length > 0,
    "name users, networks or both: without them no client can read this mirror",
  ),
  v.transform(({ users, networks }): Access => ({ users: new Map(Object.entries(users)), networks })),
);

/** One of `hosts`. Exported, as `parseConfig` also compares the hosts of mirrors that have other problems. */
export const hostPattern = text(parseHostPattern);

/** Schema of one `[vars.MIRRORS.<name>]`, without its name. */
export const mirrorTable = v.pipe(
  table({
    hosts: v.optional(list(hostPattern), []),
    distro: v.optional(oneOf(DISTROS)),
    upstreams: v.optional(v.pipe(list(upstream), v.minLength(1, "name at least one upstream URL")), []),
    redirect_hosts: v.optional(list(text(parseRedirectHost)), []),
    query: v.optional(list(text(parseParameterName)), []),
    classes: v.optional(list(table({ pattern: text(parsePattern), class: oneOf(PATH_CLASSES) })), []),
    access: v.optional(access),
  }),
  v.transform((keys): Omit<Mirror, "name"> => ({
    hosts: keys.hosts,
    distro: keys.distro,
    upstreams: keys.upstreams,
    redirectHosts: keys.redirect_hosts,
    allowedQuery: keys.query,
    classes: keys.classes,
    ...(keys.access === undefined ? {} : { access: keys.access }),
  })),
);

/** The pattern as it is written in `hosts`. */
export function formatHostPattern(pattern: HostPattern): string {
  return pattern.kind === "exact" ? pattern.host : `${pattern.label}.*`;
}

function parseHostPattern(written: string): Parsed<HostPattern> {
  const label = /^([a-z0-9_-]+)\.\*$/i.exec(written)?.[1];
  if (label !== undefined) return { value: { kind: "label", label: label.toLowerCase() } };
  const host = parseHost(written) ?? parseHost(`[${written}]`);
  if (host === null) return { wanted: 'use a host name or address ("mirror.example.com"), or a first label with .* ("fedora.*")' };
  const hasPort = host.startsWith("[") ? written.includes("]:") : written.includes(":");
  return hasPort ? { wanted: `leave the port out: ${host}` } : { value: { kind: "exact", host } };
}

function parseUpstreamUrl(written: string): Parsed<string> {
  if (!URL.canParse(written)) return { wanted: "use an absolute URL such as https://mirror.example.com/fedora" };
  const url = new URL(written);
  if (url.protocol !== "http:" && url.protocol !== "https:") return { wanted: "the scheme must be http or https" };
  if (url.username !== "" || url.password !== "") return { wanted: "leave the credentials out, and give them as { url, authorization }" };
  if (/[?#]/.test(written)) return { wanted: "leave query and fragment out" };
  return { value: url.href.replace(/\/+$/, "") };
}

/** RFC 9110 §5.5: a value with other characters, such as a line end, could end the header and begin another. */
function parseAuthorization(written: string): Parsed<string> {
  return /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(written) ? { value: written } : { wanted: 'use a header value such as "Bearer …"' };
}

function parseRedirectHost(written: string): Parsed<string> {
  // A suffix of one label would allow a whole top-level domain.
  const suffixed = /^\*\.(?=[^.]+\.)[a-z0-9_.-]+$/i.test(written) && parseHost(written.slice(2)) !== null;
  return suffixed || (parseHost(written) !== null && !written.endsWith("."))
    ? { value: written.toLowerCase() }
    : { wanted: 'use "host", "host:port" or "*.example.com"' };
}

function parseAccessNetwork(written: string): Parsed<Network> {
  const network = parseNetwork(written);
  return network === null ? { wanted: 'use an address or a network such as "192.0.2.0/24" or "2001:db8::/32"' } : { value: network };
}

function parseParameterName(written: string): Parsed<string> {
  return /^[\w.~-]{1,64}$/.test(written) ? { value: written } : { wanted: "use a parameter's name of letters, digits and - . _ ~" };
}

function parsePattern(written: string): Parsed<RegExp> {
  if (written === "" || written.length > MAX_PATTERN_CHARACTERS) return { wanted: `use 1 to ${MAX_PATTERN_CHARACTERS} characters` };
  try {
    return { value: new RegExp(written, "u") };
  } catch {
    return { wanted: "use a regular expression of JavaScript (flag u) on the path below the mirror" };
  }
}
