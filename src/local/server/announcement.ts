import { commandName } from "../command-name.ts";
import type { Config, Distro, HostPattern, Mirror } from "../../config/config.ts";
import { formatBytes } from "../../http/format-bytes.ts";
import { largestStorable } from "../../retention/policy.ts";
import type { Endpoint } from "./command-line.ts";
import { formatEndpoint, urlOf } from "./free-port.ts";

const APT: ReadonlySet<Distro | undefined> = new Set<Distro>(["debian", "debian-security", "ubuntu"]);
const DNF: ReadonlySet<Distro | undefined> = new Set<Distro>(["fedora", "epel", "centos-stream", "rocky", "almalinux"]);

/** The text that the server prints once it answers: where it listens, and which URL the clients of each mirror use. */
export function describeServer(config: Config, endpoints: readonly Endpoint[], hostname: string): string {
  const mirrors = [...config.mirrors.values()];
  const [first] = endpoints;
  if (first === undefined) return "";
  const own = urlOf({ ...first, host: resolvePublicHost(first.host, hostname) });
  const base = config.publicUrl?.url ?? nameOf(config, first) ?? own;
  const width = Math.max(...mirrors.map(({ name }) => name.length), 0);
  return [
    `Lazy Mirror listens on ${endpoints.map((one) => (one.isSecure === true ? urlOf(one) : formatEndpoint(one))).join(", ")}. Ctrl-C ends it.`,
    "",
    ...mirrors.flatMap(({ name, upstreams, hosts }) => [
      `  ${name.padEnd(width)}  ${base}/${name}/  ← ${upstreams[0]?.url ?? ""}`,
      ...hosts.map(
        (host) => `  ${"".padEnd(width)}  ${own.slice(0, own.indexOf(":"))}://${formatHost(host, first.port)}/  where that name leads here`,
      ),
    ]),
    "",
    ...describeClients(mirrors, base),
    `Setup for each client: ${base}/-/setup/   Health: ${own}/-/health`,
  ].join("\n");
}

/** How much is kept, and up to which size files are stored at all. */
export function describeBudget(budget: number): string {
  return `Keeps ${formatBytes(budget)} (BUDGET_GB) and stores files of up to ${formatBytes(largestStorable(budget))}; it passes larger ones on and keeps none of them.`;
}

/**
 * The command line that runs the operator's verbs against this server from its own machine; options that equal their defaults are left out.
 * `operatorHost`: the verbs' own host, where they have one.
 */
export function describeOperator(state: string, endpoints: readonly Endpoint[], operatorHost?: string): string {
  const [first] = endpoints;
  const isDefault =
    operatorHost === undefined &&
    endpoints.some(({ host, port, isSecure }) => port === 8787 && ["127.0.0.1", "0.0.0.0", "::"].includes(host) && isSecure !== true);
  const options = [
    ...(first === undefined || isDefault ? [] : ["--server", urlOf({ ...first, host: operatorHost ?? resolveOwnHost(first.host) })]),
    ...(state === ".lazy-mirror" ? [] : ["--state", quote(state)]),
  ];
  return [commandName("mirror"), ...options, "status"].join(" ");
}

/** The address by which this machine reaches its own server: one that listens on every address answers on loopback. */
export function resolveOwnHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

/** Quotes `text` as one word of a POSIX shell. */
function quote(text: string): string {
  return /^[\w./:=@+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The URL by the first of the server's names; null: it has none, or only programs of this machine (such as a proxy) reach the address. */
function nameOf({ serverNames }: Config, first: Endpoint): string | null {
  const [name] = serverNames;
  return name === undefined || /^(?:127\.|::1$)/.test(first.host) ? null : urlOf({ ...first, host: name });
}

function formatHost(pattern: HostPattern, port: number): string {
  const host = pattern.kind === "exact" ? pattern.host : `${pattern.label}.<domain>`;
  return `${host}:${port}${pattern.folder === "" ? "" : `/${pattern.folder}`}`;
}

/** One line that points apt, and one that points dnf, at the first mirror of their kind. */
function describeClients(mirrors: readonly Mirror[], base: string): readonly string[] {
  const apt = mirrors.find(({ distro }) => APT.has(distro));
  const dnf = mirrors.find(({ distro }) => DNF.has(distro));
  return [
    ...(apt ? [`apt:  deb ${base}/${apt.name} <suite> main`] : []),
    ...(dnf ? [`dnf:  baseurl=${base}/${dnf.name}/… in the .repo file, with metalink and mirrorlist commented out`] : []),
  ];
}

/** The host that other machines use: for a server that listens on every address it is this machine's name. */
function resolvePublicHost(host: string, hostname: string): string {
  return host === "0.0.0.0" || host === "::" ? hostname : host;
}
