import { type DistroSetup, type PackageManager, type Places, RELEASE_MARK, sourcesFile } from "./distro-setup.ts";

/** The parts of the script that differ by package manager. */
interface Steps {
  /** Files that may name the distribution's own sources, as shell patterns. */
  readonly files: readonly string[];
  /** Shell code that changes one such file, from stdin to stdout. */
  readonly change: string;
  /** Shell code that updates the package lists from the mirror alone; fails if that fails. */
  readonly check: string;
}

/** A third party's archive may also end in `/debian`: it has another Signed-By, and stays on. */
const STANZAS_OFF = `awk -v own="$own" '
      BEGIN { RS = ""; ORS = "\\n\\n" }
      { stanza = "\\n" $0 "\\n"; foreign = stanza ~ /\\nSigned-By:/ && stanza !~ /\\nSigned-By:[^\\n]*-archive-keyring/ }
      stanza ~ ("\\nURIs:[^\\n]*" own "[ \\t\\n]") && !foreign { gsub(/\\nEnabled:[^\\n]*/, "", stanza); $0 = substr(stanza, 2) "Enabled: no" }
      { print }'`;
const LINES_OFF = `sed -E -e '/signed-by=/{/-archive-keyring/!b;}' -e "s@^deb(-src)? .*$own [^ ]+ .*@# &@"`;
const SECTIONS_OFF = `awk -v own="$own" '
    function flush() {
      if (section ~ own) { gsub(/\\nenabled *=[^\\n]*/, "", section); section = section "enabled=0\\n" }
      printf "%s", section; section = ""
    }
    /^\\[/ { flush() }
    { section = section $0 "\\n" }
    END { flush() }'`;

const STEPS: Readonly<Record<PackageManager, Steps>> = {
  apt: {
    files: ["/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"],
    change: `case $1 in
    *.sources) ${STANZAS_OFF} ;;
    *) ${LINES_OFF} ;;
  esac`,
    check: `apt-get update -o Dir::Etc::SourceList="$file" -o Dir::Etc::SourceParts=/dev/null \\
    -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any`,
  },
  dnf: {
    files: ["/etc/yum.repos.d/*.repo"],
    change: SECTIONS_OFF,
    check: `dnf --disablerepo='*' --enablerepo="lazy-mirror-$name-*" --setopt=skip_if_unavailable=False --refresh makecache`,
  },
  zypper: {
    files: ["/etc/zypp/repos.d/*.repo", "/etc/zypp/services.d/*.service"],
    change: SECTIONS_OFF,
    check: `for repo in $(sed -n 's/^\\[\\(.*\\)\\]$/\\1/p' "$file"); do
    zypper --non-interactive refresh --force "$repo" || return 1
  done`,
  },
  pacman: {
    files: [],
    change: "",
    check: `# Into a separate database: to refresh the real one without an upgrade would lead to partial upgrades.
  db=$(mktemp -d)
  chmod 755 "$db"
  worked=no
  if pacman -Sy --dbpath "$db" --logfile /dev/null; then worked=yes; fi
  rm -r "$db"
  [ "$worked" = yes ]`,
  },
  apk: {
    files: ["/etc/apk/repositories"],
    change: `sed -E "s#^(@[a-z0-9]+ )?https?://[^ ]*/((v[0-9.]+|edge|latest-stable)/[a-z]+)/?\\$#\\1$base/\\2#"`,
    check: "apk update",
  },
};

const RELEASES: Readonly<Record<DistroSetup["release"]["from"], string>> = {
  codename: '$(. "$os"; echo "${VERSION_CODENAME-}")',
  version: '$(. "$os"; echo "${VERSION_ID-}")',
  major: '$(. "$os"; echo "${VERSION_ID-}" | sed "s/[.].*//")',
};

/**
 * A shell script that makes the machine it runs on use a mirror, checks that with a real update, and restores everything if that fails or with `--undo`.
 * `site`: the server's address, without trailing slash; the script is at `/-/setup/<mirror>.sh` there.
 */
