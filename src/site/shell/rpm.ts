import { shell } from "./shell-text.ts";

/** What dnf and zypper have in common: repositories in sections of .repo files. */
const SECTIONS = shell`
# place(url): where the mirror has what is at url; "" if url is not the distribution's.
# shellcheck disable=SC2016
place='
function is_mirror(url) { return index(url, ENVIRON["base"] "/") == 1 }
function below(start, url,  rest) {
  rest = url
  if (!sub("^" start, "", rest) || (ENVIRON["within"] != "" && rest !~ ("^(" ENVIRON["within"] ")"))) return ""
  sub(/[?].*/, "", rest)
  return ENVIRON["base"] "/" rest
}
function place(url,  replace) {
  if (is_mirror(url)) return ""
  replace = ENVIRON["replace"]
  sub(/\/*$/, "/", replace)
  if (replace != "/" && index(url, replace) == 1) return ENVIRON["base"] "/" substr(url, length(replace) + 1)
  if (ENVIRON["lists"] != "" && url ~ ENVIRON["lists"]) return "unknown"
  return below("https?://(" ENVIRON["hosts"] ")(:[0-9]+)?/" ENVIRON["folder"], url)
}
# The value of a line "key=value", or of one that goes on from such a line.
function value(line) { sub(/^[^=]*=[ \t]*/, "", line); sub(/^[ \t]+/, "", line); sub(/[ \t,].*/, "", line); return line }
'
# Replaces the addresses of the section that was read.
# shellcheck disable=SC2016
convert_section='
# Where the mirror has the section: by its address, by the address that the distribution ships as a comment beside a list of mirrors, or by its id.
function place_section(  there) {
  there = place(address)
  if (there != "" && there != "unknown") return there
  if (there == "" && !(id in usual)) return ""
  if (ENVIRON["folder"] != "") there = below("https?://[^/]+/" ENVIRON["folder"], comment)
  if (there != "" && there != "unknown") return there
  return id in usual ? ENVIRON["base"] "/" usual[id] : ""
}
function flush(  i, there, key, done) {
  there = address == "" ? "" : place_section()
  key = ""
  for (i = 1; i <= count; i++) {
    if (line[i] ~ /^[a-z_]+[ \t]*=/) { key = line[i]; sub(/[ \t]*=.*/, "", key) } else if (line[i] !~ /^[ \t]/) key = ""
    if (there != "" && (key == "baseurl" || key == "metalink" || key == "mirrorlist")) {
      if (!done++) print address_of(there)
    } else if (there == "" || key != "service") print line[i]
  }
  if (there != "") {
    changed = 1
    print "lazy-mirror: " file " [" id "]" (off ? ", which is off" : "") ": is now at " there > "/dev/stderr"
  } else if (address != "" && !is_mirror(address)) print "lazy-mirror: " file " [" id "]" (off ? ", which is off" : "") ": left as it is: " address > "/dev/stderr"
  count = 0; address = ""; comment = ""; off = 0
}
BEGIN {
  n = split(ENVIRON["ids"], word, " ")
  for (i = 1; i < n; i += 2) usual[word[i]] = word[i + 1]
}
'
# Reads a .repo file section by section.
# shellcheck disable=SC2016
read_sections='
/^[ \t]*\[/ { flush(); id = $0; sub(/^[ \t]*\[/, "", id); sub(/\].*/, "", id) }
{ line[++count] = $0 }
/^(baseurl|metalink|mirrorlist)[ \t]*=/ { waits = value($0) == ""; if (address == "") address = value($0) }
/^[ \t]+[a-z]+:/ { if (waits && address == "") address = value($0); waits = 0 }
/^#[ \t]*baseurl[ \t]*=/ { comment = value($0) }
/^enabled[ \t]*=[ \t]*(0|[Nn]o|[Ff]alse|[Oo]ff)/ { off = 1 }
END { flush() }
'

find_proof() { :; }

# Prints "on" or "off", and the id, of the sections that use the mirror.
sections_of_mirror() {
  find_files | while read -r path; do
    awk "$place"'
      function flush() { if (address != "" && is_mirror(address)) print (off ? "off" : "on"), id; count = 0; address = ""; off = 0 }'"$read_sections" "$path"
  done
}

uses_mirror() { [ -n "$(sections_of_mirror)" ]; }
ids_of_mirror() { sections_of_mirror | sed -n 's/^on //p'; }
`;

