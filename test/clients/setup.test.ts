import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAptRepository } from "../support/apt-repository.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Origin } from "../support/origin.ts";
import { startOrigin } from "../support/origin.ts";
import { openPacmanRepository } from "../support/pacman-repository.ts";
import { openRpmRepository } from "../support/rpm-repository.ts";
import { requireTools } from "../support/run-tool.ts";
import { canRunSystems, runInSystem } from "./setup-system.ts";

/** A repository as its distribution lays it out: folder below the mirror → folder of the repository. */
interface Tree {
  readonly links: Readonly<Record<string, string>>;
  readonly publicKeyFile: string;
  readonly folder: string;
}

interface Case {
  readonly distro: string;
  /** Another mirror of the same tree, which the set-up takes in. */
  readonly also?: string;
  readonly tools: readonly string[];
  openTree(): Promise<Tree>;
  /** Shell: makes this machine one of the distribution's, with the sources that it brings. */
  readonly install: (tree: Tree) => string;
  /** Everything that the script may change. */
  readonly etc: string;
  /** Shell: what the package manager finds afterwards, by its own sources. */
  readonly find: string;
  readonly found: RegExp;
}

const ARCH = process.arch === "arm64" ? "aarch64" : "x86_64";

async function openRpmTree(...places: readonly string[]): Promise<Tree> {
  const { folder, key } = await openRpmRepository();
  return { folder, publicKeyFile: key.publicKeyFile, links: Object.fromEntries(places.map((place) => [place, folder])) };
}

