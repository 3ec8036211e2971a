import type { Distro } from "../config/config.ts";
import { DIRECT } from "./direct.ts";
import { type DistroSetup, formatSources, type Places, SETUPS, sourcesFile } from "./distro-setup.ts";
import type { DistroMirror } from "./setup-of.ts";

/** What a visitor may choose. */
export interface Wanted {
  /** Default: the distribution's example. */
  readonly release?: string | undefined;
  /** `direct`: clients go to the distribution's own servers while the mirror is away. */
  readonly fallback?: "direct" | "none" | undefined;
}

/** A file for a client. `text` ends with a newline. */
export interface ClientFile {
  readonly path: string;
  readonly text: string;
}

/** A client's files for a mirror: what to write, and what of its own to turn off before that. */
export interface ClientFiles {
  readonly distro: Exclude<Distro, "koji">;
  readonly manager: DistroSetup["manager"];
  readonly release: string;
  /** The mirrors' URLs that stand in the files, the longest first. */
  readonly bases: readonly string[];
  /** The file of sources first. */
  readonly files: readonly [ClientFile, ...ClientFile[]];
  /** A shell command that turns the distribution's own sources off; null if the files replace them. */
  readonly turnOff: string | null;
}

/** With retries apt 2.6 waits for ever for a list's second server, once the first refused a connection. Each server is another try anyway. */
const NO_RETRIES: ClientFile = { path: "/etc/apt/apt.conf.d/80lazy-mirror", text: 'Acquire::Retries "0";\n' };

/** Where the operator's user and password go, for a mirror with users. */
const NAME = "NAME";
const PASSWORD = "PASSWORD";

/**
 * The files that make a client use the mirror alone. For apt the file of sources is the distribution's own, so that it replaces it: Debian's has both
 * archives, the one that is not mirrored from its own server.
 */
export function replacingFiles(mirror: DistroMirror, wanted: Wanted): ClientFiles {
  const { manager } = mirror.setup;
  if (manager !== "apt") return clientFiles(mirror, wanted);
  const distro = distroOf(mirror);
  const path = `/etc/apt/sources.list.d/${distro === "ubuntu" ? "ubuntu" : "debian"}.sources`;
  if (distro === "ubuntu") return clientFiles(mirror, wanted, path);
  const { name, base, security } = mirror.places;
  const places =
    distro === "debian"
      ? { name, base, security: security ?? DIRECT["debian-security"].url }
      : { name, base: DIRECT.debian.url, security: base };
  return clientFiles({ ...mirror, setup: SETUPS.debian, places }, wanted, path);
}

/** The files that make a client use the mirror, beside its other sources. */
export function clientFiles(mirror: DistroMirror, wanted: Wanted, path = sourcesFile(mirror.setup, mirror.places.name)): ClientFiles {
  const { setup, places } = mirror;
  const distro = distroOf(mirror);
  const release = wanted.release ?? setup.release.example;
  const isDirect = wanted.fallback === "direct";
  const own: Places = {
    name: places.name,
    base: setup === SETUPS.debian ? DIRECT.debian.url : DIRECT[distro].url,
    security: places.security === null ? null : DIRECT["debian-security"].url,
  };
  const isClosed = (mirror.mirror.access?.users.size ?? 0) > 0;
  const bases = [places.base, ...(places.security === null ? [] : [places.security])].filter((base) => !isOwn(base));
  const authorize = (url: string) => (isClosed && bases.some((base) => url.startsWith(base)) ? withPlaceForUser(url, setup.manager) : url);
  const ours = formatSources(setup, places, release).split("\n");
  const direct = formatSources(setup, own, release).split("\n");
  const lists: ClientFile[] = [];
  const lines = ours.flatMap((line, index) => {
    const other = direct[index] ?? "";
    if (line === other) return [line];
    const [field, url] = splitAddress(line);
    const authorized = authorize(url);
    if (!isDirect) return [field + authorized];
    const [, directUrl] = splitAddress(other);
    switch (setup.manager) {
      case "apt": {
        // With the two URLs in one stanza apt would fetch the indexes of both, each time.
        const list = { path: `/etc/apt/lazy-mirror-${lastFolder(directUrl)}.list`, text: `${url}\tpriority:1\n${directUrl}\tpriority:2\n` };
        lists.push(list);
        return [`${field}mirror+file:${list.path}`];
      }
      case "dnf":
      case "zypper":
        return [field + authorized, " ".repeat(field.length) + directUrl];
      case "pacman":
      case "apk":
        return [field + authorized, field + directUrl];
    }
  });
  const credentials = isClosed ? credentialFiles(setup.manager, bases) : [];
  return {
    distro,
    manager: setup.manager,
    release,
    bases: (setup.manager === "zypper" ? bases : bases.map(authorize)).toSorted((one, other) => other.length - one.length),
    files: [{ path, text: lines.join("\n") }, ...lists, ...(lists.length > 0 ? [NO_RETRIES] : []), ...credentials],
    turnOff: turnOff(distro, setup.manager),
  };
}

