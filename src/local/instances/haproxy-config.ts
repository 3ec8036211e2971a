import { REPOSITORY_RULES, type Rule, SIGNATURE_RULE, SPELLING_RULES } from "./home-rules.ts";

/** Where an instance listens: what haproxy writes after `server <name>`. */
export interface InstanceAddress {
  /** `1`, `2`, …: its place below the state folder, in paths of the operator's pages, and in the ring of the hash. */
  readonly name: string;
  /** `127.0.0.1:8081`. */
  readonly address: string;
}

export interface HaproxyOptions {
  /** What clients connect to, as haproxy writes it: `:8080`, `127.0.0.1:8080`, `[::]:8080`. */
  readonly bind: string;
  /** What the instances connect to, to ask each other for metadata. */
  readonly peerBind: string;
  /** Where haproxy sends a line for each file of metadata that a client got, over UDP: the announcer. */
  readonly announcer: string;
  readonly instances: readonly InstanceAddress[];
  /** Of each mirror, the hosts that lead to it: whole names, and first labels as `fedora.*`. */
  readonly hosts: readonly (readonly [mirror: string, hosts: readonly string[]])[];
  /** Networks of proxies in front of this one, which are believed what they say of their clients. */
  readonly trusted: readonly string[];
  /** Threads of haproxy. */
  readonly threads: number;
  /** How long downloads under way may go on when haproxy is asked to end. */
  readonly graceSeconds: number;
}

/** The headers that say who a client is (src/route/arrival.ts): a client's own are never passed on. */
export const ARRIVAL_HEADERS = [
  "Forwarded",
  "X-Forwarded-For",
  "X-Forwarded-Host",
  "X-Forwarded-Port",
  "X-Forwarded-Prefix",
  "X-Forwarded-Proto",
] as const;

/**
 * haproxy's configuration (2.6 or later) for several instances of one mirror. Each file has one home, by consistent hashing of its path; a repository's metadata
 * has one home together. Where an instance is away, others serve its share and only that.
 */
