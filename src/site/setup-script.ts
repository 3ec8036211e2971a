import { type DistroSetup, type PackageManager, type Places, RELEASE_MARK, sourcesFile } from "./distro-setup.ts";
import { APK } from "./shell/apk.ts";
import { APT } from "./shell/apt.ts";
import { FRAME } from "./shell/frame.ts";
import { PACMAN } from "./shell/pacman.ts";
import { DNF, ZYPPER } from "./shell/rpm.ts";

/** What differs by package manager, as shell functions. */
const FUNCTIONS: Readonly<Record<PackageManager, string>> = { apt: APT, dnf: DNF, zypper: ZYPPER, pacman: PACMAN, apk: APK };

const RELEASES: Readonly<Record<DistroSetup["release"]["from"], string>> = {
  codename: "VERSION_CODENAME",
  version: "VERSION_ID",
  major: "VERSION_ID%%.*",
};

/**
 * A shell script that makes the machine it runs on use a mirror: it puts the mirror's addresses in place of the distribution's, asks the package manager
 * which addresses it would use now, updates once, and restores everything if that fails or with `--undo`.
 * `site`: the server's address, without trailing slash; the script is at `/-/setup/<mirror>.sh` there. `asks`: whether the mirror requires a name and password.
 */
export function formatSetupScript(setup: DistroSetup, places: Places, site: string, asks = false): string {
  const url = `${site}/-/setup/${places.name}.sh`;
  const { hosts, folder = "", within = "", lists = "", ids = {}, keyring = "" } = setup.own;
  const idList = Object.entries(ids).map((pair) => pair.join(" "));
  const variables = {
    name: places.name,
    manager: setup.manager,
    command: setup.manager === "apt" ? "apt-get" : setup.manager,
    systems: setup.systems.join(" "),
    base: places.base,
    url,
    file: sourcesFile(setup, places.name),
    state: `/var/lib/lazy-mirror/${places.name}`,
    asks: asks ? "yes" : "no",
    login_in_sources: setup.manager === "apt" || setup.manager === "zypper" ? "no" : "yes",
    hosts,
    ...(setup.manager === "apt"
      ? { trees: treesOf(setup, places).join(" "), keyring, origin: keyring === "ubuntu" ? "Ubuntu" : "Debian" }
      : { trees: "" }),
    folder,
    within,
    lists,
    ids: idList.join(" "),
  };
  return `#!/bin/sh
# Makes ${setup.manager} on this machine (${setup.systems.join(", ")}) use the mirror ${places.base}
#
#   curl -fsS ${url} | sudo sh        set up
#   wget -qO- ${url} | sudo sh        the same without curl${
    setup.manager === "apt"
      ? `\n#   /usr/lib/apt/apt-helper download-file ${url} /tmp/setup.sh && sudo sh /tmp/setup.sh        the same with apt alone`
      : ""
  }
#   sudo sh /var/lib/lazy-mirror/${places.name}/undo        restore everything, also when the mirror is away
#
# Options (… | sudo sh -s -- OPTIONS):
#   --undo            restore everything
#   --release NAME    if the script cannot find out the release
#   --replace URL     this is a mirror of the distribution too: replace it
#   --user NAME       log in at the mirror; the password is asked for, or in the variable LAZY_MIRROR_PASSWORD
#
# In each file that names the distribution's own servers it puts the mirror's address in their place, and changes nothing else. It names every source that
# it changes or leaves. Then it asks ${setup.manager} for the addresses that it would use now, and updates from the mirror once. If one of them is still the
# distribution's, or anything fails, it restores everything from the copies in /var/lib/lazy-mirror/${places.name}.
set -eu

# shellcheck disable=SC2016,SC2034
{
${Object.entries(variables)
  .map(([key, value]) => `${key}=${quoteShell(value)}\n`)
  .join("")}}

${formatRelease(setup)}
# Prints the sources for a machine that has none of this tree.
write_default() {
${formatCases(setup, places)}
}

${FUNCTIONS[setup.manager]}
${FRAME}
main "$@" </dev/null
`;
}

/** A script that only prints why the machine cannot be set up, and fails. `why` is text of ours, but quoted all the same. */
export function formatRefusal(why: string): string {
  return `#!/bin/sh\nprintf 'lazy-mirror: %s\\n' ${quoteShell(`Cannot set this machine up: ${why}`)} >&2\nexit 1\n`;
}

/** Names of archives, each followed by the URL of its mirror. */
function treesOf({ systems, variants }: DistroSetup, { base, security }: Places): readonly string[] {
  if (systems.includes("ubuntu")) return ["ubuntu", base];
  // Debian's mirror has the variant for sid, which the security archive has not.
  const isArchive = variants.some(({ match }) => match === "sid");
  if (!isArchive) return ["debian-security", base];
  return ["debian", base, ...(security === null ? [] : ["debian-security", security])];
}

/** Shell code that finds out the release for the sources of a machine that has none, and for paths that do not name it. */
function formatRelease(setup: DistroSetup): string {
  if (setup.manager === "pacman") return "find_release() { :; }\n";
  const lines = [
    `  # shellcheck source=/dev/null`,
    `  [ -n "$release" ] || release=$(. "$os" && echo "\${${RELEASES[setup.release.from]}}" 2>/dev/null) || true`,
  ];
  if (setup.manager === "apk")
    lines.push("  case $release in v* | edge) ;; *_*) release=edge ;; *.*.*) release=v${release%.*} ;; *) release=v$release ;; esac");
  if (setup.systems.includes("fedora")) lines.push(`  if grep -qi '^VERSION=.*rawhide' "$os"; then release=rawhide; fi`);
  if (setup.systems.includes("opensuse-tumbleweed")) {
    lines.push(`  if [ "$system" = opensuse-tumbleweed ]; then release=tumbleweed; fi`);
  }
  lines.push(`  case $release in "" | *[!A-Za-z0-9._-]*) fail "Cannot find out this machine's release: name it with --release" ;; esac`);
  lines.push(`  ids=$(printf %s "$ids" | sed "s/${RELEASE_MARK}/$release/g")`);
  return `find_release() {\n${lines.join("\n")}\n}\n`;
}

function formatCases(setup: DistroSetup, places: Places): string {
  const cases = setup.variants.map(({ match, sources }) => {
    // A pattern's release is the one that the script finds out on the client.
    const text = sources(places, match.includes("*") ? RELEASE_MARK : match);
    return { match, here: `sed "s/${RELEASE_MARK}/$release/g" <<'END'\n${text}END` };
  });
  const [only] = cases;
  if (cases.length === 1 && only !== undefined) return `  ${only.here}`;
  return `  case $release in\n${cases.map(({ match, here }) => `    ${match}) ${here}\n    ;;`).join("\n")}\n  esac`;
}

/** Quotes a text as one word of a POSIX shell, in which the shell expands nothing. */
export function quoteShell(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