/** The distribution whose paths the sources have: a security archive that is mirrored beside Debian is set up with it. */
function distroOf({ mirror, places }: DistroMirror): Exclude<Distro, "koji"> {
  if (mirror.distro === undefined || mirror.distro === "koji")
    throw new Error(`Cannot set ${mirror.name} up by its distribution: it has none`);
  return mirror.distro === "debian-security" && places.name !== mirror.name ? "debian" : mirror.distro;
}

function isOwn(url: string): boolean {
  return Object.values(DIRECT).some((own) => own.url === url);
}

/** `URIs: http://x/y` → `["URIs: ", "http://x/y"]`. */
function splitAddress(line: string): readonly [field: string, url: string] {
  const start = line.search(/https?:\/\//);
  return start === -1 ? [line, ""] : [line.slice(0, start), line.slice(start)];
}

function lastFolder(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1);
}

/** The URL as this client takes a name and password; apt and zypper read them from files of their own. */
function withPlaceForUser(url: string, manager: DistroSetup["manager"]): string {
  if (manager === "apt") return url;
  if (manager === "zypper") return `${url}?credentials=lazy-mirror`;
  return url.replace("://", `://${NAME}:${PASSWORD}@`);
}

function credentialFiles(manager: DistroSetup["manager"], bases: readonly string[]): readonly ClientFile[] {
  if (manager === "apt") {
    // With the scheme, as apt sends a password over plain http to no other.
    const machines = bases.map((base) => `machine ${base} login ${NAME} password ${PASSWORD}\n`);
    return [{ path: "/etc/apt/auth.conf.d/lazy-mirror.conf", text: machines.join("") }];
  }
  return manager === "zypper" ? [{ path: "/etc/zypp/credentials.d/lazy-mirror", text: `username=${NAME}\npassword=${PASSWORD}\n` }] : [];
}

function turnOff(distro: Exclude<Distro, "koji">, manager: DistroSetup["manager"]): string | null {
  const { repositories } = DIRECT[distro];
  if (manager === "apt") return "rm -f /etc/apt/sources.list";
  if (repositories !== undefined)
    return String.raw`sed -i -E '/^\[(${repositories})\]/,/^\[/s/^enabled *=.*/enabled=0/' /etc/yum.repos.d/*.repo`;
  if (manager !== "zypper") return null;
  const own = String.raw`$(grep -ls 'opensuse\.org' /etc/zypp/repos.d/*.repo /etc/zypp/services.d/*.service)`;
  return `for file in ${own}; do sed -i 's/^enabled *=.*/enabled=0/' "$file"; done`;
}

/** Whether the file holds a password, and so is for root alone. */
export function isSecret(path: string): boolean {
  return path.startsWith("/etc/apt/auth.conf.d/") || path.startsWith("/etc/zypp/credentials.d/");
}
