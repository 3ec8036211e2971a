import * as v from "valibot";
import { type Config, JURISDICTIONS, LOCATIONS, type Mirror } from "./config.ts";
import { formatHostPattern, hostPattern, operatorHosts, proxyNetworks, publicUrl, serverNames } from "./host-names.ts";
import { mirrorTable } from "./mirror-table.ts";
import { flag, GB, isTable, number, oneOf, problem, problemsOf, quotedText, table } from "./table-schema.ts";

const MIB = 1_048_576;
const DAY_SECONDS = 86_400;
const DEFAULT_FIRST_BYTE_SECONDS = 5;
/** A hundred years. */
const MAX_RETENTION_DAYS = 36_500;

/** Names are the first folder of URLs and stored keys. None begins with `-`: `/-/health` and `-/v/<version>` are not mirrors. */
const MIRROR_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const contactUrl = v.pipe(
  quotedText,
  v.check(
    (written) => /^(?:https?|mailto):[\x21-\x27\x2a-\x7e]+$/i.test(written) && URL.canParse(written),
    "use an http, https or mailto URL without spaces and parentheses: upstreams read it in the User-Agent",
  ),
);

/** The upper limits keep timers from overflowing, and buffers within an isolate's 128 MB. */
const scalars = v.pipe(
  table({
    METADATA_TTL_SECONDS: v.optional(number("seconds", 0, 7 * DAY_SECONDS), 60),
    METADATA_WAIT_SECONDS: v.optional(number("seconds", 0, 600), 10),
    DOUBT_SECONDS: v.optional(number("seconds", 0, 7 * DAY_SECONDS), 600),
    RETENTION_DAYS: v.optional(number("days", 0.001, MAX_RETENTION_DAYS), 90),
    OFFLINE: v.optional(flag, false),
    BUDGET_GB: v.optional(number("GB", 0.001, 1_000_000), 9),
    SLICE_MIB: v.optional(number("MiB", 0.0625, 32), 8),
    UPSTREAM_STALL_SECONDS: v.optional(number("seconds", 0.1, 600), 20),
    UPSTREAM_FIRST_BYTE_SECONDS: v.optional(number("seconds", 0.1, 600)),
    HOLD_MIB: v.optional(number("MiB", 0, 32), 4),
    HOLD_MS: v.optional(number("milliseconds", 0, 60_000), 1500),
    HOT_MIB: v.optional(number("MiB", 0, 65_536)),
    PREFETCH_MIB: v.optional(number("MiB", 0, 4096), 64),
    VERIFY: v.optional(oneOf(["index", "structure"])),
    SCRUB_KIB_PER_SECOND: v.optional(number("KiB", 0, 1_048_576)),
    PLAN: v.optional(oneOf(["free", "paid"]), "paid"),
    EDGE_CACHE: v.optional(oneOf(["tiered", "local"])),
    LOG: v.optional(oneOf(["lines", "sampled", "off"])),
    CONTACT_URL: v.optional(contactUrl),
    LOCATION: v.optional(oneOf(LOCATIONS)),
    JURISDICTION: v.optional(oneOf(JURISDICTIONS)),
    OPERATOR_HOSTS: v.optional(operatorHosts),
    SERVER_NAMES: v.optional(serverNames, []),
    PUBLIC_URL: v.optional(publicUrl),
    TRUSTED_PROXIES: v.optional(proxyNetworks, []),
    /** `parseMirrors` parses it, so it is never present here. It is listed so that for `MIRROR` the message proposes `MIRRORS`. */
    MIRRORS: v.optional(v.never()),
  }),
  v.forward(
    v.partialCheck(
      [["UPSTREAM_FIRST_BYTE_SECONDS"], ["UPSTREAM_STALL_SECONDS"]],
      ({ UPSTREAM_FIRST_BYTE_SECONDS: first, UPSTREAM_STALL_SECONDS: stall }) => first === undefined || first <= stall,
      "use no more than UPSTREAM_STALL_SECONDS",
    ),
    ["UPSTREAM_FIRST_BYTE_SECONDS"],
  ),
  v.transform((given): Omit<Config, "mirrors"> => ({
    metadataTtlSeconds: given.METADATA_TTL_SECONDS,
    metadataWaitSeconds: given.METADATA_WAIT_SECONDS,
    doubtSeconds: given.DOUBT_SECONDS,
    offline: given.OFFLINE,
    retentionDays: given.OFFLINE ? MAX_RETENTION_DAYS : given.RETENTION_DAYS,
    budgetBytes: Math.round(given.BUDGET_GB * GB),
    sliceBytes: Math.round(given.SLICE_MIB * MIB),
    upstreamStallSeconds: given.UPSTREAM_STALL_SECONDS,
    // The default must not exceed a shorter stall limit.
    upstreamFirstByteSeconds: given.UPSTREAM_FIRST_BYTE_SECONDS ?? Math.min(DEFAULT_FIRST_BYTE_SECONDS, given.UPSTREAM_STALL_SECONDS),
    holdBytes: Math.round(given.HOLD_MIB * MIB),
    holdMs: given.HOLD_MS,
    hotBytes: given.HOT_MIB === undefined ? undefined : Math.round(given.HOT_MIB * MIB),
    prefetchBytes: Math.round(given.PREFETCH_MIB * MIB),
    scrubBytesPerSecond: given.SCRUB_KIB_PER_SECOND === undefined ? undefined : Math.round(given.SCRUB_KIB_PER_SECOND * 1024),
    plan: given.PLAN,
    // Cloudflare counts each call of Workers Cache as a request, of which the free plan has 100,000 a day.
    edgeCache: given.EDGE_CACHE ?? (given.PLAN === "free" ? "local" : "tiered"),
    // To parse a distribution's index takes more than the free plan's 10 ms of CPU.
    verify: given.VERIFY ?? (given.PLAN === "free" ? "structure" : "index"),
    ...(given.LOG === undefined ? {} : { log: given.LOG }),
    contactUrl: given.CONTACT_URL,
    ...(given.LOCATION === undefined ? {} : { location: given.LOCATION }),
    ...(given.JURISDICTION === undefined ? {} : { jurisdiction: given.JURISDICTION }),
    serverNames: [...new Set([...given.SERVER_NAMES, ...(given.PUBLIC_URL === undefined ? [] : [given.PUBLIC_URL.host])])],
    ...(given.PUBLIC_URL === undefined ? {} : { publicUrl: given.PUBLIC_URL }),
    trustedProxies: given.TRUSTED_PROXIES,
    ...(given.OPERATOR_HOSTS === undefined ? {} : { operatorHosts: given.OPERATOR_HOSTS }),
  })),
);

