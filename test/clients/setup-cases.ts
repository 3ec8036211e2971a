import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { openAptRepository } from "../support/apt-repository.ts";
import { openPacmanRepository } from "../support/pacman-repository.ts";
import { openRpmRepository } from "../support/rpm-repository.ts";

/** A repository as its distribution lays it out: folder below the mirror → folder of the repository. */
export interface Tree {
  readonly links: Readonly<Record<string, string>>;
  readonly publicKeyFile: string;
  readonly folder: string;
}

/** A machine of one distribution. */
export interface SetupCase {
  readonly distro: string;
  /** Another mirror of the same tree, which the set-up takes in. */
  readonly also?: string;
  readonly tools: readonly string[];
  openTree(): Promise<Tree>;
  /** Shell: makes this machine one of the distribution's, with keys and no sources. */
  readonly install: (tree: Tree) => string;
  /** The distribution's own sources by file. Their servers do not exist here. */
  readonly own: Readonly<Record<string, string>>;
  /** Sources of others by file, which look like the distribution's. */
  readonly foreign: Readonly<Record<string, string>>;
  /** Everything that the script may change. */
  readonly etc: string;
  /** Shell: the sources that the package manager uses, and what it finds with them. Those of others are gone by then, as nothing serves them. */
  readonly find: string;
  readonly found: RegExp;
  /** Shell: takes all sources away. */
  readonly clear: string;
}

const ARCH = process.arch === "arm64" ? "aarch64" : "x86_64";

