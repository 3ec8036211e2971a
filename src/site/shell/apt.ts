import { shell } from "./shell-text.ts";

/** The functions of the script for apt: sources.list(5), one-line style and deb822. */
export const APT = shell`
# place(uri): where the mirror has what is at uri; "" if uri is not the distribution's, or the mirror does not have it.
# shellcheck disable=SC2016
place='
function is_mirror(uri,  tree, i, n) {
  n = split(ENVIRON["trees"], tree, " ")
  for (i = 2; i <= n; i += 2) if (index(uri "/", tree[i] "/") == 1) return 1
  return 0
}
function is_same(uri, other) {
  sub(/\/+$/, "", uri)
  sub(/\/+$/, "", other)
  return uri == other
}
function place(uri,  host, path, tree, i, n, list, line, first, there) {
  if (uri ~ /^mirror\+file:\//) {
    # A list of servers stands for a tree if each of them does.
    list = uri
    sub(/^mirror\+file:\/*/, "/", list)
    while ((getline line < list) > 0) {
      sub(/[ \t#].*/, "", line)
      if (line == "") continue
      there = line ~ /^https?:/ ? place(line) : ""
      if (there == "" || (first != "" && there != first)) { close(list); return "" }
      first = there
    }
    close(list)
    return first
  }
  if (uri !~ /^(https?|ftp|mirror(\+https?)?):\/\// || is_mirror(uri)) return ""
  host = uri
  sub(/^[a-z+]*:\/\//, "", host)
  sub(/^[^\/]*@/, "", host)
  path = host
  sub(/[:\/].*/, "", host)
  sub(/^[^\/]*\/*/, "", path)
  sub(/\/+$/, "", path)
  if (uri ~ /^mirror/) path = host == "mirrors.ubuntu.com" ? "ubuntu" : ""
  if (host == "security.debian.org" && path == "") path = "debian-security"
  if (is_same(uri, ENVIRON["replace"])) ;
  else if (host !~ ("^(" ENVIRON["hosts"] ")$") && !index(" " ENVIRON["proven"] " ", " " host " ")) return ""
  sub(/.*\//, "", path)
  n = split(ENVIRON["trees"], tree, " ")
  for (i = 1; i < n; i += 2) if (tree[i] == path) return tree[i + 1]
  return ""
}
function leave(uri, entry,  hint) {
  if (is_mirror(uri)) return
  if (uri ~ /\/(debian|debian-security|ubuntu)\/?$/ && uri !~ /\.debian\.org\// && entry !~ /signed-by=/) hint = " (if this is a mirror of the distribution: --replace " uri ")"
  print "lazy-mirror: " file ": left as it is: " uri hint > "/dev/stderr"
}
function turn(uri, there) {
  changed = 1
  print "lazy-mirror: " file ": " uri " is now " there > "/dev/stderr"
}
'

find_files() {
  for path in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ -f "$path" ]; then echo "$path"; fi
  done
}

# A server that is not the distribution's own has its tree if an entry says that the distribution signs it, or if its Release file names it as the origin.
# Nothing else distinguishes it from a third party's archive, which may end in /debian too.
find_proof() {
  # apt wants one Signed-By for all entries of one address and suite: those that have none get what the others have.
  key=$(find_files | while read -r path; do sed -n "/^[ \t]*#/d; s#.*[Ss]igned-[Bb]y[:=][ \t]*\(/[^] ]*/$keyring-archive-[^] ,]*\).*#\1#p" "$path"; done | head -n 1)
  proven=$({
    find_files | while read -r path; do
      case $path in
        *.sources) awk -v RS= -v key="/$keyring-archive-" '
          { stanza = "\n" $0 "\n" }
          match(stanza, /\nSigned-By:[^\n]*/) && index(substr(stanza, RSTART, RLENGTH), key) && match(stanza, /\nURIs:[^\n]*(\n[ \t][^\n]*)*/) {
            print substr(stanza, RSTART + 6, RLENGTH - 6)
          }' "$path" ;;
        *) sed -n "s#^[ \t]*deb.*signed-by=[^] ]*/$keyring-archive-[^]]*\] *\([^ ]*\).*#\1#p" "$path" ;;
      esac
    done
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n "s#^$origin/\${origin}[^ ]* ##p"
  } | tr ' ' '\n' | sed -n 's#^[a-z+]*://\([^/@]*@\)\{0,1\}\([^/:]*\).*#\2#p' | sort -u | tr '\n' ' ')
}

convert() {
  case $1 in
    *.sources) awk -v file="$1" -v key="$key" "$place"'
      function end_stanza() {
        if (turned && !signed && key != "") print "Signed-By: " key
        turned = signed = 0
        field = ""
        split("", seen)
      }
      /^[A-Za-z]/ { field = tolower($0); sub(/:.*/, "", field) }
      /^[ \t]*$/ { end_stanza() }
      field == "signed-by" { signed = 1 }
      field == "uris" && !/^#/ {
        line = $0
        kept = ""
        while (match(line, /[a-z+]+:\/[^ \t]*/)) {
          uri = substr(line, RSTART, RLENGTH)
          there = place(uri)
          if (there == "") { leave(uri, "signed-by="); there = uri } else { turn(uri, there); turned = 1 }
          kept = kept substr(line, 1, RSTART - 1) ((there in seen) ? "" : there)
          seen[there] = 1
          line = substr(line, RSTART + RLENGTH)
        }
        $0 = kept line
        # An empty line would end the stanza.
        if ($0 ~ /^[ \t]*$/) next
      }
      { print }
      END { end_stanza(); exit !changed }' "$1" ;;
    *) awk -v file="$1" -v key="$key" "$place"'
      match($0, /^[ \t]*deb(-src)?[ \t]+(\[[^]]*\][ \t]*)?/) {
        start = substr($0, 1, RLENGTH)
        rest = substr($0, RLENGTH + 1)
        uri = rest
        sub(/[ \t].*/, "", uri)
        there = place(uri)
        if (there == "") leave(uri, start)
        else {
          turn(uri, there)
          if (key != "" && start !~ /signed-by=/ && !sub(/\[[ \t]*/, "[signed-by=" key " ", start)) start = start "[signed-by=" key "] "
          $0 = start there substr(rest, length(uri) + 1)
        }
      }
      { print }
      END { exit !changed }' "$1" ;;
  esac
}

# Prints the entries of the file $1 that use the mirror.
of_mirror() {
  case $1 in
    *.sources) awk -v RS= -v ORS='\n\n' "$place"'{ for (i = 1; i <= NF; i++) if (is_mirror($i)) { print; next } }' "$1" ;;
    *) awk "$place"'/^[ \t]*deb/ { for (i = 2; i <= NF; i++) if (is_mirror($i)) { print; next } }' "$1" ;;
  esac
}

uses_mirror() {
  find_files > "$work/list"
  while read -r path; do
    if [ -n "$(of_mirror "$path")" ]; then return 0; fi
  done < "$work/list"
  return 1
}

default() {
  if [ "$system" = ubuntu ]; then
    case $(dpkg --print-architecture) in
      amd64 | i386) ;;
      *) fail "Cannot set up $(dpkg --print-architecture): Ubuntu has it in another archive, ubuntu-ports" ;;
    esac
  fi
  [ -r "/usr/share/keyrings/$keyring-archive-keyring.gpg" ] || fail "Cannot find the distribution's keys: first install $keyring-archive-keyring"
  write_default
}

write_credentials() {
  awk "$place"'BEGIN { n = split(ENVIRON["trees"], tree, " "); for (i = 2; i <= n; i += 2) print tree[i] "/" }' |
    while read -r tree; do printf 'machine %s login %s password %s\n' "$tree" "$user" "$password"; done > "$work/new"
  put "/etc/apt/auth.conf.d/lazy-mirror-$name.conf" secret < "$work/new"
}

uris() { apt-get update --print-uris 2>/dev/null | sed "s/^'//; s/' .*//; s#/dists/.*##" | sort -u; }

# Updates from the mirror alone: a third party that is away is not the mirror's failure.
check() {
  mkdir "$work/parts"
  find_files > "$work/list"
  while read -r path; do
    of_mirror "$path" > "$work/parts/\${path##*/}"
  done < "$work/list"
  proxy=$(apt-config dump Acquire::http::Proxy | sed -n 's/^Acquire::http::Proxy "\(.*\)";/\1/p')
  [ -z "$proxy" ] || say "apt asks through the proxy $proxy, as this machine is configured"
  apt-get update -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any
}
`;
