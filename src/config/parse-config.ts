import * as v from "valibot";
import type { Config, Mirror } from "./config.ts";
import { formatHostPattern, hostPattern, mirrorTable } from "./mirror-table.ts";
import { isTable, number, oneOf, problem, problemsOf, table, text } from "./table-schema.ts";

const MIB = 1_048_576;
/** R2 bills decimal gigabytes. */
const GB = 1_000_000_000;
const DAY_SECONDS = 86_400;
const DEFAULT_FIRST_BYTE_SECONDS = 5;

/** Names are the first folder of URLs and stored keys. None begins with `-`: `/-/health` and `-/v/<version>` are not mirrors. */
const MIRROR_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** The upper limits keep timers from overflowing, and buffers within an isolate's 128 MB. */
const scalars = table({
  METADATA_TTL_SECONDS: v.optional(number("seconds", 0, 7 * DAY_SECONDS), 60),
  METADATA_WAIT_SECONDS: v.optional(number("seconds", 0, 600), 10),
  RETENTION_DAYS: v.optional(number("days", 0.001, 36_500), 90),
  BUDGET_GB: v.optional(number("GB", 0.001, 1_000_000), 9),
  SLICE_MIB: v.optional(number("MiB", 0.0625, 32), 8),
  UPSTREAM_STALL_SECONDS: v.optional(number("seconds", 0.1, 600), 20),
  UPSTREAM_FIRST_BYTE_SECONDS: v.optional(number("seconds", 0.1, 600)),
  HOLD_MIB: v.optional(number("MiB", 0, 32), 4),
  HOLD_MS: v.optional(number("milliseconds", 0, 60_000), 1500),
  PREFETCH_MIB: v.optional(number("MiB", 0, 4096), 64),
  VERIFY: v.optional(oneOf(["index", "structure"])),
  PLAN: v.optional(oneOf(["free", "paid"]), "paid"),
  CONTACT_URL: v.optional(text(parseContactUrl)),
  /** `parseMirrors` parses it, so it is never present here. It is listed so that for `MIRROR` the message proposes `MIRRORS`. */
  MIRRORS: v.optional(v.never()),
});

const checkedScalars = v.pipe(
  scalars,
  v.forward(
    v.partialCheck(
      [["UPSTREAM_FIRST_BYTE_SECONDS"], ["UPSTREAM_STALL_SECONDS"]],
      (given) => (given.UPSTREAM_FIRST_BYTE_SECONDS ?? 0) <= given.UPSTREAM_STALL_SECONDS,
      "use no more than UPSTREAM_STALL_SECONDS",
    ),
    ["UPSTREAM_FIRST_BYTE_SECONDS"],
  ),
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
  const settings = v.safeParse(checkedScalars, Object.fromEntries(others.filter(([, value]) => !isBinding(value))));
  const { mirrors, problems } = parseMirrors(tables);
  if (!settings.success) return { ok: false, problems: [...problemsOf(settings.issues, ""), ...problems] };
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: createConfig(settings.output, mirrors) };
}

function createConfig(given: v.InferOutput<typeof scalars>, mirrors: ReadonlyMap<string, Mirror>): Config {
  const stallSeconds = given.UPSTREAM_STALL_SECONDS;
  return {
    mirrors,
    metadataTtlSeconds: given.METADATA_TTL_SECONDS,
    metadataWaitSeconds: given.METADATA_WAIT_SECONDS,
    retentionDays: given.RETENTION_DAYS,
    budgetBytes: Math.round(given.BUDGET_GB * GB),
    sliceBytes: Math.round(given.SLICE_MIB * MIB),
    upstreamStallSeconds: stallSeconds,
    // The default must not exceed a shorter stall limit.
    upstreamFirstByteSeconds: given.UPSTREAM_FIRST_BYTE_SECONDS ?? Math.min(DEFAULT_FIRST_BYTE_SECONDS, stallSeconds),
    holdBytes: Math.round(given.HOLD_MIB * MIB),
    holdMs: given.HOLD_MS,
    prefetchBytes: Math.round(given.PREFETCH_MIB * MIB),
    plan: given.PLAN,
    // To parse a distribution's index takes more than the free plan's 10 ms of CPU.
    verify: given.VERIFY ?? (given.PLAN === "free" ? "structure" : "index"),
    contactUrl: given.CONTACT_URL,
  };
}

/** A mirror's table before validation; `path` says where it is written: `MIRRORS.fedora`. */
interface Written {
  readonly path: string;
  readonly name: string;
  readonly keys: unknown;
}

function parseMirrors(tables: readonly (readonly [string, unknown])[]): { mirrors: Map<string, Mirror>; problems: string[] } {
  const problems: string[] = [];
  const written: Written[] = [];
  for (const [variable, value] of tables) {
    const named = typeof value === "string" ? parseJson(value) : value;
    if (isTable(named)) written.push(...Object.entries(named).map(([name, keys]) => ({ path: `${variable}.${name}`, name, keys })));
    else problems.push(problem(variable, value, "write a table of mirrors by name, or the same as JSON"));
  }
  // Otherwise a misspelt file would start a server without mirrors.
  if (written.length + problems.length === 0) {
    problems.push(problem("MIRRORS", undefined, "name at least one mirror: [vars.MIRRORS.<name>]"));
  }

  const mirrors = new Map<string, Mirror>();
  for (const { path, name, keys } of written) {
    if (!MIRROR_NAME.test(name)) {
      problems.push(problem(path, keys, "name a mirror by a-z, 0-9, dot, - and _, beginning with a letter or digit, at most 64"));
    }
    const mirror = v.safeParse(mirrorTable, keys);
    if (mirror.success) mirrors.set(name, { name, ...mirror.output });
    else problems.push(...problemsOf(mirror.issues, path));
  }
  problems.push(...takenTwice(written.map(({ path, name }) => ({ path, value: name }))), ...takenTwice(written.flatMap(hostsOf)));
  return { mirrors, problems };
}

/** Problems of names or hosts that two mirrors claim. */
function takenTwice(claims: readonly { readonly path: string; readonly value: string }[]): string[] {
  const owners = new Map<string, string>();
  return claims.flatMap(({ path, value }) => {
    const owner = owners.get(value);
    if (owner === undefined) owners.set(value, path);
    return owner === undefined ? [] : [problem(path, value, `it is taken by ${owner}`)];
  });
}

/** The valid hosts of a table that may have other problems. */
function hostsOf({ path, keys }: Written): { path: string; value: string }[] {
  const hosts: unknown[] = isTable(keys) && Array.isArray(keys["hosts"]) ? keys["hosts"] : [];
  return hosts.flatMap((written, index) => {
    const host = v.safeParse(hostPattern, written);
    return host.success ? [{ path: `${path}.hosts[${index}]`, value: formatHostPattern(host.output) }] : [];
  });
}

/** The value of JSON text; null for any other text, which then is reported as "not a table". */
function parseJson(written: string): unknown {
  try {
    return JSON.parse(written);
  } catch {
    return null;
  }
}

/** Bindings are functions or instances of the platform's classes, variables are plain JSON. */
function isBinding(value: unknown): boolean {
  if (typeof value === "function") return true;
  return isTable(value) && ![Object.prototype, null].includes(Object.getPrototypeOf(value));
}

function parseContactUrl(written: string) {
  const usable = /^(?:https?|mailto):[\x21-\x7e]+$/i.test(written) && !/[()]/.test(written) && URL.canParse(written);
  return usable
    ? { value: written }
    : { wanted: "use an http, https or mailto URL without spaces and parentheses: upstreams read it in the User-Agent" };
}