/**
 * Validates `[vars]`: the scalars, and the merged tables `MIRRORS` and `MIRRORS_<anything>`. A table may also be JSON text (secrets are), and a number
 * a text of digits. Ignores bindings (R2, Durable Objects), so `vars` may be a Worker's whole `env`.
 * Returns every problem, each as `Cannot use <path> <value>: <what would be right>`.
 */
export function parseConfig(
  vars: Readonly<Record<string, unknown>>,
): { readonly ok: true; readonly config: Config } | { readonly ok: false; readonly problems: readonly string[] } {
  const { tables = [], others = [] } = Object.groupBy(Object.entries(vars), ([name]) => (/^MIRRORS(_|$)/.test(name) ? "tables" : "others"));
  const settings = v.safeParse(scalars, Object.fromEntries(others.filter(([, value]) => !isBinding(value))));
  const { mirrors, problems, quotas } = parseMirrors(tables, settings.success ? claimsOf(settings.output) : []);
  if (!settings.success) return { ok: false, problems: [...problemsOf(settings.issues, ""), ...problems] };
  const all = [...problems, ...quotas.flatMap((quota) => tooLarge(quota, settings.output.budgetBytes))];
  return all.length > 0 ? { ok: false, problems: all } : { ok: true, config: { mirrors, ...settings.output } };
}

