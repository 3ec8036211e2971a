import type { Network } from "../http/network.ts";

/** The validated `[vars]`: what we mirror and within which limits. `parseConfig` makes it. docs/configuration.md has a row for each key. */
export interface Config {
  /** By name. */
  readonly mirrors: ReadonlyMap<string, Mirror>;
  /** How long a root is served without asking its upstream; 0: it is asked at each request. */
  readonly metadataTtlSeconds: number;
  /** How long a request waits for a new generation before it gets the previous one. */
  readonly metadataWaitSeconds: number;
  /** How long a sync that seems to be under way upstream holds a new generation back; then it is taken as the upstream has it. */
  readonly doubtSeconds: number;
  /** No upstream is ever asked: what is stored is served, also past its life. */
  readonly offline: boolean;
  /** How long an object is kept after an upstream gave or confirmed it. While `offline`, as good as for ever: what goes cannot come back. */
  readonly retentionDays: number;
  /** How much is stored at most. */
  readonly budgetBytes: number;
  /** Objects longer than this are stored as slices of this many bytes. */
  readonly sliceBytes: number;
  /** An upstream that sends no byte for so long is given up. */
  readonly upstreamStallSeconds: number;
  /** Limit for connect, TLS and response headers together; never above the stall limit. */
  readonly upstreamFirstByteSeconds: number;
  /** A body up to this long is sent to the client only once it is whole and verified … */
  readonly holdBytes: number;
  /** … but after so long it is sent as it arrives. */
  readonly holdMs: number;
  /** On one machine: bytes of small bodies that are held in memory; 0: none; undefined: by the machine's memory (worker.ts). */
  readonly hotBytes: number | undefined;
  /** The largest metadata file that is fetched before its generation is published. */
  readonly prefetchBytes: number;
  /** How fast stored bytes are compared with their digests when nothing asks for them; 0: they are not; undefined: as the platform has it (worker.ts). */
  readonly scrubBytesPerSecond: number | undefined;
  /** The Cloudflare plan: `free` allows each request 10 ms of CPU and 50 subrequests. */
  readonly plan: "free" | "paid";
  /** At the edge: whether stored bytes are cached in each data centre alone (the Cache API), or in all of them together as well (Workers Cache). */
  readonly edgeCache: "tiered" | "local";
  /** How packages are checked: against the digests of their repository's index, or by their own structure alone. */
  readonly verify: "index" | "structure";
  /** Hosts under which all mirrors are reached by their names as first folder, that of `publicUrl` among them. As `parseHost` gives them. */
  readonly serverNames: readonly string[];
  /** Where clients reach this server; absent: by the host that each uses. */
  readonly publicUrl?: PublicUrl;
  /** Peers that are believed what they say of their clients, in Forwarded and X-Forwarded-*. */
  readonly trustedProxies: readonly Network[];
  /** The only hosts of the operator's pages, and of nothing else; absent: these pages are on every host. As `parseHost` gives them. */
  readonly operatorHosts?: readonly string[];
  /** Which requests are lines in the log; absent: all on one machine, and at the edge some of many. */
  readonly log?: LogMode;
  /** URL in the User-Agent, so that upstreams know whom to write to. */
  readonly contactUrl: string | undefined;
  /** Where Durable Objects are to lie that are created from now on; absent: near their first caller. */
  readonly location?: Location;
  /** The jurisdiction that Durable Objects lie in, as the bucket does; absent: none. */
  readonly jurisdiction?: Jurisdiction;
}

/** Location hints of Durable Objects (Durable Objects, Data location). */
export const LOCATIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;
export type Location = (typeof LOCATIONS)[number];

/** Jurisdictions of Durable Objects and of R2 (Durable Objects and R2, Data location). */
export const JURISDICTIONS = ["eu", "fedramp"] as const;
export type Jurisdiction = (typeof JURISDICTIONS)[number];

/** `lines`: each request is a line; `sampled`: some are, each with the number of requests that it stands for; `off`: none is. */
export type LogMode = "lines" | "sampled" | "off";

