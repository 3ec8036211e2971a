import { ARRIVAL_HEADERS, type HaproxyOptions } from "./haproxy-config.ts";
import { REPOSITORY_RULES, type Rule, SIGNATURE_RULE, SPELLING_RULES } from "./home-rules.ts";

/** nginx merges slashes by itself. */
const SPELLINGS = SPELLING_RULES.filter(({ isGlobal }) => isGlobal !== true);

/**
 * What goes into nginx's `http {}` for the same instances: the same file has the same home as long as one of them stays (nginx and haproxy hash differently). nginx
 * looks after no instance by itself: a request that finds one gone goes to the next.
 */
export function nginxConfig({
  bind,
  peerBind,
  announcer,
  instances,
  hosts,
  trusted,
}: Omit<HaproxyOptions, "threads" | "graceSeconds">): string {
  const patterns = hosts.flatMap(([mirror, names]) =>
    names.map((name) => (name.endsWith(".*") ? map(`~^${name.slice(0, -2)}[.]`, `/${mirror}`) : map(name, `/${mirror}`))),
  );
  const proxy = [
    "    proxy_http_version 1.1;",
    '    proxy_set_header Connection "";',
    "    proxy_connect_timeout 2s;",
    "    proxy_next_upstream error timeout http_502 http_503 http_504;",
    "    # A body goes to its client as it comes, and never to a file of nginx's.",
    "    proxy_max_temp_file_size 0;",
  ];
  const arrival = ARRIVAL_HEADERS.map((name) => [name, name.toLowerCase().replaceAll("-", "_")] as const);
  const lines = [
    "# Several instances of one mirror, each file at home in one of them: docs/operations.md, Several instances.",
    "# The instances believe what these say of the client: a client's own headers are never passed on.",
    "geo $lazy_mirror_is_proxy {",
    ...trusted.map((network) => `  ${network} 1;`),
    "  default 0;",
    "}",
    ...arrival.flatMap(([name, variable]) => [
      `map $lazy_mirror_is_proxy $lazy_mirror_${variable} {`,
      `  1 $http_${variable};`,
      `  default ${name === "X-Forwarded-For" ? "$remote_addr" : '""'};`,
      "}",
    ]),
    "map $host $lazy_mirror_of_host {",
    ...patterns,
    '  default "";',
    "}",
    "map $uri $lazy_mirror_prefix {",
    map("~^/-/", ""),
    "  default $lazy_mirror_of_host;",
    "}",
    "map $lazy_mirror_prefix$uri $lazy_mirror_file {",
    ...SPELLINGS.map(({ pattern, replacement }) => map(`~^(.*?)${pattern}(.*)$`, `$1${replacement}$2`)),
    "  default $lazy_mirror_prefix$uri;",
    "}",
    "map $lazy_mirror_file $lazy_mirror_home {",
    ...REPOSITORY_RULES.map(rewriteTo),
    map(`~^(.*)${SIGNATURE_RULE.pattern}`, "$1"),
    "  default $lazy_mirror_file;",
    "}",
    "map $lazy_mirror_file $lazy_mirror_is_metadata {",
    ...REPOSITORY_RULES.map(({ pattern }) => map(`~${pattern}`, "1")),
    "  default 0;",
    "}",
    "map $request_method$uri $lazy_mirror_is_announced {",
    map("~^(GET|HEAD)/(?!-/)", "$lazy_mirror_is_metadata"),
    "  default 0;",
    "}",
    "log_format lazy_mirror '$status $http_host $request_uri $sent_http_etag';",
    "",
    "upstream lazy_mirror {",
    "  hash $lazy_mirror_home consistent;",
    ...instances.map(({ address }) => `  server ${address} max_fails=1 fail_timeout=2s;`),
    "  keepalive 64;",
    "}",
    ...instances.flatMap(({ name, address }) => [`upstream lazy_mirror_${name} {`, `  server ${address};`, "}"]),
    "",
    "server {",
    `  listen ${bind}${bind.startsWith("[::]:") ? " ipv6only=off" : ""};`,
    "  # One line to the announcer for each file of metadata that a client reads.",
    `  access_log syslog:server=${announcer},nohostname lazy_mirror if=$lazy_mirror_is_announced;`,
    "  location / {",
    "    proxy_pass http://lazy_mirror;",
    "    proxy_set_header Host $http_host;",
    ...arrival.map(([name, variable]) => `    proxy_set_header ${name} $lazy_mirror_${variable};`),
    ...proxy,
    "  }",
    "  # Each instance has the operator's pages of its own: /-/instances/1/-/status.",
    "  location ~ ^/-/(status|metrics|why|ledger)([./]|$) {",
    "    return 404 'Put /-/instances/<number> in front of this path.\\n';",
    "  }",
    ...instances.flatMap(({ name }) => [
      `  location /-/instances/${name}/ {`,
      `    proxy_pass http://lazy_mirror_${name}/;`,
      "    proxy_set_header Host $http_host;",
      ...arrival.map(([header, variable]) => `    proxy_set_header ${header} $lazy_mirror_${variable};`),
      "  }",
    ]),
    "}",
    "",
    "# The instances ask each other for metadata here, so that upstreams give it once. 421 for all else: they go on to the next upstream.",
    "server {",
    `  listen ${peerBind};`,
    "  access_log off;",
    "  rewrite ^/from/[^/]+(/.*)$ $1;",
    "  if ($lazy_mirror_is_metadata = 0) {",
    "    return 421;",
    "  }",
    "  location / {",
    "    proxy_pass http://lazy_mirror;",
    "    proxy_set_header Host instances.invalid;",
    ...ARRIVAL_HEADERS.map((name) => `    proxy_set_header ${name} "";`),
    "    # The home asks itself, and refuses that as a ring.",
    "    proxy_intercept_errors on;",
    "    error_page 508 = @elsewhere;",
    ...proxy,
    "  }",
    "  location @elsewhere {",
    "    return 421;",
    "  }",
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

function rewriteTo({ pattern, replacement }: Rule): string {
  return map(`~${pattern}`, replacement.replaceAll("\\", "$"));
}

/** A line of a `map`. In quotes, as a pattern may hold what ends a word. */
function map(from: string, to: string): string {
  return `  "${from}" "${to}";`;
}