export function formatSetupScript(setup: DistroSetup, places: Places, site: string): string {
  const steps = STEPS[setup.manager];
  const writes = setup.manager !== "apk";
  const url = `${site}/-/setup/${places.name}.sh`;
  return `#!/bin/sh
# Makes ${setup.manager} on this machine (${setup.systems.join(", ")}) use the mirror ${places.base}
#
#   curl -fsS ${url} | sudo sh                          set up
#   curl -fsS ${url} | sudo sh -s -- --undo             restore everything
#   curl -fsS ${url} | sudo sh -s -- --release NAME     if the script cannot find out the release
#
# ${writes ? `It writes ${sourcesFile(setup, places.name)}` : `It changes the addresses in ${sourcesFile(setup, places.name)}`}${steps.files.length > 0 && writes ? ", turns the distribution's own sources off" : ""} and updates once.
# It keeps a copy beside each file that it changes, *.lazy-mirror-${places.name}.bak, and restores all of them if anything fails.
set -eu

name=${quoteShell(places.name)}
base=${quoteShell(places.base)}
file=${quoteShell(sourcesFile(setup, places.name))}
own=${quoteShell(setup.replaces)}
backup="lazy-mirror-$name.bak"
mark="# Written by lazy-mirror for the mirror $name"

say() { printf 'lazy-mirror: %s\\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# keep FILE: makes the copy from which undo restores it
keep() { cp -p "$1" "$1.$backup"; }

${
  steps.change === ""
    ? ""
    : `# Prints the file $1, read from stdin, ${writes ? "with the distribution's own sources turned off" : "with the addresses of the mirror"}
change() {
  ${steps.change}
}

`
}undo() {
  if [ -f "$file" ] && grep -qxF "$mark" "$file"; then rm "$file"; fi
  for copy in ${(steps.files.length > 0 ? steps.files : [sourcesFile(setup, places.name)]).map((pattern) => `${pattern}."$backup"`).join(" ")}; do
    if [ -e "$copy" ]; then mv "$copy" "\${copy%."$backup"}"; fi
  done
}

${writes ? `sources() {\n${formatCases(setup, places)}\n}\n\n` : ""}check() {
  ${steps.check}
}

main() {
  release='' undo=''
  while [ $# -gt 0 ]; do
    case $1 in
      --undo) undo=yes ;;
      --release) [ $# -gt 1 ] || fail "Cannot use --release: name a release"; release=$2; shift ;;
      *) fail "Cannot use $1: the options are --undo and --release NAME" ;;
    esac
    shift
  done
  [ "$(id -u)" = 0 ] || fail "Cannot change the sources of ${setup.manager}: run it as root (curl … | sudo sh)"
  if [ -n "$undo" ]; then undo; say "everything is as it was before"; return; fi
  command -v ${setup.manager === "apt" ? "apt-get" : setup.manager} >/dev/null || fail "Cannot find ${setup.manager}: this mirror is for systems that have it"

  os=/etc/os-release
  [ -r "$os" ] || os=/usr/lib/os-release
  system=$(. "$os"; echo "$ID")
  case $system in
    ${setup.systems.join(" | ")}) ;;
    *) fail "Cannot set up $system: this mirror is for ${setup.systems.join(", ")}" ;;
  esac
${formatRelease(setup)}
  undo
  trap 'undo; say "failed: everything is as it was before"' EXIT
  trap 'exit 130' INT TERM HUP
${steps.files.length > 0 ? formatChange(steps.files) : ""}${writes ? formatWrite(setup) : ""}  check || fail "Cannot update from $base"
  trap - EXIT
  say "${setup.manager} uses $base now; --undo restores everything"
}

main "$@" </dev/null
`;
}

/** A script that only prints why the machine cannot be set up, and fails. `why` is text of ours, but quoted all the same. */
export function formatRefusal(why: string): string {
  return `#!/bin/sh\nprintf 'lazy-mirror: %s\\n' ${quoteShell(`Cannot set this machine up: ${why}`)} >&2\nexit 1\n`;
}