const CASES: readonly Case[] = [
  {
    distro: "debian",
    also: "debian-security",
    tools: ["apt-get", "dpkg", "gpg", "apt-ftparchive"],
    async openTree() {
      const { folder, key } = await openAptRepository();
      const suite = join(folder, "dists/stable");
      const links = Object.fromEntries(["stable", "stable-updates", "stable-security"].map((name) => [`dists/${name}`, suite]));
      return { folder, publicKeyFile: key.publicKeyFile, links: { ...links, pool: join(folder, "pool") } };
    },
    install: (tree) => `
      rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists
      printf 'ID=debian\\nVERSION_CODENAME=stable\\n' > /usr/lib/os-release
      gpg --dearmor < ${tree.publicKeyFile} > /usr/share/keyrings/debian-archive-keyring.gpg
      printf 'Types: deb\\nURIs: http://archive.invalid/debian\\nSuites: stable stable-updates\\nComponents: main\\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\\n\\nTypes: deb\\nEnabled: yes\\nURIs: http://archive.invalid/debian-security/\\nSuites: stable-security\\nComponents: main\\n' > /etc/apt/sources.list.d/debian.sources
      printf '# by hand\\ndeb http://archive.invalid/debian/ stable-backports main\\n# deb [signed-by=/etc/apt/keyrings/x.asc] http://x.invalid/debian stable main\\n' > /etc/apt/sources.list
      printf 'APT::Sandbox::User "root";\\n' > /etc/apt/apt.conf.d/99test`,
    etc: "/etc/apt",
    find: "apt-get update --error-on=any && apt-cache policy mirror-test-large",
    found: /Candidate: .*2\.0[^]*500 http:\/\/127\.0\.0\.1:\d+\/debian stable\/main/,
  },
  {
    distro: "fedora",
    tools: ["dnf", "rpmbuild", "rpmsign", "createrepo_c", "gpg"],
    openTree: () => openRpmTree(`releases/41/Everything/${ARCH}/os`, `updates/41/Everything/${ARCH}`),
    install: (tree) => `
      printf 'ID=fedora\\nVERSION_ID=41\\nVERSION="41 (Forty One)"\\n' > /usr/lib/os-release
      mkdir -p /etc/yum.repos.d /etc/dnf/vars /etc/pki/rpm-gpg
      echo 41 > /etc/dnf/vars/releasever
      cp ${tree.publicKeyFile} /etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-41-${ARCH}
      printf '[fedora]\\nname=Fedora\\nmetalink=http://archive.invalid/metalink\\nenabled=1\\n\\n[fedora-source]\\nname=Source\\nbaseurl=http://archive.invalid/\\nenabled=0\\n' > /etc/yum.repos.d/fedora.repo
      printf '# Updates\\n[updates]\\nname=Updates\\nmetalink=http://archive.invalid/metalink\\n' > /etc/yum.repos.d/fedora-updates.repo`,
    etc: "/etc/yum.repos.d",
    find: "dnf repolist && dnf --refresh repoquery --location mirror-test-large",
    found: /lazy-mirror-fedora-updates[^]*http:\/\/127\.0\.0\.1:\d+\/fedora\/(updates|releases)\/41\/.*mirror-test-large-2\.0/,
  },
  {
    distro: "opensuse",
    tools: ["zypper", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg"],
    openTree: () => openRpmTree("tumbleweed/repo/oss", "tumbleweed/repo/non-oss", "update/tumbleweed"),
    install: (tree) => `
      printf 'ID="opensuse-tumbleweed"\\nVERSION_ID="20261101"\\n' > /usr/lib/os-release
      mkdir -p /etc/zypp/repos.d /etc/zypp/services.d
      rpm --dbpath /var/lib/rpm --import ${tree.publicKeyFile}
      printf '[repo-oss]\\nname=oss\\nenabled=1\\nautorefresh=1\\nbaseurl=http://download.opensuse.org/tumbleweed/repo/oss/\\ntype=rpm-md\\n' > /etc/zypp/repos.d/repo-oss.repo
      printf '[vendor]\\nname=vendor\\nenabled=0\\nbaseurl=http://vendor.invalid/\\n' > /etc/zypp/repos.d/vendor.repo`,
    etc: "/etc/zypp",
    find: "zypper --non-interactive refresh && zypper --non-interactive repos --details && zypper --non-interactive search --details mirror-test-large",
    found: /lazy-mirror-opensuse-oss[^]*mirror-test-large +\| package/,
  },
  {
    distro: "archlinux",
    tools: ["pacman", "tar", "zstd"],
    async openTree() {
      const { folder } = await openPacmanRepository();
      return { folder, publicKeyFile: "", links: { core: join(folder, "core") } };
    },
    install: () => `
      printf 'ID=arch\\n' > /usr/lib/os-release
      mkdir -p /etc/pacman.d /var/lib/pacman
      printf '[options]\\nArchitecture = x86_64\\nSigLevel = Never\\n[core]\\nInclude = /etc/pacman.d/mirrorlist\\n' > /etc/pacman.conf
      printf 'Server = http://archive.invalid/$repo/os/$arch\\n' > /etc/pacman.d/mirrorlist`,
    etc: "/etc/pacman.d",
    find: "pacman -Sy && pacman -Sp mirror-test-large",
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
      return { folder, publicKeyFile: "", links };
    },
    // No apk here: this one asks for the index of each repository, as apk's update does.
    install: () => `
      printf 'ID=alpine\\nVERSION_ID=3.22.1\\n' > /usr/lib/os-release
      mkdir -p /etc/apk
      printf 'https://archive.invalid/alpine/v3.22/main\\n@old http://archive.invalid/pub/alpine/v3.22/community/\\nhttp://vendor.invalid/packages\\n' > /etc/apk/repositories
      printf '#!/bin/sh\\nfor url in $(sed -n "s/^.*\\\\(http.*v3.*\\\\)/\\\\1/p" /etc/apk/repositories); do curl -fsS "$url/x86_64/APKINDEX.tar.gz" >/dev/null || exit 1; done\\n' > /usr/local/bin/apk
      chmod +x /usr/local/bin/apk`,
    etc: "/etc/apk",
    find: "apk update && cat /etc/apk/repositories",
    found: new RegExp(
      String.raw`^http://127\.0\.0\.1:\d+/alpine/v3\.22/main\n@old http://127\.0\.0\.1:\d+/alpine/v3\.22/community\nhttp://vendor\.invalid/packages\n$`,
    ),
  },
];

/** Sources of others whose addresses look like the distribution's. */
const FOREIGN = [
  "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.invalid/linux/debian stable main",
  "deb https://pkg.jenkins.invalid/debian-stable binary/",
  "deb [signed-by=/etc/apt/keyrings/jenkins.asc] https://pkg.jenkins.invalid/debian stable main",
];

