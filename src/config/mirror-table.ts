import * as v from "valibot";
import { parseHost } from "../http/host.ts";
import { type Access, DISTROS, type Mirror, PATH_CLASSES, type Upstream } from "./config.ts";
import { hostPattern, networks as accessNetworks } from "./host-names.ts";
import { GB, list, number, oneOf, type Parsed, parsedText, quotedText, table } from "./table-schema.ts";

/** Patterns run on every request. A longer one is probably a mistake, and may be slow. */
const MAX_PATTERN_CHARACTERS = 200;

const upstreamUrl = parsedText(parseUpstreamUrl);

/** RFC 9110 §5.5: a value with other characters, such as a line end, could end the header and begin another. */
const authorization = v.pipe(quotedText, v.regex(/^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/, 'use a header value such as "Bearer …"'));

const upstream = v.lazy((input): v.GenericSchema<unknown, Upstream> =>
  typeof input === "string"
    ? v.pipe(
        upstreamUrl,
        v.transform((url) => ({ url })),
      )
    : table({ url: upstreamUrl, authorization: v.optional(authorization) }),
);

const access = v.pipe(
  table({
    users: v.optional(
      v.record(
        v.pipe(v.string(), v.regex(/^[^:\p{Cc}]{1,64}$/u, "name a user without colon, by at most 64 characters")),
        v.pipe(v.string("write a password in quotes"), v.minLength(8, "use at least 8 characters")),
        "write a table of passwords by user name",
      ),
      {},
    ),
    networks: v.optional(accessNetworks, []),
  }),
  v.check(
    ({ users, networks }) => Object.keys(users).length + networks.length > 0,
    "name users, networks or both: without them no client can read this mirror",
  ),
  v.transform(({ users, networks }): Access => ({ users: new Map(Object.entries(users)), networks })),
);

const redirectHost = v.pipe(quotedText, v.check(isRedirectHost, 'use "host", "host:port" or "*.example.com"'), v.toLowerCase());
const parameterName = v.pipe(quotedText, v.regex(/^[\w.~-]{1,64}$/, "use a parameter's name of letters, digits and - . _ ~"));

/** Schema of one `[vars.MIRRORS.<name>]`, without its name. */
export const mirrorTable = v.pipe(
  table({
    hosts: v.optional(list(hostPattern), []),
    distro: v.optional(oneOf(DISTROS)),
    upstreams: v.optional(v.pipe(list(upstream), v.minLength(1, "name at least one upstream URL")), []),
    redirect_hosts: v.optional(list(redirectHost), []),
    query: v.optional(list(parameterName), []),
    classes: v.optional(list(table({ pattern: parsedText(parsePattern), class: oneOf(PATH_CLASSES) })), []),
    access: v.optional(access),
    budget_gb: v.optional(number("GB", 0.001, 1_000_000)),
  }),
  v.transform(
    ({
      hosts,
      distro,
      upstreams,
      redirect_hosts: redirectHosts,
      query: allowedQuery,
      classes,
      access: given,
      budget_gb: budget,
    }): Omit<Mirror, "name"> => {
      return {
        hosts,
        distro,
        upstreams,
        redirectHosts,
        allowedQuery,
        classes,
        ...(given === undefined ? {} : { access: given }),
        ...(budget === undefined ? {} : { budgetBytes: Math.round(budget * GB) }),
      };
    },
  ),
);

function parseUpstreamUrl(written: string): Parsed<string> {
  if (!URL.canParse(written)) return { wanted: "use an absolute URL such as https://mirror.example.com/fedora" };
  const url = new URL(written);
  if (!["http:", "https:", "file:"].includes(url.protocol)) return { wanted: "the scheme must be http, https or file" };
  if (url.username !== "" || url.password !== "") return { wanted: "leave the credentials out, and give them as { url, authorization }" };
  if (/[?#]/.test(written)) return { wanted: "leave query and fragment out" };
  if (url.protocol === "file:" && (url.host !== "" || url.pathname === "/")) {
    return { wanted: "name a folder of this machine by its whole path, such as file:///srv/mirror/debian" };
  }
  return { value: url.href.replace(/\/+$/, "") };
}

function isRedirectHost(written: string): boolean {
  // A suffix of one label would allow a whole top-level domain.
  if (/^\*\.(?=[^.]+\.)[a-z0-9_.-]+$/i.test(written)) return parseHost(written.slice(2)) !== null;
  return parseHost(written) !== null && !written.endsWith(".");
}

function parsePattern(written: string): Parsed<RegExp> {
  if (written === "" || written.length > MAX_PATTERN_CHARACTERS) return { wanted: `use 1 to ${MAX_PATTERN_CHARACTERS} characters` };
  try {
    return { value: new RegExp(written, "u") };
  } catch {
    return { wanted: "use a regular expression of JavaScript (flag u) on the path below the mirror" };
  }
}
