import type { Distro, Mirror } from "../config/config.ts";
import { type OwnNames, mirrorAddress, type Visit } from "./address.ts";
import { DEBIAN_ALONE, type DistroSetup, type Places, SETUPS } from "./distro-setup.ts";

/** What a client is told to set a mirror up. */
export type MirrorSetup = DistroMirror | ({ readonly kind: "koji" | "plain" } & Reached);

interface Reached {
  readonly mirror: Mirror;
  /** Its URL for this visitor, without trailing slash; with a placeholder for the host where `isReachable` is false. */
  readonly base: string;
  readonly isReachable: boolean;
}

export interface DistroMirror extends Reached {
  readonly kind: "distro";
  readonly setup: DistroSetup;
  /** Of the mirror that the set-up is named for: a security archive is set up with its distribution's. */
  readonly places: Places;
}

/**
 * The set-up of `mirror` for a visitor. Where his host is not ours, placeholders stand for the addresses. Debian and its security archive are set up
 * together where both are mirrored: one file of a client's names both.
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
    // Without a mirror of the security archive, the distribution's own stays in use.
    setup: named.distro === "debian" && partner === undefined ? { ...setup, replaces: DEBIAN_ALONE } : setup,
    places: { name: named.name, base: url(named), security: partner === undefined ? null : url(partner) },
  };
}

function placeholder(mirror: Mirror): string {
  const [pattern] = mirror.hosts;
  if (pattern?.kind === "exact") return `http://${pattern.host}`;
  return pattern === undefined ? `http://MIRROR-HOST/${mirror.name}` : `http://${pattern.label}.MIRROR-HOST`;
}
