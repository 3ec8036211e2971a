import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canRunSystems, runInSystem } from "../clients/setup-system.ts";
import { openAptRepository } from "../support/apt-repository.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Origin } from "../support/origin.ts";
import { startOrigin } from "../support/origin.ts";
import { openPacmanRepository } from "../support/pacman-repository.ts";
import { openRpmRepository } from "../support/rpm-repository.ts";
import { requireTools } from "../support/run-tool.ts";

interface Tree {
  readonly folder: string;
  /** Place below the mirror → folder of the repository. */
  readonly links: Readonly<Record<string, string>>;
  readonly publicKeyFile: string;
}

interface Case {
  readonly distro: string;
  readonly tools: readonly string[];
  readonly release: string;
  /** The distribution's own server in the lines, for which a loopback address stands here. */
  readonly direct: string;
  openTree(): Promise<Tree>;
  /** Shell: what else the client needs. */
  readonly install: (tree: Tree) => string;
  readonly update: string;
  /** Shell: fetches a package, without installing it. */
  readonly fetch: string;
  /** A file of the repository's metadata, and the package. */
  readonly index: RegExp;
  readonly package: RegExp;
}

const ARCH = process.arch === "arm64" ? "aarch64" : "x86_64";

async function openRpmTree(...places: readonly string[]): Promise<Tree> {
  const { folder, key } = await openRpmRepository();
  return { folder, publicKeyFile: key.publicKeyFile, links: Object.fromEntries(places.map((place) => [place, folder])) };
}