/** The functions of the script for dnf. */
export const DNF = `${SECTIONS}${shell`
find_files() {
  for path in /etc/yum.repos.d/*.repo /etc/distro.repos.d/*.repo; do
    if [ -f "$path" ]; then echo "$path"; fi
  done
}

convert() {
  awk -v file="$1" "$place$convert_section"'
    function address_of(url) {
      if (ENVIRON["login"] == "") return "baseurl=" url
      return "baseurl=" url "\nusername=" ENVIRON["user"] "\npassword=" ENVIRON["password"]
    }
    '"$read_sections"'
    END { exit !changed }' "$1"
}

default() {
  write_default > "$work/default"
  sed -n 's#^gpgkey=file://##p' "$work/default" | sed "s/[$]releasever/$release/; s/[$]basearch/$(uname -m)/" | sort -u > "$work/keys"
  while read -r key; do
    [ -r "$key" ] || fail "Cannot find $key: first install the package with the distribution's keys"
  done < "$work/keys"
  awk '
    { print }
    /^baseurl=/ && ENVIRON["login"] != "" { print "username=" ENVIRON["user"] "\npassword=" ENVIRON["password"] }' "$work/default"
}
write_credentials() { :; }

# With all of them off, dnf fetches nothing of them and yet shows where each would be.
uris() { dnf -q -C repoinfo --disablerepo='*' --all 2>/dev/null | grep -o 'https\{0,1\}://[^ ,]*' | sort -u; }

check() {
  ids=$(ids_of_mirror | tr '\n' ',')
  if [ -z "$ids" ]; then
    say "all repositories that the mirror has are off: nothing to update"
    return
  fi
  dnf --disablerepo='*' --enablerepo="\${ids%,}" --setopt=skip_if_unavailable=False --setopt='*.skip_if_unavailable=False' --refresh makecache
}
`}`;

/** The functions of the script for zypper. */
export const ZYPPER = `${SECTIONS}${shell`
find_files() {
  for path in /etc/zypp/repos.d/*.repo /etc/zypp/services.d/*.service; do
    if [ -f "$path" ]; then echo "$path"; fi
  done
}

convert() {
  case $1 in
    *.service) turn_service_off "$1" ;;
    *) awk -v file="$1" "$place$convert_section"'
      function address_of(url) {
        return "baseurl=" url (ENVIRON["login"] == "" ? "" : "?credentials=lazy-mirror-" ENVIRON["name"])
      }
      '"$read_sections"'
      END { exit !changed }' "$1" ;;
  esac
}

# The distribution's service would write the distribution's addresses into the .repo files again.
turn_service_off() {
  awk -v file="$1" '
    function flush(  i) {
      for (i = 1; i <= count; i++) if (!ours || line[i] !~ /^enabled[ \t]*=/) print line[i]
      if (ours) { changed = 1; print "enabled=0"; print "lazy-mirror: " file " [" id "]: turned off" > "/dev/stderr" }
      else if (id != "") print "lazy-mirror: " file " [" id "]: left as it is" > "/dev/stderr"
      count = ours = 0
    }
    /^\[/ { flush(); id = $0; gsub(/[][]/, "", id); ours = id == "openSUSE" }
    { line[++count] = $0 }
    /^url[ \t]*=/ && $0 ~ ("://(" ENVIRON["hosts"] ")/") { ours = 1 }
    END { flush(); exit !changed }' "$1"
}

default() { write_default | awk '{ if (/^baseurl=/ && ENVIRON["login"] != "") $0 = $0 "?credentials=lazy-mirror-" ENVIRON["name"]; print }'; }

write_credentials() {
  printf 'username=%s\npassword=%s\n' "$user" "$password" > "$work/new"
  put "/etc/zypp/credentials.d/lazy-mirror-$name" secret < "$work/new"
}

uris() { zypper --non-interactive repos --uri 2>/dev/null | grep -o '[a-z]*://[^ |]*' | sort -u; }

check() {
  ids_of_mirror > "$work/ids"
  while read -r repo; do
    zypper --non-interactive refresh --force "$repo" || return 1
  done < "$work/ids"
}
`}`;
