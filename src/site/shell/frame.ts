import { shell } from "./shell-text.ts";

/**
 * The part of the script that all package managers share. Before it stand its variables (`name`, `manager`, `base`, `url`, …) and the manager's own functions:
 * `find_files` (the files that may name the tree, a line each), `convert FILE` (prints the file with the mirror's addresses; fails if there is nothing to
 * change), `uses_mirror` (whether a file names the mirror), `write_default`, `write_credentials`, `uris` (the URIs that the manager would use now), `check`.
 */
export const FRAME = shell`
say() { printf 'lazy-mirror: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# remember FILE: keeps a copy of FILE, or that there is none, for undo. Call it before the first change of FILE.
remember() {
  number=$((number + 1)) mode=none
  if [ -e "$1" ]; then
    mode=$(stat -L -c %a "$1")
    cp -pL "$1" "$state/$number"
  fi
  printf '%s %s %s\n' "$number" "$mode" "$1" >> "$state/files"
}

# put FILE [secret]: makes stdin the content of FILE. A symlink stays a symlink, and an existing file keeps its owner, and its mode if it gets no secret.
put() {
  remember "$1"
  mkdir -p "\${1%/*}"
  if [ "\${2-}" = secret ]; then
    [ -e "$1" ] || (umask 077; : > "$1")
    chmod 600 "$1"
  fi
  cat > "$1"
  cp -pL "$1" "$state/$number.new"
}

# Writes the script that restores everything. It stays on this machine, so that it works when the mirror is away.
write_undo() {
  cat > "$state/undo" <<'END'
#!/bin/sh
# Restores what the set-up for a mirror changed on this machine.
set -eu
state=$(cd "\${0%/*}" && pwd)
restore() {
  [ ! -e "$state/files" ] || while read -r number mode path; do
    if [ -e "$path" ] && [ -e "$state/$number.new" ] && [ "$(cksum < "$path")" != "$(cksum < "$state/$number.new")" ]; then
      cp -pL "$path" "$state-$number.changed"
      echo "lazy-mirror: $path was changed after the set-up; that content is now in $state-$number.changed" >&2
    fi
    if [ "$mode" = none ]; then
      rm -f "$path"
    elif [ -d "\${path%/*}" ]; then
      cat "$state/$number" > "$path"
      chmod "$mode" "$path"
    else
      echo "lazy-mirror: cannot restore $path: its folder is gone" >&2
    fi
  done < "$state/files"
  rm -rf "$state"
  rmdir "\${state%/*}" 2>/dev/null || true
  exit 0
}
restore
END
}

undo() {
  if [ -e "$state/undo" ]; then sh "$state/undo"; fi
  undo_former
}

# Undoes what this script's first version did, which kept its copies beside the files.
undo_former() {
  for dir in /etc/apt /etc/apt/sources.list.d /etc/yum.repos.d /etc/zypp/repos.d /etc/zypp/services.d /etc/pacman.d /etc/apk; do
    for written in "$dir/lazy-mirror-$name.sources" "$dir/lazy-mirror-$name.repo"; do
      if [ -e "$written" ] && grep -qxF "# Written by lazy-mirror for the mirror $name" "$written"; then rm "$written"; fi
    done
    for copy in "$dir"/*".lazy-mirror-$name.bak"; do
      if [ -e "$copy" ]; then mv "$copy" "\${copy%".lazy-mirror-$name.bak"}"; fi
    done
  done
}

# Of the URIs on stdin, those that go to the distribution's own servers for a tree that the mirror has.
own() { awk "$place"'place($1) != "" { print $1 }'; }

# Percent-encodes stdin for a URL's user name or password.
encode() { od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'; }

ask_credentials() {
  [ -n "$user" ] || user=\${LAZY_MIRROR_USER-}
  password=\${LAZY_MIRROR_PASSWORD-}
  if { [ -z "$user" ] || [ -z "$password" ]; } && ! (: < /dev/tty) 2>/dev/null; then
    fail "Cannot get a name and password, which this mirror requires: use --user NAME, and give the password in LAZY_MIRROR_PASSWORD"
  fi
  if [ -z "$user" ]; then
    printf 'User name for %s: ' "$base" > /dev/tty
    read -r user < /dev/tty
  fi
  if [ -z "$password" ]; then
    printf 'Password of %s: ' "$user" > /dev/tty
    stty -echo < /dev/tty
    read -r password < /dev/tty || true
    stty echo < /dev/tty
    echo > /dev/tty
  fi
  case $user$password in *[[:space:]]*) fail "Cannot use a name or password with spaces: the package managers' files have no way to write them" ;; esac
  login=$(printf %s "$user" | encode):$(printf %s "$password" | encode)
}

set_up() {
  find_proof
  export proven
  mkdir -p "$state"
  chmod 700 "$state"
  write_undo
  secret=''
  if [ -n "$user" ] && [ "$login_in_sources" = yes ]; then secret=secret; fi
  find_files > "$work/list"
  while read -r path; do
    if convert "$path" > "$work/new"; then put "$path" $secret < "$work/new"; fi
  done < "$work/list"
  if ! uses_mirror; then
    say "no source of this tree is on this machine: writing $file"
    default > "$work/new"
    put "$file" $secret < "$work/new"
  fi
  if [ -n "$user" ]; then write_credentials; fi

  uris > "$work/uris"
  [ -n "$(awk "$place"'is_mirror($0)' "$work/uris")" ] || say "$manager does not show the addresses that it would use: not verified"
  still=$(own < "$work/uris")
  [ -z "$still" ] || fail "Cannot set $manager up: it still goes to the distribution's own servers:" "$still"
  check || fail "Cannot update from $base"
}

main() {
  release='' undo='' replace='' user='' password='' login='' proven='' number=0
  while [ $# -gt 0 ]; do
    case $1 in
      --undo) undo=yes ;;
      --release | --replace | --user)
        [ $# -gt 1 ] || fail "Cannot use $1: a value must follow"
        case $1 in --release) release=$2 ;; --replace) replace=$2 ;; --user) user=$2 asks=yes ;; esac
        shift
        ;;
      *) fail "Cannot use $1: the options are --undo, --release NAME, --replace URL and --user NAME" ;;
    esac
    shift
  done
  [ "$(id -u)" = 0 ] || fail "Cannot change the sources of $manager: run it as root (curl … | sudo sh)"
  if [ -n "$undo" ]; then
    undo
    say "everything is as it was before"
    return
  fi
  command -v "$command" >/dev/null || fail "Cannot find $command: this mirror is for systems that have it"
  os=/etc/os-release
  [ -r "$os" ] || os=/usr/lib/os-release
  # shellcheck source=/dev/null
  system=$(. "$os" && echo "$ID")
  case " $systems " in
    *" $system "*) ;;
    *) fail "Cannot set up $system: this mirror is for $systems" ;;
  esac
  find_release
  if [ "$asks" = yes ]; then ask_credentials; fi

  undo
  work=$(mktemp -d)
  export name base hosts folder within lists ids replace trees release work user password login
  trap 'undo; rm -rf "$work"; say "failed: everything is as it was before"' EXIT
  trap 'exit 130' INT TERM HUP
  set_up
  trap - EXIT
  rm -rf "$work"
  say "$manager uses $base now. To restore everything:"
  say "  sudo sh $state/undo"
  say "  curl -fsS $url | sudo sh -s -- --undo"
}
`;
