import type { Network } from "../http/network.ts";

/** What we mirror and by which limits: the validated form of `[vars]`. Built by `parseConfig`; read-only afterwards. */
export interface Config {
  readonly mirrors: ReadonlyMap<string, Mirror>;
  readonly metadataTtlSeconds: number;
  readonly metadataWaitSeconds: number;
  readonly retentionDays: number;
  readonly budgetBytes: number;
  /** Objects longer than this are stored as slices of this many bytes. */
  readonly sliceBytes: number;
  readonly upstreamStallSeconds: number;
  /** Connect, TLS and response headers; never above the stall limit. */
  readonly upstreamFirstByteSeconds: number;
  /** Bodies up to this long are answered only once whole and verified … */
  readonly holdBytes: number;
  /** … for at most this long; then they stream. */
  readonly holdMs: number;
  readonly prefetchBytes: number;
  /** The Cloudflare plan: free has 10 ms of CPU and 50 subrequests a request. */
  readonly plan: "free" | "paid";
  readonly verify: "index" | "structure";
  /** Contact URL for the User-Agent that upstreams see. */
  readonly contactUrl: string | undefined;
}

export type Distro =
  | "fedora"
  | "epel"
  | "centos-stream"
  | "rocky"
  | "almalinux"
  | "opensuse"
  | "debian"
  | "debian-security"
  | "ubuntu"
  | "archlinux"
  | "alpine"
  | "koji";

export interface Mirror {
  /** Path prefix and first part of every stored key. Lower case, never `-`. */
  readonly name: string;
  readonly hosts: readonly HostPattern[];
  readonly distro: Distro | undefined;
  /** In order of preference. */
  readonly upstreams: readonly Upstream[];
  /** Extra hosts that an upstream may redirect to: `host`, `host:port` or `*.suffix`. */
  readonly redirectHosts: readonly string[];
  /** Query parameters that are part of the key and sent upstream; all others are dropped. */
  readonly allowedQuery: readonly string[];
  /** Patterns of this mirror that come before the built-in classes; first match wins. */
  readonly classes: readonly ClassPattern[];
  /** Who may read it; absent: everyone. */
  readonly access?: Access;
}

/** Clients from one of the networks, or with the name and password of a user; at least one of the two is given. */
export interface Access {
  /** Password by name. */
  readonly users: ReadonlyMap<string, string>;
  readonly networks: readonly Network[];
}

/** `exact`: a whole host name, lower case, without port or trailing dot. `label`: the first label, written `label.*`. */
export type HostPattern = { readonly kind: "exact"; readonly host: string } | { readonly kind: "label"; readonly label: string };

export interface Upstream {
  /** Absolute http(s) URL without query, fragment, credentials or trailing slash. */
  readonly url: string;
  /** Value of the Authorization header to send to this upstream only (a mirror chained to one's own mirror). */
  readonly authorization: string | undefined;
}

export interface ClassPattern {
  readonly pattern: RegExp;
  readonly class: PathClass;
}

/** The classes of path of docs/architecture.md; `pass` is checked and passed on, never stored (koji `work/`). */
export type PathClass = "hashed" | "volatile" | "root" | "member" | "unstable-package" | "package" | "pass";