function formatRelease(setup: DistroSetup): string {
  const lines = [`  [ -n "$release" ] || release=${RELEASES[setup.release.from]}`];
  if (setup.manager === "pacman" || setup.manager === "apk") return "";
  if (setup.systems.includes("fedora")) lines.push(`  if grep -qi '^VERSION=.*rawhide' "$os"; then release=rawhide; fi`);
  if (setup.systems.includes("opensuse-tumbleweed")) {
    lines.push(`  if [ "$system" = opensuse-tumbleweed ]; then release=tumbleweed; fi`);
  }
  // Debian testing and unstable have the same os-release.
  if (setup.systems.includes("debian")) {
    lines.push(
      `  if grep -q '^PRETTY_NAME=.*/sid' "$os" && [ "$release" != sid ]; then say "assuming $release; for unstable use --release sid"; fi`,
    );
  }
  if (setup.systems.includes("ubuntu")) {
    lines.push(
      '  case $(dpkg --print-architecture) in amd64 | i386) ;; *) fail "Cannot set up $(dpkg --print-architecture): Ubuntu has it in another archive, ubuntu-ports" ;; esac',
    );
  }
  lines.push(`  case $release in "" | *[!A-Za-z0-9._-]*) fail "Cannot find out this machine's release: name it with --release" ;; esac`);
  return `${lines.join("\n")}\n`;
}

function formatChange(files: readonly string[]): string {
  return `  for stock in ${files.join(" ")}; do
    [ -f "$stock" ] || continue
    new=$(change "$stock" < "$stock")
    if [ "$(printf '%s' "$new" | tr -d '[:space:]')" != "$(tr -d '[:space:]' < "$stock")" ]; then keep "$stock"; printf '%s\\n' "$new" > "$stock"; fi
  done
`;
}

function formatWrite(setup: DistroSetup): string {
  const filled = `{ echo "$mark"; sources | sed "s/${RELEASE_MARK}/$release/g"${setup.manager === "apt" ? ' | sed "s/^Components: .*/Components: $components/"' : ""}; }`;
  const keys = "s/^Signed-By: //p; s#^gpgkey=file://##p";
  return `${setup.manager === "apt" ? formatComponents(setup) : ""}  if [ -e "$file" ]; then keep "$file"; fi
  mkdir -p "\${file%/*}"
  ${setup.manager === "pacman" ? '{ echo "$mark"; sources; }' : filled} > "$file"
${
  setup.manager === "pacman" || setup.manager === "zypper"
    ? ""
    : `  for key in $(sed -n '${keys}' "$file" | sed "s/\\$releasever/$release/; s/\\$basearch/$(uname -m)/"); do
    [ -r "$key" ] || fail "Cannot find $key: first install the package with the distribution's keys"
  done
`
}`;
}

/** Shell code that keeps the components that the client's sources have now, such as contrib and non-free-firmware. */
function formatComponents(setup: DistroSetup): string {
  const [system = ""] = setup.systems;
  const usual = system === "ubuntu" ? "main restricted universe multiverse" : "main";
  return `  components=$(cat /etc/apt/sources.list.d/${system}.sources /etc/apt/sources.list 2>/dev/null |
    sed -nE -e 's/^Components: *//p' -e "s@^(# )?deb .*/${system}/? [^ ]+ @@p" | head -n 1)
  [ -n "$components" ] || components='${usual}'
`;
}

function formatCases(setup: DistroSetup, places: Places): string {
  const cases = setup.variants.map(({ match, sources }) => {
    // A pattern's release is the one that the script finds out on the client.
    const text = sources(places, match.includes("*") ? RELEASE_MARK : match);
    return { match, here: `cat <<'END'\n${text}END` };
  });
  const [only] = cases;
  if (cases.length === 1 && only !== undefined) return `  ${only.here}`;
  return `  case $release in\n${cases.map(({ match, here }) => `    ${match}) ${here}\n    ;;`).join("\n")}\n  esac`;
}

/** Quotes a text as one word of a POSIX shell, in which the shell expands nothing. */
export function quoteShell(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