/** Distributions with a preset: their paths (distributions.ts), and the set-up page for their clients. */
export const DISTROS = [
  "fedora",
  "epel",
  "centos-stream",
  "rocky",
  "almalinux",
  "opensuse",
  "debian",
  "debian-security",
  "ubuntu",
  "archlinux",
  "alpine",
  "koji",
] as const;
export type Distro = (typeof DISTROS)[number];

/** One `[vars.MIRRORS.<name>]`. */
export interface Mirror {
  /** First folder of the mirror's URLs on other hosts, and of its stored keys. Lower case, never `-`. */
  readonly name: string;
  /** The hosts whose URL space, or a folder of it, is this mirror. */
  readonly hosts: readonly HostPattern[];
  readonly distro: Distro | undefined;
  /** In order of preference. */
  readonly upstreams: readonly Upstream[];
  /** Other hosts that an upstream may redirect to: `host`, `host:port` or `*.suffix`. */
  readonly redirectHosts: readonly string[];
  /** Query parameters that are part of the key and sent upstream; all others are dropped. */
  readonly allowedQuery: readonly string[];
  /** Of paths below the mirror; tried before the built-in classes, and the first match wins. */
  readonly classes: readonly { readonly pattern: RegExp; readonly class: PathClass }[];
  /** Who may read it; absent: everyone. */
  readonly access?: Access;
  /** How many bytes its own files may take, at most the whole budget; absent: it shares the budget with the other mirrors. */
  readonly budgetBytes?: number;
}

/** Lets in clients from one of the networks, and clients with the name and password of a user. At least one of the two is not empty. */
export interface Access {
  /** Password by name. */
  readonly users: ReadonlyMap<string, string>;
  readonly networks: readonly Network[];
}

/**
 * `exact`: a whole host name, lower case, without port or trailing dot. `label`: the first label, written `label.*`. `folder`: the mirror is below this path of the
 * host, without slashes at its ends; empty: all of the host is the mirror.
 */
export type HostPattern = { readonly folder: string } & (
  | { readonly kind: "exact"; readonly host: string }
  | { readonly kind: "label"; readonly label: string }
);

/** PUBLIC_URL. */
export interface PublicUrl {
  /** Without trailing slash. */
  readonly url: string;
  /** As `parseHost` gives it. */
  readonly host: string;
  /** Its path: empty, or such as `/mirror`. */
  readonly path: string;
}

/** A server to fetch from. */
export interface Upstream {
  /** Absolute URL, of http, https or (on one machine) file, without query, fragment, credentials or trailing slash. */
  readonly url: string;
  /** The Authorization header for this upstream and no other server, such as one of your own mirrors with `access`. */
  readonly authorization?: string | undefined;
}

/** Classes of path: what each means is in docs/configuration.md. */
export const PATH_CLASSES = ["hashed", "volatile", "root", "member", "unstable-package", "package", "pass"] as const;
export type PathClass = (typeof PATH_CLASSES)[number];

/**
 * Whether the bytes at such a path never change once they are published. An upstream that answers 404 for one may only lag behind, so the next
 * upstream is asked, and a second fetch gives the same bytes.
 */
export function isImmutable(pathClass: PathClass): boolean {
  return pathClass === "package" || pathClass === "unstable-package" || pathClass === "hashed";
}

/** Whether an upstream is a folder of the machine that the server runs on. */
export function isLocalFolder({ url }: Pick<Upstream, "url">): boolean {
  return url.startsWith("file:");
}

/** The problems of a configuration that is to run at the edge, where there is no local folder. */
export function problemsAtEdge({ mirrors }: Pick<Config, "mirrors">): readonly string[] {
  return [...mirrors.values()].flatMap(({ name, upstreams }) =>
    upstreams
      .filter(isLocalFolder)
      .map(
        ({ url }) =>
          `Cannot use MIRRORS.${name}.upstreams ${url}: Cloudflare reaches no folder of yours; use http or https, or one machine (npm start)`,
      ),
  );
}