async function openRpmTree(...places: readonly string[]): Promise<Tree> {
  const { folder, key } = await openRpmRepository();
  return { folder, publicKeyFile: key.publicKeyFile, links: Object.fromEntries(places.map((place) => [place, folder])) };
}

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export const SETUP_CASES: readonly SetupCase[] = [
  {
    distro: "debian",
    also: "debian-security",
    tools: ["apt-get", "dpkg", "gpg", "apt-ftparchive"],
    async openTree() {
      const { folder, key } = await openAptRepository();
      const suites = ["stable", "stable-updates", "stable-security", "stable-backports"];
      const links = Object.fromEntries(suites.map((name) => [`dists/${name}`, join(folder, "dists/stable")]));
      return { folder, publicKeyFile: key.publicKeyFile, links: { ...links, pool: join(folder, "pool") } };
    },
    clear: "rm -rf /etc/apt/sources.list.d/* /etc/apt/sources.list /var/lib/apt/lists",
    install: (tree) => `
      printf 'ID=debian\\nVERSION_CODENAME=stable\\n' > /usr/lib/os-release
      rm -rf /etc/apt/apt.conf.d/* /etc/apt/trusted.gpg.d/*
      gpg --dearmor < ${tree.publicKeyFile} > ${KEYRING}
      cp ${KEYRING} /etc/apt/trusted.gpg.d/debian.gpg
      mkdir -p /etc/apt/mirrors /opt/etc`,
    own: {
      "/etc/apt/sources.list.d/debian.sources": [
        "# as the installer wrote it",
        "Types: deb",
        "URIs: http://archive.invalid/debian",
        "  mirror+file:/etc/apt/mirrors/debian.list",
        "Suites: stable stable-updates",
        "Components: main",
        "Architectures: amd64 arm64",
        `Signed-By: ${KEYRING}`,
        "",
        "Types: deb",
        "Enabled: yes",
        "URIs: http://security.debian.org:80/debian-security/",
        "Suites: stable-security",
        "Components: main",
        "",
      ].join("\n"),
      "/etc/apt/mirrors/debian.list": "http://archive.invalid/debian\tpriority:1\nhttps://ftp.debian.org/debian\tpriority:2\n",
      "/etc/apt/sources.list": [
        "# by hand",
        "deb [arch=amd64] https://ftp.de.debian.org/debian/ stable-backports main",
        "# deb http://ftp.debian.org/debian sid main",
        "",
      ].join("\n"),
    },
    foreign: {
      "/etc/apt/sources.list.d/foreign.list": [
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.invalid/linux/debian stable main",
        "deb https://pkg.jenkins.invalid/debian-stable binary/",
        "deb [signed-by=/etc/apt/keyrings/jenkins.asc] https://pkg.jenkins.invalid/debian stable main",
        "deb http://archive.raspberrypi.com/debian/ stable main",
        "deb [signed-by=/usr/share/keyrings/raspberrypi-archive-keyring.gpg] http://archive.raspberrypi.com/debian/ stable-pi main",
        "deb http://packages.example/ubuntu stable main",
        "deb http://archive.debian.org/debian buzz main",
        "",
      ].join("\n"),
      "/etc/apt/sources.list.d/foreign.sources": [
        "Types: deb\nURIs: https://dl.winehq.invalid/wine-builds/debian\nSuites: stable\nComponents: main\n",
        "Types: deb\nURIs: https://vendor.invalid/debian\nSuites: stable\nComponents: main\nSigned-By: /etc/apt/keyrings/v.asc\n",
        "Types: deb\nURIs: https://other.invalid/debian\nSuites: stable\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x\n",
      ].join("\n"),
    },
    etc: "/etc/apt",
    find: "apt-get update --error-on=any && apt-get update --print-uris && cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; apt-cache policy mirror-test-large",
    found:
      /^URIs: http:\/\/127\.0\.0\.1:\d+\/debian\nSuites: stable stable-updates\nComponents: main\nArchitectures: amd64 arm64\nSigned-By: [^]*^Signed-By: \S+\n# by hand\ndeb \[signed-by=\S+ arch=amd64\] http:\/\/127\.0\.0\.1:\d+\/debian stable-backports main$[^]*Candidate: .*2\.0[^]*500 http:\/\/127\.0\.0\.1:\d+\/debian stable\/main/m,
  },
  {
    distro: "fedora",
    tools: ["dnf", "rpmbuild", "rpmsign", "createrepo_c", "gpg"],
    openTree: () =>
      openRpmTree(`releases/41/Everything/${ARCH}/os`, `updates/41/Everything/${ARCH}`, `updates/testing/41/Everything/${ARCH}`),
    clear: "rm -rf /etc/yum.repos.d/*",
    install: (tree) => `
      printf 'ID=fedora\\nVERSION_ID=41\\nVERSION="41 (Forty One)"\\n' > /usr/lib/os-release
      mkdir -p /etc/yum.repos.d /etc/dnf/vars /etc/pki/rpm-gpg
      echo 41 > /etc/dnf/vars/releasever
      cp ${tree.publicKeyFile} /etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-41-${ARCH}`,
    own: {
      "/etc/yum.repos.d/fedora.repo": `[fedora]
name=Fedora $releasever - $basearch
#baseurl=http://download.example/pub/fedora/linux/releases/$releasever/Everything/$basearch/os/
metalink=https://mirrors.fedoraproject.org/metalink?repo=fedora-$releasever&arch=$basearch
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-$releasever-$basearch
skip_if_unavailable=True

[fedora-source]
name=Source
#baseurl=http://download.example/pub/fedora/linux/releases/$releasever/Everything/source/tree/
metalink=https://mirrors.fedoraproject.org/metalink?repo=fedora-source-$releasever&arch=$basearch
enabled=0
`,
      "/etc/yum.repos.d/fedora-updates.repo": `# Updates
[updates]
name=Updates
mirrorlist=http://archive.invalid/mirrorlist
enabled=1
`,
      "/etc/yum.repos.d/fedora-updates-testing.repo": `[updates-testing]
name=Testing
baseurl=
  https://dl.fedoraproject.org/pub/fedora/linux/updates/testing/$releasever/Everything/$basearch/
enabled = 1
`,
    },
    foreign: {
      "/etc/yum.repos.d/cisco.repo":
        "[fedora-cisco-openh264]\nname=h264\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=fedora-cisco-openh264-$releasever&arch=$basearch\nenabled=1\n",
      "/etc/yum.repos.d/vendor.repo":
        "[vendor]\nname=vendor\n#baseurl=http://v.invalid/fedora/$releasever\nbaseurl = https://packages.example/pub/fedora/linux/\n\n\n[rpmfusion-free]\nname=f\n#baseurl=http://download1.rpmfusion.org/free/fedora/\nmetalink=https://mirrors.rpmfusion.org/metalink?repo=free-fedora-$releasever&arch=$basearch\nenabled=1",
    },
    etc: "/etc/yum.repos.d",
    find: "dnf repolist && dnf --refresh repoquery --location mirror-test-large && dnf -q -C --disablerepo='*' repoinfo --all",
    found:
      /^updates +Updates[^]*http:\/\/127\.0\.0\.1:\d+\/fedora\/(updates|releases)\/.*mirror-test-large-2\.0[^]*http:\/\/127\.0\.0\.1:\d+\/fedora\/releases\/41\/Everything\/source\/tree/m,
  },
  {
    distro: "opensuse",
    tools: ["zypper", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg"],
    openTree: () => openRpmTree("tumbleweed/repo/oss", "tumbleweed/repo/non-oss", "update/tumbleweed"),
    clear: "rm -rf /etc/zypp/repos.d/* /etc/zypp/services.d/*",
    install: (tree) => `
      printf 'ID="opensuse-tumbleweed"\\nVERSION_ID="20261101"\\n' > /usr/lib/os-release
      mkdir -p /etc/zypp/repos.d /etc/zypp/services.d /etc/zypp/credentials.d
      rpm --dbpath /var/lib/rpm --import ${tree.publicKeyFile}`,
    own: {
      "/etc/zypp/repos.d/repo-oss.repo":
        "[repo-oss]\nname=oss\nenabled=1\nautorefresh=1\nbaseurl=http://download.opensuse.org/tumbleweed/repo/oss/\ntype=rpm-md\n",
      "/etc/zypp/repos.d/openSUSE:update-tumbleweed.repo":
        "[openSUSE:update-tumbleweed]\nname=update\nenabled=1\nautorefresh=1\nbaseurl=https://cdn.opensuse.org/update/tumbleweed/?mirror=x\nservice=openSUSE\n",
      "/etc/zypp/services.d/openSUSE.service":
        "[openSUSE]\nname=openSUSE\nenabled=1\nautorefresh=1\nurl=https://cdn.opensuse.org/repoindex\ntype = ris\n",
    },
    foreign: {
      "/etc/zypp/repos.d/vendor.repo": "[vendor]\nname=vendor\nenabled=1\nbaseurl=http://packages.example/update/tumbleweed/\n",
      "/etc/zypp/repos.d/obs.repo":
        "[obs]\nname=obs\nenabled=1\nbaseurl=https://download.opensuse.org/repositories/home:/x/openSUSE_Tumbleweed/\n",
    },
    etc: "/etc/zypp",
    find: "zypper --non-interactive refresh && zypper --non-interactive repos --uri && zypper --non-interactive search --details mirror-test-large",
    found: /http:\/\/127\.0\.0\.1:\d+\/opensuse\/update\/tumbleweed\/[^]*repo-oss[^]*mirror-test-large +\| package/,
  },
  {
    distro: "archlinux",
    tools: ["pacman", "tar", "zstd"],
    async openTree() {
      const { folder } = await openPacmanRepository();
      return { folder, publicKeyFile: "", links: { core: join(folder, "core") } };
    },
    clear:
      "rm -rf /etc/pacman.d/*; printf '[options]\\nArchitecture = x86_64\\nSigLevel = Never\\n[core]\\nInclude = /etc/pacman.d/mirrorlist\\n' > /etc/pacman.conf",
    install: () => `
      printf 'ID=arch\\n' > /usr/lib/os-release
      mkdir -p /etc/pacman.d /var/lib/pacman`,
    own: {
      "/etc/pacman.conf":
        "[options]\nArchitecture = x86_64\nSigLevel = Never\n[core]\nServer = https://first.invalid/$repo/os/$arch\nInclude = /etc/pacman.d/mirrorlist\n[vendor]\nInclude = /etc/pacman.d/vendor\n",
      "/etc/pacman.d/mirrorlist":
        "# Worldwide\nServer = http://archive.invalid/$repo/os/$arch\n#Server = http://off.invalid/$repo/os/$arch\nServer = http://second.invalid/$repo/os/$arch\n",
    },
    foreign: { "/etc/pacman.d/vendor": "Server = http://vendor.invalid/$repo/os/$arch\n" },
    etc: "/etc/pacman.d /etc/pacman.conf",
    find: "sed -i '/vendor/d' /etc/pacman.conf && pacman -Sy && pacman -Sp mirror-test-large && pacman-conf --repo core Server",
    found: /http:\/\/127\.0\.0\.1:\d+\/archlinux\/core\/os\/x86_64\/mirror-test-large/,
  },
  {
    distro: "alpine",
    tools: ["tar"],
    async openTree() {
      const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-alpine-"));
      for (const name of ["main", "community"]) {
        mkdirSync(join(folder, name, "x86_64"), { recursive: true });
        writeFileSync(join(folder, name, "x86_64/APKINDEX.tar.gz"), gzipSync("An index"));
      }
      const links = Object.fromEntries(["main", "community"].map((name) => [`v3.22/${name}`, join(folder, name)]));
      return { folder, publicKeyFile: "", links: { ...links, "edge/main": join(folder, "main") } };
    },
    clear: "rm -rf /etc/apk/repositories /etc/apk/repositories.d",
    // No apk here: this one asks the mirror for the index of each repository, as apk's update does.
    install: () => `
      printf 'ID=alpine\\nVERSION_ID=3.22.1\\n' > /usr/lib/os-release
      mkdir -p /etc/apk/repositories.d
      printf '#!/bin/sh\\nfor url in $(sed -n "s/^.*\\\\(http.*127.0.0.1.*\\\\)/\\\\1/p" /etc/apk/repositories); do curl -fsS "$url/x86_64/APKINDEX.tar.gz" >/dev/null || exit 1; done\\n' > /usr/local/bin/apk
      chmod +x /usr/local/bin/apk`,
    own: {
      "/etc/apk/repositories":
        "https://dl-cdn.alpinelinux.org/alpine/v3.22/main\n@old http://archive.invalid/pub/alpine/v3.22/community/\nhttp://archive.invalid/alpine/edge/main\n#https://dl-cdn.alpinelinux.org/alpine/edge/main\nhttp://vendor.invalid/packages\n@nginx https://nginx.org/packages/alpine/v3.22/main\n",
    },
    foreign: {
      "/etc/apk/repositories.d/nginx.list": "https://nginx.org/packages/alpine/v3.22/main\nhttps://packages.example/alpine/v3.22/main\n",
    },
    etc: "/etc/apk",
    find: "cat /etc/apk/repositories",
    found: new RegExp(
      String.raw`^http://127\.0\.0\.1:\d+/alpine/v3\.22/main\n@old http://127\.0\.0\.1:\d+/alpine/v3\.22/community\n.*\n#https://dl-cdn.alpinelinux.org/alpine/edge/main\nhttp://vendor\.invalid/packages\n@nginx https://nginx\.org/packages/alpine/v3\.22/main\n$`,
    ),
  },
];
