#!/bin/sh
# Builds build/lazy-mirror_<version>_<architecture>.deb from what build-package.ts has made. Needs dpkg-deb, and binutils for a package a quarter smaller.
set -eu
cd "$(dirname "$0")/.."
node=node_modules/.bin/node
version=${DEB_VERSION:-$("$node" -p 'require("./package.json").version')}
architecture=$(dpkg --print-architecture)
root=build/deb
rm -rf "$root"
mkdir -p "$root/DEBIAN" "$root/etc/lazy-mirror" "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/lib/sysusers.d" "$root/usr/share/doc/lazy-mirror"
"$node" packaging/build-installation.ts "$root/usr/lib/lazy-mirror"

cp "$root/usr/lib/lazy-mirror/wrangler.toml" "$root/etc/lazy-mirror/wrangler.toml"
for file in README.md CHANGELOG.md LICENSE; do mv "$root/usr/lib/lazy-mirror/$file" "$root/usr/share/doc/lazy-mirror/"; done
mv "$root/usr/share/doc/lazy-mirror/LICENSE" "$root/usr/share/doc/lazy-mirror/copyright"
gzip -9n "$root/usr/share/doc/lazy-mirror/CHANGELOG.md"
install -m 755 packaging/deb/lazy-mirror "$root/usr/bin/lazy-mirror"
install -m 644 packaging/deb/lazy-mirror.sysusers "$root/usr/lib/sysusers.d/lazy-mirror.conf"
# The service of docs/systemd, with the places and the user of the package.
sed -e 's|^DynamicUser=yes|User=lazy-mirror|' \
  -e 's|^WorkingDirectory=.*|WorkingDirectory=/etc/lazy-mirror|' \
  -e 's|^ExecStart=/opt/lazy-mirror/node_modules/.bin/node \(.*\) src/local/server/main.ts|ExecStart=/usr/lib/lazy-mirror/node_modules/node/bin/node \1 /usr/lib/lazy-mirror/src/local/command/command-main.js start|' \
  -e 's|^# Installed by docs/operations.md.|# Change it by systemctl edit lazy-mirror.|' \
  docs/systemd/lazy-mirror.service > "$root/usr/lib/systemd/system/lazy-mirror.service"
if grep -q /opt/ "$root/usr/lib/systemd/system/lazy-mirror.service"; then
  echo "Cannot build the package: its service names /opt, since docs/systemd/lazy-mirror.service has changed" >&2
  exit 1
fi

echo /etc/lazy-mirror/wrangler.toml > "$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "packaging/deb/$script" "$root/DEBIAN/$script"; done
sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$architecture|" -e "s|@SIZE@|$(du -sk --exclude=DEBIAN "$root" | cut -f 1)|" packaging/deb/control > "$root/DEBIAN/control"
chmod -R u=rwX,go=rX "$root"
# zstd: a tenth of the time that xz takes, and a package little larger.
dpkg-deb --root-owner-group -Z"${DEB_COMPRESSION:-zstd}" --build "$root" "build/lazy-mirror_${version}_${architecture}.deb"