/** The hosts that no mirror may have as a whole. */
function claimsOf({ operatorHosts: own = [], serverNames: names, publicUrl: given }: Omit<Config, "mirrors">): Claim[] {
  return [
    ...own.map((value, at) => ({ path: `OPERATOR_HOSTS[${at}]`, value })),
    ...names.map((value, at) => ({ path: given?.host === value ? "PUBLIC_URL" : `SERVER_NAMES[${at}]`, value })),
  ];
}

function tooLarge({ path, bytes }: Quota, budgetBytes: number): string[] {
  return bytes <= budgetBytes ? [] : [problem(`${path}.budget_gb`, bytes / GB, `use no more than BUDGET_GB, which is ${budgetBytes / GB}`)];
}

const anyTable = v.custom<Record<string, unknown>>(isTable);
const namedTables = v.union([anyTable, v.pipe(v.string(), v.parseJson(), anyTable)]);

/** A name or host that a mirror claims, and where it is written: `MIRRORS.fedora`, `MIRRORS.fedora.hosts[0]`. */
type Claim = { readonly path: string; readonly value: string };

/** What a mirror may take of the budget, and where that is written. */
type Quota = { readonly path: string; readonly bytes: number };

/** `taken`: hosts that no mirror may have. */
function parseMirrors(
  tables: readonly (readonly [string, unknown])[],
  taken: readonly Claim[],
): { mirrors: Map<string, Mirror>; problems: string[]; quotas: Quota[] } {
  const mirrors = new Map<string, Mirror>();
  const problems: string[] = [];
  const names: Claim[] = [];
  const hosts: Claim[] = [...taken];
  const quotas: Quota[] = [];
  for (const [variable, value] of tables) {
    const named = v.safeParse(namedTables, value);
    if (!named.success) problems.push(problem(variable, value, "write a table of mirrors by name, or the same as JSON"));
    for (const [name, keys] of Object.entries(named.success ? named.output : {})) {
      const path = `${variable}.${name}`;
      names.push({ path, value: name });
      hosts.push(...hostsOf(path, keys));
      if (!MIRROR_NAME.test(name)) {
        problems.push(problem(path, keys, "name a mirror by a-z, 0-9, dot, - and _, beginning with a letter or digit, at most 64"));
      }
      const mirror = v.safeParse(mirrorTable, keys);
      if (mirror.success) {
        const { budgetBytes: bytes } = mirror.output;
        if (bytes !== undefined) quotas.push({ path, bytes });
        mirrors.set(name, { name, ...mirror.output });
      } else problems.push(...problemsOf(mirror.issues, path));
    }
  }
  // Otherwise a misspelt file would start a server without mirrors.
  if (names.length + problems.length === 0) problems.push(problem("MIRRORS", undefined, "name at least one mirror: [vars.MIRRORS.<name>]"));
  problems.push(...takenTwice(names), ...takenTwice(hosts));
  return { mirrors, problems, quotas };
}

function takenTwice(claims: readonly Claim[]): string[] {
  const owners = new Map<string, string>();
  return claims.flatMap(({ path, value }) => {
    const owner = owners.get(value);
    if (owner === undefined) owners.set(value, path);
    return owner === undefined ? [] : [problem(path, value, `it is taken by ${owner}`)];
  });
}

/** The valid hosts of a table that may have other problems. */
function hostsOf(path: string, keys: unknown): Claim[] {
  const hosts: unknown[] = isTable(keys) && Array.isArray(keys["hosts"]) ? keys["hosts"] : [];
  return hosts.flatMap((written, index) => {
    const host = v.safeParse(hostPattern, written);
    return host.success ? [{ path: `${path}.hosts[${index}]`, value: formatHostPattern(host.output) }] : [];
  });
}

/** Bindings are functions or instances of the platform's classes, variables are plain JSON. */
function isBinding(value: unknown): boolean {
  if (typeof value === "function") return true;
  return isTable(value) && ![Object.prototype, null].includes(Object.getPrototypeOf(value));
}