const CASES: readonly Case[] = [
  {
    distro: "ubuntu",
    tools: ["apt-get", "dpkg", "gpg", "apt-ftparchive"],
    release: "stable",
    direct: "http://archive.ubuntu.com/ubuntu",
    async openTree() {
      const { folder, key } = await openAptRepository();
      const suites = ["stable", "stable-updates", "stable-backports", "stable-security"];
      const links = Object.fromEntries(suites.map((suite) => [`dists/${suite}`, join(folder, "dists/stable")]));
      return { folder, publicKeyFile: key.publicKeyFile, links: { ...links, pool: join(folder, "pool") } };
    },
    install: (tree) => `
      rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists
      gpg --dearmor < ${tree.publicKeyFile} > /usr/share/keyrings/ubuntu-archive-keyring.gpg
      printf 'APT::Sandbox::User "root";\\n' > /etc/apt/apt.conf.d/99test`,
    update: "apt-get update --error-on=any",
    fetch: "cd /tmp && apt-get download mirror-test-large && ls mirror-test-large*",
    index: /dists\/stable\/.*Packages|by-hash/,
    package: /mirror-test-large_.*\.deb$/,
  },
  {
    distro: "fedora",
    tools: ["dnf", "rpmbuild", "rpmsign", "createrepo_c", "gpg"],
    release: "41",
    direct: "https://dl.fedoraproject.org/pub/fedora/linux",
    openTree: () => openRpmTree(`releases/41/Everything/${ARCH}/os`, `updates/41/Everything/${ARCH}`),
    install: (tree) => `
      mkdir -p /etc/yum.repos.d /etc/dnf/vars /etc/pki/rpm-gpg
      printf '[fedora]\\nenabled=1\\nbaseurl=http://archive.invalid/\\n' > /etc/yum.repos.d/fedora.repo
      echo 41 > /etc/dnf/vars/releasever
      cp ${tree.publicKeyFile} /etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-41-${ARCH}`,
    update: "dnf --refresh makecache",
    fetch:
      "mkdir /tmp/root && dnf --installroot /tmp/root --setopt=reposdir=/etc/yum.repos.d --setopt=cachedir=/var/cache/lines --releasever 41 -y install --downloadonly mirror-test-large",
    index: /repodata\/.*primary/,
    package: /mirror-test-large-.*\.rpm$/,
  },
  {
    distro: "opensuse",
    tools: ["zypper", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg"],
    release: "tumbleweed",
    direct: "https://download.opensuse.org",
    openTree: () => openRpmTree("tumbleweed/repo/oss", "tumbleweed/repo/non-oss", "update/tumbleweed"),
    install: (tree) => `
      mkdir -p /etc/zypp/repos.d /etc/zypp/services.d
      rpm --dbpath /var/lib/rpm --import ${tree.publicKeyFile}`,
    update: "zypper --non-interactive refresh",
    fetch: "zypper --non-interactive --pkg-cache-dir /tmp/cache download mirror-test-large && find /tmp/cache | grep mirror-test-large",
    index: /repodata\/.*primary/,
    package: /mirror-test-large-.*\.rpm$/,
  },
  {
    distro: "archlinux",
    tools: ["pacman", "tar", "zstd"],
    release: "rolling",
    direct: "https://geo.mirror.pkgbuild.com",
    async openTree() {
      const { folder } = await openPacmanRepository();
      return { folder, publicKeyFile: "", links: { core: join(folder, "core") } };
    },
    install: () => `
      mkdir -p /etc/pacman.d /var/lib/pacman
      printf '[options]\\nArchitecture = x86_64\\nSigLevel = Never\\n[core]\\nInclude = /etc/pacman.d/mirrorlist\\n' > /etc/pacman.conf`,
    update: "pacman -Sy",
    fetch: "pacman -Sw --noconfirm --cachedir /tmp mirror-test-large",
    index: /core\.db/,
    package: /mirror-test-large-.*\.pkg\.tar\.zst$/,
  },
];

// The mirror's upstream swallows one request, so that the mirror has a client that waits when it dies.
for (const one of CASES) {
  describe.runIf(canRunSystems() && requireTools("unshare", ...one.tools))(`${one.distro} with a fallback`, () => {
    let tree: Tree;
    let served: string;
    let upstream: Origin;
    let own: Origin;
    let mirror: MirrorProcess;

    beforeAll(async () => {
      tree = await one.openTree();
      served = mkdtempSync(join(tmpdir(), "lazy-mirror-tree-"));
      for (const [place, folder] of Object.entries(tree.links)) {
        mkdirSync(dirname(join(served, place)), { recursive: true });
        symlinkSync(folder, join(served, place));
      }
      upstream = await startOrigin(served);
      // Another address than the mirror's: apt asks no address again that refused it a connection.
      own = await startOrigin(served, "127.0.0.77");
      mirror = await startMirror({ mirrors: { [one.distro]: { distro: one.distro, upstreams: [upstream.url] } } });
    });
    afterAll(async () => {
      await mirror?.remove();
      for (const origin of [upstream, own]) await origin?.close();
      for (const folder of [served, tree?.folder]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    /** Runs the client, with the lines of the mirror as it was before. */
    async function run(commands: string) {
      const lines = await fetch(`${mirror.url}/-/setup/${one.distro}?for=sh&fallback=direct&release=${one.release}`);
      const text = (await lines.text()).replaceAll(one.direct, own.url);
      expect(text).toContain(own.url);
      return { ended: runInSystem(`${one.install(tree)}\n${text}\n${commands}`) };
    }

    it("goes on when the mirror dies in mid-update", async () => {
      const swallow = upstream.fault(one.index, { kind: "black-hole" });
      const { ended } = await run(one.update);
      await upstream.waitForRequest(one.index);
      await mirror.kill();
      expect(await ended).toMatchObject({ code: 0 });
      expect(own.requests(/./).length).toBeGreaterThan(0);
      swallow.clear();
    });

    it("asks the mirror alone while that is there, and goes on when it dies with a package on its way", async () => {
      await mirror.start();
      const before = own.requests(/./).length;
      const swallow = upstream.fault(one.package, { kind: "black-hole" });
      const { ended } = await run(`${one.update}\n${one.fetch}`);
      await upstream.waitForRequest(one.package);
      expect(own.requests(/./).length).toBe(before);
      await mirror.kill();
      expect(await ended).toMatchObject({ code: 0 });
      expect(own.requests(one.package).length).toBeGreaterThan(0);
      swallow.clear();
    });
  });
}
