import type { Distro, Mirror } from "../config/config.ts";
import { type OwnNames, mirrorAddress, type Visit } from "./address.ts";
import { type DistroSetup, type Places, SETUPS } from "./distro-setup.ts";

/** How to set up clients for a mirror: by its distribution, for koji, or (`plain`) by the URL alone. */
export type MirrorSetup = DistroMirror | ({ readonly kind: "koji" | "plain" } & Reached);

interface Reached {
  readonly mirror: Mirror;
  /** The mirror's URL for this visitor, without trailing slash. */
  readonly base: string;
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
 * The set-up of `mirror` for a visitor; null: no URL of the mirror is known (`mirrorAddress`). If Debian and its security archive are both mirrored, they
 * have one common set-up, as clients name both in one file.
 */
export function setupOf(mirror: Mirror, visit: Visit, own: OwnNames): MirrorSetup | null {
  const { distro } = mirror;
  const base = mirrorAddress(mirror, visit, own);
  if (base === null) return null;
  const reached = { mirror, base };
  if (distro === undefined) return { kind: "plain", ...reached };
  if (distro === "koji") return { kind: "koji", ...reached };
  const first = (wanted: Distro) => [...own.mirrors.values()].find((one) => one.distro === wanted);
  const archive = distro === "debian-security" ? first("debian") : undefined;
  const archiveBase = archive === undefined ? null : mirrorAddress(archive, visit, own);
  const named = archiveBase === null ? mirror : (archive ?? mirror);
  const partner = named.distro === "debian" ? first("debian-security") : undefined;
  const security = partner === undefined ? null : mirrorAddress(partner, visit, own);
  const setup = SETUPS[named.distro === "debian" ? "debian" : distro];
  return {
    kind: "distro",
    ...reached,
    setup,
    places: { name: named.name, base: archiveBase ?? base, security },
    asksName: [named, ...(partner === undefined ? [] : [partner])].some(({ access }) => (access?.users.size ?? 0) > 0),
  };
}
