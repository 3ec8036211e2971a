import { shell } from "./shell-text.ts";

/** The functions of the script for pacman: pacman.conf(5), and the files that it includes for the distribution's repositories. */
export const PACMAN = shell`
# uris prints "repository|server" for each repository; those with these names are the distribution's.
# shellcheck disable=SC2016
place='
function is_arch(repo) { return repo ~ /^(core|extra|community|multilib|kde-unstable|gnome-unstable)(-testing|-staging)?$/ }
function is_mirror(uri) { sub(/^[^|]*[|]/, "", uri); sub(/:\/\/[^\/]*@/, "://", uri); return index(uri, ENVIRON["base"] "/") == 1 }
function place(uri,  repo) {
  repo = uri
  sub(/[|].*/, "", repo)
  return is_arch(repo) && !is_mirror(uri) ? ENVIRON["base"] : ""
}
'

# Servers of others, which must stay as they are: a file may be included for them too.
others() { uris | awk "$place"'place($0) == "" && !is_mirror($0)'; }
find_proof() { others > "$work/others"; }

# pacman.conf, where servers may stand too, and what it includes for the distribution's repositories.
find_files() {
  echo /etc/pacman.conf
  awk "$place"'
    /^[ \t]*\[/ { repo = $1; gsub(/[][]/, "", repo) }
    /^[ \t]*Include[ \t]*=/ && is_arch(repo) { sub(/^[^=]*=[ \t]*/, ""); print }' /etc/pacman.conf | sort -u |
    while read -r pattern; do
      # The value is a shell pattern.
      for path in $pattern; do if [ -f "$path" ]; then echo "$path"; fi; done
    done
}

# The first server becomes the mirror, the others of it comments.
convert() {
  awk -v file="$1" "$place"'
    BEGIN {
      server = ENVIRON["base"] "/$repo/os/$arch"
      if (ENVIRON["login"] != "") sub(/:\/\//, "://" ENVIRON["login"] "@", server)
      inside = file != "/etc/pacman.conf"
    }
    /^[ \t]*\[/ {
      repo = $1
      gsub(/[][]/, "", repo)
      inside = is_arch(repo)
      placed = 0
      if (!inside && repo != "options") print "lazy-mirror: " file ": left as it is: [" repo "]" > "/dev/stderr"
    }
    inside && /^[ \t]*Server[ \t]*=/ {
      changed = 1
      if (!placed++) print "Server = " server
      sub(/^[^=]*=[ \t]*/, "")
      print "lazy-mirror: " file ": turned off: " $0 > "/dev/stderr"
      $0 = "#Server = " $0
    }
    { print }
    END { exit !changed }' "$1"
}

uris() {
  pacman-conf --repo-list | while read -r repo; do pacman-conf --repo "$repo" Server | sed "s/^/$repo|/"; done
}

uses_mirror() { [ -n "$(uris | awk "$place"'is_mirror($1)')" ]; }
default() {
  write_default | awk '{ if (ENVIRON["login"] != "") sub(/:\/\//, "://" ENVIRON["login"] "@"); print }'
  if [ -e "$file" ]; then cat "$file"; fi
}
write_credentials() { :; }

check() {
  [ "$(others)" = "$(cat "$work/others")" ] || fail "Cannot set pacman up: /etc/pacman.conf includes one file for the distribution's repositories and for others"
  # Into a separate database: to refresh the real one without an upgrade would lead to partial upgrades.
  db=$(mktemp -d)
  chmod 755 "$db"
  worked=no
  # Of the distribution's repositories alone: a third party that is away is not the mirror's failure.
  awk "$place"'/^[ \t]*\[/ { repo = $1; gsub(/[][]/, "", repo); on = repo == "options" || is_arch(repo) } on' /etc/pacman.conf > "$work/pacman.conf"
  if pacman -Sy --config "$work/pacman.conf" --dbpath "$db" --logfile /dev/null; then worked=yes; fi
  rm -r "$db"
  [ "$worked" = yes ]
}
`;
