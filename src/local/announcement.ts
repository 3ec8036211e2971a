import type { Config, Distro, Mirror } from "../config/config.ts";
import type { Endpoint } from "./command-line.ts";
import { formatEndpoint } from "./free-port.ts";

const APT: ReadonlySet<Distro | undefined> = new Set<Distro>(["debian", "debian-security", "ubuntu"]);
const DNF: ReadonlySet<Distro | undefined> = new Set<Distro>(["fedora", "epel", "centos-stream", "rocky", "almalinux"]);

/** What is printed once the server answers: where it listens, and the URL that each mirror's clients are given. */
export function describeServer(config: Config, endpoints: readonly Endpoint[], hostname: string): string {
  const mirrors = [...config.mirrors.values()];
  const [first] = endpoints;
  if (first === undefined) return "";
  const base = `http://${formatEndpoint({ host: resolvePublicHost(first.host, hostname), port: first.port })}`;
  const width = Math.max(...mirrors.map(({ name }) => name.length), 0);
  return [
    `Lazy Mirror listens on ${endpoints.map(formatEndpoint).join(", ")}. Ctrl-C ends it.`,
    "",
    ...mirrors.map(({ name, upstreams }) => `  ${name.padEnd(width)}  ${base}/${name}/  ← ${upstreams[0]?.url ?? ""}`),
    "",
    ...describeClients(mirrors, base),
    `Setup for each client: ${base}/-/setup/   Health: ${base}/-/health`,
  ].join("\n");
}

/** How to point apt and dnf at it, one line for the first mirror of each kind. */
function describeClients(mirrors: readonly Mirror[], base: string): readonly string[] {
  const apt = mirrors.find(({ distro }) => APT.has(distro));
  const dnf = mirrors.find(({ distro }) => DNF.has(distro));
  return [
    ...(apt ? [`apt:  deb ${base}/${apt.name} <suite> main`] : []),
    ...(dnf ? [`dnf:  baseurl=${base}/${dnf.name}/… in the .repo file, with metalink and mirrorlist commented out`] : []),
  ];
}

/** A server on every address is reached by this machine's name. */
function resolvePublicHost(host: string, hostname: string): string {
  return host === "0.0.0.0" || host === "::" ? hostname : host;
}
