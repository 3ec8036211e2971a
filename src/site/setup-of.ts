import type { Distro, Mirror } from "../config/config.ts";
import { type OwnNames, mirrorAddress, type Visit } from "./address.ts";
import { type DistroSetup, type Places, SETUPS } from "./distro-setup.ts";

/** How to set up clients for a mirror: by its distribution, for koji, or (`plain`) by the URL alone. */
export type MirrorSetup = DistroMirror | ({ readonly kind: "koji" | "plain" } & Reached);

interface Reached {
  readonly mirror: Mirror;
  /** The mirror's URL for this visitor, without trailing slash. If `isReachable` is false, its host is a placeholder. */
  readonly base: string;
  readonly isReachable: boolean;
}

/** A mirror of a distribution with a set-up. */
export interface DistroMirror extends Reached {
  readonly kind: "distro";
  readonly setup: DistroSetup;
  /** Those of the mirror that names the sources file: for a security archive it is its distribution's mirror. */
  readonly places: Places;
  /** Whether one of these mirrors requires a name and password. */
  readonly asksName: boolean;
}

/**
 * The set-up of `mirror` for a visitor. If the visitor's host is not known to be ours, the URLs have placeholders. If Debian and its security archive are
 * both mirrored, they have one common set-up, as clients name both in one file.
 */
export function setupOf(mirror: Mirror, visit: Visit, own: OwnNames): MirrorSetup {
  const { distro } = mirror;
  const url = (one: Mirror): string => mirrorAddress(one, visit, own) ?? placeholder(one);
  const reached = { mirror, base: url(mirror), isReachable: mirrorAddress(mirror, visit, own) !== null };
  if (distro === undefined) return { kind: "plain", ...reached };
  if (distro === "koji") return { kind: "koji", ...reached };
  const first = (wanted: Distro) => [...own.mirrors.values()].find((one) => one.distro === wanted);
  const named = (distro === "debian-security" ? first("debian") : undefined) ?? mirror;
  const partner = named.distro === "debian" ? first("debian-security") : undefined;
  const setup = SETUPS[named.distro === "debian" ? "debian" : distro];
  return {
    kind: "distro",
    ...reached,
    setup,
    places: { name: named.name, base: url(named), security: partner === undefined ? null : url(partner) },
    asksName: [named, ...(partner === undefined ? [] : [partner])].some(({ access }) => (access?.users.size ?? 0) > 0),
  };
}

function placeholder(mirror: Mirror): string {
  const [pattern] = mirror.hosts;
  if (pattern?.kind === "exact") return `http://${pattern.host}`;
  return pattern === undefined ? `http://MIRROR-HOST/${mirror.name}` : `http://${pattern.label}.MIRROR-HOST`;
}
