import type { Config } from "./config.ts";

/** Names that no public DNS has: of RFC 6761, RFC 6762, RFC 8375 (`home.arpa`) and ICANN (`internal`), and those that home networks use. */
const PRIVATE = /(^|\.)(localhost|local|test|example|invalid|internal|intranet|lan|home|home\.arpa)$/;

/**
 * The first host in the configuration that the whole Internet may know as this server's: an exact name, no address, not of a private network; undefined: there is
 * none. A host of which a mirror has only a folder may be a distribution's own, whose clients come here by their proxy setting.
 */
export function publicHostOf({ mirrors, serverNames }: Pick<Config, "mirrors" | "serverNames">): string | undefined {
  const whole = [...mirrors.values()].flatMap(({ hosts }) =>
    hosts.flatMap((pattern) => (pattern.kind === "exact" && pattern.folder === "" ? [pattern.host] : [])),
  );
  return [...serverNames, ...whole].find(isPublicName);
}

/** Whether the public DNS may have this host: it is no address, and no name of a private network. */
export function isPublicName(host: string): boolean {
  return host.includes(".") && !host.startsWith("[") && !/^[\d.]+$/.test(host) && !PRIVATE.test(host);
}
