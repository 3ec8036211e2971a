import { shell } from "./shell-text.ts";

/** The functions of the script for apk: /etc/apk/repositories. */
export const APK = shell`
# place(uri): where the mirror has what is at uri; "" if uri is not the distribution's.
# shellcheck disable=SC2016
place='
function is_mirror(uri) { sub(/:\/\/[^\/]*@/, "://", uri); return index(uri, ENVIRON["base"] "/") == 1 }
function place(uri,  root, rest, there, i, n, known) {
  if (is_mirror(uri) || !match(uri, /\/(v[0-9.]+|edge|latest-stable)\/[a-z]+\/*$/)) return ""
  root = substr(uri, 1, RSTART - 1)
  rest = substr(uri, RSTART)
  sub(/\/+$/, "", rest)
  if (root !~ ("^https?://(" ENVIRON["hosts"] ")(/pub)?/alpine$")) {
    n = split(ENVIRON["proven"], known, " ")
    for (i = 1; i <= n && root != known[i] && root != known[i] "/alpine" && root != known[i] "/pub/alpine"; i++);
    if (i > n) return ""
  }
  there = ENVIRON["base"] rest
  if (ENVIRON["login"] != "") sub(/:\/\//, "://" ENVIRON["login"] "@", there)
  return there
}
'

find_files() {
  for path in /etc/apk/repositories /etc/apk/repositories.d/*.list; do
    if [ -f "$path" ]; then echo "$path"; fi
  done
}

# Another server has the distribution's tree in its /alpine or /pub/alpine if it has main and community. A third party's packages for Alpine may lie under
# such a path too.
find_proof() {
  proven=$({
    uris | sed -n 's#^\(https*://[^/]*\)\(/pub\)\{0,1\}/alpine/[a-z0-9.-]*/\(main\|community\)/*$#\1 \3#p' | sort -u |
      awk '{ if (seen[$1]++) print $1 }'
    printf '%s\n' "\${replace%/}"
  } | tr '\n' ' ')
}

convert() {
  awk -v file="$1" "$place"'
    /^[ \t]*(@[^ \t]+[ \t]+)?(https?|ftp):/ {
      there = place($NF)
      if (there != "") {
        print "lazy-mirror: " file ": " $NF " is now on the mirror" > "/dev/stderr"
        changed = 1
        tag = NF > 1 ? $1 " " : ""
        $0 = tag there
      } else if (!is_mirror($NF)) print "lazy-mirror: " file ": left as it is: " $NF > "/dev/stderr"
    }
    { print }
    END { exit !changed }' "$1"
}

uris() {
  find_files | while read -r path; do sed -n 's/^[ \t]*\(@[^ \t]*[ \t]*\)\{0,1\}\(https\{0,1\}:[^ \t]*\)[ \t]*$/\2/p' "$path"; done
}

uses_mirror() { [ -n "$(uris | awk "$place"'is_mirror($1)')" ]; }
default() { write_default | awk '{ if (ENVIRON["login"] != "") sub(/:\/\//, "://" ENVIRON["login"] "@"); print }'; }
write_credentials() { :; }
check() { apk update; }
`;
