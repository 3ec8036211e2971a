import { totalmem } from "node:os";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { adminTokenPath, readTokenPath } from "../admin-token.ts";

/** The `[vars]` table of a wrangler.toml, as it stands there. */
export type Vars = Readonly<Record<string, unknown>>;

/** What one instance's configuration has that the operator's has not. */
export interface InstanceShare {
  /** `1`, `2`, …. */
  readonly name: string;
  /** How many instances share the budget. */
  readonly count: number;
  /** The authority at which instances ask each other for metadata (haproxy's frontend `peers`). */
  readonly peers: string;
  /** The password of the user `instances` in mirrors that are not open to everyone. */
  readonly secret: string;
}

/** The user by which instances and announcer read mirrors that are not open to everyone. */
const USER = "instances";

/** config's own default. */
const DEFAULT_BUDGET_GB = 9;
/** The default of one server (compose-caches.ts): the part of the memory that bodies of small files may take, all instances together. */
const HOT_SHARE = 0.04;
/** The default of one server: all instances read one disk. */
const DEFAULT_SCRUB_KIB = 1_024;
const MIB = 1_048_576;
const MIRROR_TABLES = /^MIRRORS(?:_|$)/;

/** In a container its limit, where it has one. Bytes. */
function availableRam(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}

/** HTTP Basic, as the instances use it among themselves. */
export function basicAuthorization(secret: string): string {
  return `Basic ${Buffer.from(`${USER}:${secret}`).toString("base64")}`;
}

/**
 * The configuration of one instance: its part of every budget, of the memory for small files and of what the scrub reads; and before the upstreams
 * of each mirror its fellow instances, which have the metadata. The name in that URL makes each instance's configuration its own, so that no instance takes another one for itself in a ring of mirrors.
 */
export function instanceVars(vars: Vars, share: InstanceShare, ramBytes = availableRam()): Vars {
  const budget = Number(vars["BUDGET_GB"] ?? DEFAULT_BUDGET_GB);
  const rest = Object.entries(vars).map(([key, value]) =>
    MIRROR_TABLES.test(key) ? [key, shareMirrors(typeof value === "string" ? JSON.parse(value) : value, share)] : [key, value],
  );
  const proxies = vars["TRUSTED_PROXIES"] ?? [];
  const hotMib = Number(vars["HOT_MIB"] ?? (ramBytes * HOT_SHARE) / MIB);
  const scrubKib = Number(vars["SCRUB_KIB_PER_SECOND"] ?? DEFAULT_SCRUB_KIB);
  return {
    ...Object.fromEntries(rest),
    BUDGET_GB: budget / share.count,
    HOT_MIB: hotMib / share.count,
    SCRUB_KIB_PER_SECOND: scrubKib / share.count,
    // The front end of the instances, which overwrites what clients send.
    TRUSTED_PROXIES: [...((typeof proxies === "string" ? JSON.parse(proxies) : proxies) as readonly string[]), "127.0.0.1"],
  };
}

function shareMirrors(mirrors: unknown, share: InstanceShare): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(mirrors as Record<string, Vars>).map(([name, table]) => [name, shareMirror(name, table, share)]),
  );
}

function shareMirror(mirror: string, table: Vars, { name, count, peers, secret }: InstanceShare): Vars {
  const url = `http://${peers}/from/${name}/${mirror}`;
  const access = table["access"] as { readonly users?: Vars } | undefined;
  const own = access === undefined ? url : { url, authorization: basicAuthorization(secret) };
  return {
    ...table,
    upstreams: [own, ...((table["upstreams"] ?? []) as readonly unknown[])],
    ...(table["budget_gb"] === undefined ? {} : { budget_gb: Number(table["budget_gb"]) / count }),
    ...(access === undefined ? {} : { access: { ...access, users: { ...access.users, [USER]: secret } } }),
  };
}

/** Writes the configuration of an instance and the operator's tokens into its state folder, which only its user can read. Returns the path of the configuration. Throws if that fails. */
export function writeInstance(folder: string, vars: Vars, tokens: { readonly admin: string; readonly read: string }): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const config = join(folder, "wrangler.toml");
  writeFileSync(config, `# Made of the operator's configuration at each start: change that one.\n${stringify({ vars })}`, { mode: 0o600 });
  writeFileSync(adminTokenPath(folder), `${tokens.admin}\n`, { mode: 0o600 });
  writeFileSync(readTokenPath(folder), `${tokens.read}\n`, { mode: 0o600 });
  return config;
}
