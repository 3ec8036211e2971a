import type { Distro } from "../config/config.ts";

/** A distribution's own servers, and what of its own sources gives way to ours. */
interface OwnSources {
  /** The URL that stands for the mirror's, without trailing slash: the same paths lie below it. */
  readonly url: string;
  /** dnf: ids of the distribution's own repositories that ours replace, as an extended regular expression. */
  readonly repositories?: string;
}

/** By distribution. Clients take packages from these servers while the mirror is away, if they are set up with `fallback=direct`. */
export const DIRECT: Readonly<Record<Exclude<Distro, "koji">, OwnSources>> = {
  debian: { url: "http://ftp.debian.org/debian" },
  "debian-security": { url: "http://security.debian.org/debian-security" },
  ubuntu: { url: "http://archive.ubuntu.com/ubuntu" },
  fedora: { url: "https://dl.fedoraproject.org/pub/fedora/linux", repositories: "fedora|updates|rawhide" },
  epel: { url: "https://dl.fedoraproject.org/pub/epel", repositories: "epel" },
  "centos-stream": { url: "https://mirror.stream.centos.org", repositories: "baseos|appstream" },
  rocky: { url: "https://dl.rockylinux.org/pub/rocky", repositories: "baseos|appstream|extras" },
  almalinux: { url: "https://repo.almalinux.org/almalinux", repositories: "baseos|appstream|extras" },
  opensuse: { url: "https://download.opensuse.org" },
  archlinux: { url: "https://geo.mirror.pkgbuild.com" },
  alpine: { url: "https://dl-cdn.alpinelinux.org/alpine" },
};