describe.runIf(canRunSystems())("the set-up script", () => {
  for (const one of CASES) {
    describe.runIf(requireTools("unshare", "curl", ...one.tools))(`for ${one.distro}`, () => {
      let tree: Tree;
      let served: string;
      let origin: Origin;
      let mirror: MirrorProcess;

      beforeAll(async () => {
        tree = await one.openTree();
        served = mkdtempSync(join(tmpdir(), "lazy-mirror-tree-"));
        for (const [place, folder] of Object.entries(tree.links)) {
          mkdirSync(dirname(join(served, place)), { recursive: true });
          symlinkSync(folder, join(served, place));
        }
        origin = await startOrigin(served);
        const table = (distro: string) => ({ [distro]: { distro, upstreams: [origin.url] } });
        const broken = { broken: { distro: one.distro, upstreams: [`${origin.url}/nothing-here`] } };
        mirror = await startMirror({ mirrors: { ...table(one.distro), ...(one.also === undefined ? {} : table(one.also)), ...broken } });
      });
      afterAll(async () => {
        await mirror?.remove();
        await origin?.close();
        for (const folder of [served, tree?.folder]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
      });

      const script = (name: string) => `curl -fsS ${mirror.url}/-/setup/${name}.sh`;
      const listEtc = `find ${one.etc} -type f | sort | xargs md5sum`;

      it("makes the package manager install from the mirror", async () => {
        const run = await runInSystem(`${one.install(tree)}\n${script(one.distro)} | sh\n${one.find}`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stdout).toMatch(one.found);
      });

      it("changes nothing the second time", async () => {
        const run = await runInSystem(`${one.install(tree)}
          ${script(one.distro)} | sh >/dev/null; ${listEtc} > /tmp/once
          ${script(one.distro)} | sh >/dev/null; ${listEtc} > /tmp/twice
          cmp /tmp/once /tmp/twice`);
        expect(run).toMatchObject({ code: 0 });
      });

      it("puts every byte back when told to", async () => {
        const run = await runInSystem(`${one.install(tree)}
          ${listEtc} > /tmp/before; ${script(one.distro)} | sh >/dev/null; ${listEtc} > /tmp/between
          ${script(one.distro)} | sh -s -- --undo; ${listEtc} > /tmp/after
          cmp /tmp/before /tmp/after; if cmp -s /tmp/before /tmp/between; then exit 9; fi`);
        expect(run).toMatchObject({ code: 0 });
      });

      it("undoes itself when the update fails", async () => {
        const run = await runInSystem(`${one.install(tree)}
          ${listEtc} > /tmp/before; if ${script("broken")} | sh >/dev/null; then exit 9; fi; ${listEtc} > /tmp/after
          cmp /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stderr).toContain("everything is as it was before");
      });

      it("refuses a machine of another distribution, and one that is not root, before it touches anything", async () => {
        const run = await runInSystem(`${one.install(tree)}
          printf 'ID=plan9\\n' > /usr/lib/os-release; ${listEtc} > /tmp/before
          if ${script(one.distro)} | sh; then exit 9; fi
          ${script(one.distro)} > /tmp/script; if setpriv --reuid 65534 --clear-groups sh /tmp/script; then exit 9; fi; ${listEtc} > /tmp/after
          cmp /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stderr).toContain("Cannot set up plan9");
        expect(run.stderr).toContain("run it as root");
      });

      if (one.distro !== "debian") return;
      it("leaves the archives of others alone, and the chosen components as they were", async () => {
        const winehq = String.raw`Types: deb\nURIs: https://dl.winehq.invalid/wine-builds/debian\nSuites: stable\nComponents: main\n`;
        const vendor = String.raw`Types: deb\nURIs: https://vendor.invalid/debian\nSuites: stable\nComponents: main\nSigned-By: /etc/apt/keyrings/v.asc\n`;
        const run = await runInSystem(`${one.install(tree)}
          printf '%s\\n' ${FOREIGN.map((line) => `'${line}'`).join(" ")} > /etc/apt/sources.list.d/foreign.list
          printf '${winehq}\\n${vendor}' > /etc/apt/sources.list.d/foreign.sources
          sed -i 's/^Components: main/Components: main contrib/' /etc/apt/sources.list.d/debian.sources
          md5sum /etc/apt/sources.list.d/foreign.* > /tmp/before
          ${script(one.distro)} | sh >/dev/null
          md5sum -c /tmp/before >/dev/null; grep -c '^Enabled: no' /etc/apt/sources.list.d/debian.sources; cat /etc/apt/sources.list
          grep Components /etc/apt/sources.list.d/lazy-mirror-debian.sources`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stdout.split("\n")).toEqual([
          "2",
          "# by hand",
          "# deb http://archive.invalid/debian/ stable-backports main",
          expect.stringMatching(/^# deb \[signed-by/),
          "Components: main contrib",
          "Components: main contrib",
          "",
        ]);
      });
    });
  }
});