export function haproxyConfig(options: HaproxyOptions): string {
  const { bind, peerBind, announcer, instances, hosts, trusted, threads, graceSeconds } = options;
  const unlessProxy = trusted.length === 0 ? "" : " unless is_proxy";
  const server = ({ name, address }: InstanceAddress) => `  server ${name} ${address}`;
  const lines = [
    "# Several instances of one mirror, each file at home in one of them: docs/operations.md, Several instances.",
    "global",
    `  nbthread ${threads}`,
    `  log ${announcer} len 4096 format raw local0 info`,
    `  hard-stop-after ${graceSeconds}s`,
    "",
    "defaults",
    "  mode http",
    "  timeout connect 2s",
    "  timeout client 60s",
    "  timeout server 60s",
    "  option redispatch 1",
    "  retries 3",
    "  retry-on conn-failure empty-response response-timeout 502 503 504",
    "  option splice-response",
    "  http-reuse always",
    "",
    "frontend mirror",
    // Without v4v6 it depends on the system whether :: takes IPv4 as well.
    `  bind ${bind}${bind.startsWith("[::]:") ? " v4v6" : ""}`,
    "  # The instances believe what stands here of the client.",
    ...(trusted.length === 0 ? [] : [`  acl is_proxy src ${trusted.join(" ")}`]),
    ...ARRIVAL_HEADERS.map((name) => `  http-request del-header ${name}${unlessProxy}`),
    `  http-request set-header X-Forwarded-For %[src]${unlessProxy}`,
    "  http-request set-var(txn.method) method",
    "  http-request set-var(txn.host) 'req.hdr(host),lower'",
    ...findHome(mapHosts(hosts)),
    `  http-request set-var(txn.home) 'var(txn.file)${regsub(SIGNATURE_RULE)}' if is_alone`,
    "  # One line to the announcer for each file of metadata that a client reads.",
    "  log global",
    '  log-format "%ST %[var(txn.host)] %HU %[var(txn.version)]"',
    "  http-response set-var(txn.version) res.hdr(etag)",
    "  acl is_reading var(txn.method) -m str GET HEAD",
    "  acl is_page var(txn.file) -m beg /-/",
    "  http-request set-log-level silent if is_alone or !is_reading or is_page",
    "  # Each instance has the operator's pages of its own: /-/instances/1/-/status.",
    "  acl is_numbered path_beg /-/instances/",
    "  acl is_operator_page var(txn.file) -m reg ^/-/(status|metrics|why|ledger)([./]|$)",
    '  http-request return status 404 content-type text/plain string "Put /-/instances/<number> in front of this path.\\n" if is_operator_page !is_numbered',
    ...instances.map(({ name }) => `  use_backend instance_${name} if { path_beg /-/instances/${name}/ }`),
    "  default_backend instances",
    "",
    "# The instances ask each other for metadata here, so that upstreams give it once. 421 for all else: they go on to the next upstream.",
    "frontend peers",
    `  bind ${peerBind}`,
    "  http-request replace-path ^/from/[^/]+(/.*)$ \\1",
    "  http-request set-header Host instances.invalid",
    ...ARRIVAL_HEADERS.map((name) => `  http-request del-header ${name}`),
    ...findHome([]),
    '  http-request return status 421 content-type text/plain string "Only metadata is here.\\n" if is_alone',
    "  # The home asks itself, and refuses that as a ring.",
    "  http-response set-status 421 if { status 508 }",
    "  default_backend instances",
    "",
    "backend instances",
    "  balance hash var(txn.home)",
    "  hash-type consistent sdbm avalanche",
    "  option httpchk GET /-/health",
    "  default-server weight 100 check inter 500ms fall 2 rise 1 observe layer4 error-limit 2 on-error mark-down",
    ...instances.map(server),
    ...instances.flatMap((one) => [
      "",
      `backend instance_${one.name}`,
      "  http-request replace-path ^/-/instances/[^/]+(/.*)$ \\1",
      server(one),
    ]),
  ];
  return `${lines.join("\n")}\n`;
}

/** Sets `txn.home`, the key of the hash, and `is_alone` (no metadata). `mapped`: the lines that put a mirror's name in front of the path. */
function findHome(mapped: readonly string[]): readonly string[] {
  return [
    `  http-request set-var(txn.file) 'path,url_dec${SPELLING_RULES.map(regsub).join("")}'`,
    ...mapped,
    `  http-request set-var(txn.home) 'var(txn.file)${REPOSITORY_RULES.map(regsub).join("")}'`,
    "  acl is_alone var(txn.home),strcmp(txn.file) eq 0",
  ];
}

/** In host mode a path has no mirror's name in front: the host says which one it is. A whole name wins over a first label, so it comes last. */
function mapHosts(hosts: HaproxyOptions["hosts"]): readonly string[] {
  const all = hosts.flatMap(([mirror, names]) => names.map((name) => ({ mirror, name, isLabel: name.endsWith(".*") })));
  if (all.length === 0) return [];
  const lines = all
    .toSorted((a, b) => Number(b.isLabel) - Number(a.isLabel))
    .map(({ mirror, name, isLabel }) => {
      const test = isLabel ? `-m beg ${name.slice(0, -1)}` : `-m reg ^${name.replace(/[.[\]]/g, "[$&]")}(:[0-9]+)?$`;
      return `  http-request set-var(txn.mirror) str(/${mirror}) if { var(txn.host) ${test} }`;
    });
  return [
    ...lines,
    "  http-request set-var(txn.file) 'var(txn.mirror),concat(,txn.file)' if { var(txn.mirror) -m found } !{ path_beg /-/ }",
  ];
}

/** One converter. The pattern stands in double quotes, within the single quotes of the whole argument. */
function regsub({ pattern, replacement, isGlobal = false }: Rule): string {
  return `,regsub("${pattern}","${replacement}"${isGlobal ? ",g" : ""})`;
}
