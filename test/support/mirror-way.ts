import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify, type TomlTable } from "smol-toml";

export interface MirrorSetup {
  readonly mirrors: Readonly<Record<string, MirrorTable>>;
  /** The other keys of `[vars]`, such as `METADATA_TTL_SECONDS`. */
  readonly vars?: Readonly<Record<string, number | string | readonly string[]>>;
  /** A program that the server is started by, with its arguments: it must become the server (`exec`). `STATE` is the state folder. */
  readonly launcher?: readonly string[];
  /** Further arguments of the server. */
  readonly args?: readonly string[];
  /** Of the server's environment, beside our own. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A `[vars.MIRRORS.<name>]` table. */
export interface MirrorTable {
  readonly upstreams: readonly string[];
  readonly distro?: string;
  /** Default: a loopback address that is no other mirror's. */
  readonly hosts?: readonly string[];
  readonly budget_gb?: number;
  readonly access?: { readonly networks: readonly string[] };
}

/** Where a mirror runs. */
export interface MirrorPlace {
  /** For its configuration. */
  readonly folder: string;
  /** What outlives a restart. */
  readonly stateFolder: string;
  readonly port: number;
  /** The mirrors' own hosts, by name: loopback addresses. */
  readonly hosts: ReadonlyMap<string, string>;
}

/** A program with its arguments and what it needs in its environment, beside our own. */
export interface Launch {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** One of the two ways in which users run a mirror without Cloudflare. */
export interface MirrorWay {
  readonly name: "npm start" | "wrangler dev";
  /** The exit codes of a program that was asked to end (SIGTERM). */
  readonly endCodes: readonly number[];
  /** Writes the configuration into the folder, and gives the program that reads it. Throws for what this way cannot do. */
  prepare(place: MirrorPlace, setup: MirrorSetup): Launch;
  /** The token for the operator's pages and commands, once the mirror has started. */
  readToken(place: MirrorPlace): string;
}

const ROOT = join(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");

/** The server for one machine: state in a folder, fills in the isolate's memory. */
const ONE_MACHINE: MirrorWay = {
  name: "npm start",
  endCodes: [0],
  prepare({ folder, stateFolder, port, hosts }, setup) {
    const config = join(folder, "wrangler.toml");
    writeFileSync(config, stringify({ vars: varsOf(setup, hosts) }));
    const listen = ["127.0.0.1", ...hosts.values()].flatMap((host) => ["--listen", `${host}:${port}`]);
    const server = [
      NODE,
      join(ROOT, "src/local/server/main.ts"),
      "--config",
      config,
      "--state",
      stateFolder,
      ...listen,
      ...(setup.args ?? []),
    ];
    return { command: [...(setup.launcher ?? []), ...server], env: { ...setup.env, STATE: stateFolder } };
  },
  readToken: ({ stateFolder }) => readFileSync(join(stateFolder, "admin-token"), "utf8").trim(),
};

/** Keys of wrangler.toml that belong to a deployment, or to the project's folder; the rest goes for `wrangler dev` as it stands. */
const LEFT_OUT = ["build", "vars", "route", "routes", "triggers"];

/** No word to Cloudflare or the registry, no traces for the dashboard, which cost a fifth of the CPU time of a small answer, and plain text. */
const WRANGLER_ENV = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  X_LOCAL_OBSERVABILITY: "false",
  NO_COLOR: "1",
};

/** The Worker as Cloudflare gets it, with R2, Durable Objects and caches as miniflare simulates them. */
const WRANGLER_DEV: MirrorWay = {
  name: "wrangler dev",
  // It ends as a shell reports a program that SIGTERM ended.
  endCodes: [0, 143],
  prepare(place, setup) {
    if (setup.launcher !== undefined || setup.env !== undefined || setup.args !== undefined) {
      throw new Error(
        "Cannot start the mirror through wrangler dev with a launcher, arguments or an environment: only npm start takes them",
      );
    }
    const { folder, stateFolder, port, hosts } = place;
    const config = join(folder, "wrangler.toml");
    const project = parse(readFileSync(join(ROOT, "wrangler.toml"), "utf8"));
    for (const key of LEFT_OUT) delete project[key];
    const { main } = project;
    if (typeof main !== "string") throw new Error("Cannot find main in wrangler.toml: it should be the path of the Worker");
    writeFileSync(config, stringify({ ...project, main: join(ROOT, main), vars: varsOf(setup, hosts) }));
    if (!existsSync(tokenFile(place))) {
      mkdirSync(stateFolder, { recursive: true });
      writeFileSync(tokenFile(place), `ADMIN_TOKEN=${randomBytes(32).toString("hex")}\n`);
    }
    const program = [NODE, join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "dev", "--config", config, "--persist-to", stateFolder];
    // The mirrors' hosts are loopback addresses; a request keeps the Host that it came with where there are no routes.
    const listen = ["--ip", "0.0.0.0", "--port", String(port), "--inspector-port", "0", "--show-interactive-dev-session=false"];
    return { command: [...program, ...listen], env: { ...WRANGLER_ENV, HOME: folder, XDG_CONFIG_HOME: folder } };
  },
  readToken: (place) => readFileSync(tokenFile(place), "utf8").trim().replace("ADMIN_TOKEN=", ""),
};

/** The way that the tests of this process take: `MIRROR` in the environment, which vitest.config.ts sets for each project. */
export const MIRROR_WAY = findWay(process.env["MIRROR"] ?? ONE_MACHINE.name);

function findWay(name: string): MirrorWay {
  const way = [ONE_MACHINE, WRANGLER_DEV].find((one) => one.name === name);
  if (way === undefined) throw new Error(`Cannot start mirrors by MIRROR "${name}": it should be "npm start" or "wrangler dev"`);
  return way;
}

/** Secrets lie beside the configuration. */
function tokenFile({ folder }: MirrorPlace): string {
  return join(folder, ".dev.vars");
}

function varsOf({ vars, mirrors }: MirrorSetup, hosts: ReadonlyMap<string, string>): TomlTable {
  const tables = Object.entries(mirrors).map(([name, table]) => [name, { hosts: [hosts.get(name) ?? ""], ...table }]);
  return { ...vars, MIRRORS: Object.fromEntries(tables) as TomlTable };
}
