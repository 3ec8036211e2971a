import * as v from "valibot";
import { parseHost } from "../http/host.ts";
import { type Network, parseNetwork } from "../http/network.ts";
import type { HostPattern, PublicUrl } from "./config.ts";
import { list, type Parsed, parsedText } from "./table-schema.ts";

/** One of a mirror's `hosts`. Exported, as `parseConfig` also compares the hosts of mirrors that have other problems. */
export const hostPattern = parsedText(parseHostPattern);

/** A list of addresses and ranges of addresses. */
export const networks = list(parsedText(parseAccessNetwork));

/** SERVER_NAMES. */
export const serverNames = listOrJson(list(parsedText(parseWholeHost)));

/** OPERATOR_HOSTS: without a host the operator's pages would be on none. */
export const operatorHosts = v.pipe(serverNames, v.minLength(1, "name at least one host, or leave the key out"));

/** TRUSTED_PROXIES. */
export const proxyNetworks = listOrJson(networks);

/** PUBLIC_URL. */
export const publicUrl = parsedText(parsePublicUrl);

/** The pattern as it is written in `hosts`. */
export function formatHostPattern(pattern: HostPattern): string {
  const host = pattern.kind === "exact" ? pattern.host : `${pattern.label}.*`;
  return pattern.folder === "" ? host : `${host}/${pattern.folder}`;
}

/** A list, or the same as JSON text, which the dashboard gives. */
function listOrJson<T>(all: v.GenericSchema<unknown, T[]>) {
  return v.lazy((input): v.GenericSchema<unknown, T[]> =>
    typeof input === "string" ? v.pipe(v.string(), v.parseJson(undefined, "write a list, even of one: [ … ]"), all) : all,
  );
}

/** Names without what percent-encoding would spell differently; none begins with `-`: `/-/…` are the mirror's own pages. */
const FOLDER = /^[\w.~+][\w.~+-]*(?:\/[\w.~+-]+)*$/;

function isFolder(text: string): boolean {
  return FOLDER.test(text) && !text.split("/").some((name) => name === "." || name === "..");
}

function parseHostPattern(written: string): Parsed<HostPattern> {
  const [, name = "", slash = "", rest = ""] = /^([^/]*)(\/?)(.*)$/s.exec(written) ?? [];
  const folder = rest.replace(/\/+$/, "");
  if (/^https?:$/i.test(name)) return { wanted: `leave the scheme out: ${JSON.stringify(written.replace(/^[^/]*\/\/([^@]*@)?/, ""))}` };
  if (slash !== "" && folder !== "" && !isFolder(folder)) {
    return { wanted: 'use folders of letters, digits and - . _ ~ + behind the host, such as "ftp.debian.org/debian"' };
  }
  const label = /^([a-z0-9_-]+)\.\*$/i.exec(name)?.[1];
  if (label !== undefined) return { value: { kind: "label", label: label.toLowerCase(), folder } };
  const host = parseHost(name) ?? parseHost(`[${name}]`);
  if (host === null) {
    return {
      wanted:
        'use a host name or address ("mirror.example.com"), or a first label with .* ("fedora.*"), and a folder ("ftp.debian.org/debian")',
    };
  }
  const hasPort = host.startsWith("[") ? name.includes("]:") : name.includes(":");
  if (hasPort) return { wanted: `leave the port out: ${folder === "" ? host : `${host}/${folder}`}` };
  return { value: { kind: "exact", host, folder } };
}

function parseWholeHost(written: string): Parsed<string> {
  const pattern = parseHostPattern(written);
  if (!("value" in pattern)) return pattern;
  const { value } = pattern;
  if (value.kind === "label") return { wanted: 'name the whole host, such as "admin.example.com"' };
  return value.folder === "" ? { value: value.host } : { wanted: `leave the path out: ${value.host}` };
}

function parsePublicUrl(written: string): Parsed<PublicUrl> {
  const wanted =
    "use the absolute URL by which clients reach this server, such as https://mirror.example.com or https://example.com/mirror";
  if (!URL.canParse(written)) return { wanted };
  const url = new URL(written);
  if (url.protocol !== "http:" && url.protocol !== "https:") return { wanted: "the scheme must be http or https" };
  if (url.username !== "" || url.password !== "") return { wanted: "leave the credentials out" };
  if (/[?#]/.test(written)) return { wanted: "leave query and fragment out" };
  const host = parseHost(url.host);
  if (host === null) return { wanted };
  const path = url.pathname.replace(/\/+$/, "");
  if (path !== "" && !isFolder(path.slice(1))) return { wanted: "use a path of letters, digits and - . _ ~ + alone, such as /mirror" };
  return { value: { url: `${url.origin}${path}`, host, path } };
}

function parseAccessNetwork(written: string): Parsed<Network> {
  const network = parseNetwork(written);
  return network === null ? { wanted: 'use an address or a network such as "192.0.2.0/24" or "2001:db8::/32"' } : { value: network };
}
