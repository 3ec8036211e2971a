import { makeNoise } from "../support/fixture.ts";
import { apk as makeApk, apkRepository } from "../support/miniature/apk.ts";
import { pack } from "../support/miniature/compress.ts";
import { deb, packagesText } from "../support/miniature/deb-archive.ts";
import { signDetached } from "../support/miniature/openpgp.ts";
import { fileNameOf, pacmanDatabase, pacmanPackage } from "../support/miniature/pacman-database.ts";
import type { Form } from "../support/miniature/compress.ts";
import { apk, apt, pacman, plainFiles } from "./model-clients.ts";
import { debRebuilt, type DebRow, PROTECTED_MIRRORS, protects, type Rebuilt, rpmRebuilt, type RpmRow } from "./protects.ts";
import { generations, type Shape, type Stage } from "./shape.ts";

const PROMISED = "each generation is adopted; other bytes than the index names are never given out twice; a rebuilt package comes anew";
const forbids = (stage: Stage): void => void (stage.upstream.origin.absentStatus = 403);

function row(id: string, upstream: string, clients: string, rebuilt: Rebuilt): Shape {
  return { id, upstream, clients, promised: PROMISED, mirrors: PROTECTED_MIRRORS, play: protects(rebuilt) };
}

function debRow(id: string, upstream: string, options: DebRow, setUp?: (stage: Stage) => void): Shape {
  return row(id, upstream, "apt", { ...debRebuilt(id, options), ...(setUp === undefined ? {} : { setUp }) });
}

function rpmRow(id: string, upstream: string, options: RpmRow, setUp?: (stage: Stage) => void): Shape {
  return row(id, upstream, "dnf, zypper", { ...rpmRebuilt(id, options), ...(setUp === undefined ? {} : { setUp }) });
}

/** A pacman repository of one package. */
function pacmanRow(id: string, upstream: string, folder: string, database: string, form: Form, setUp?: (stage: Stage) => void): Shape {
  const made = (seed: string) => pacmanPackage(`${id}-p`, `${id} ${seed}`);
  return row(id, upstream, "pacman", {
    path: `${folder}/${fileNameOf(made("any"))}`,
    client: pacman({ folder, database, checksSignature: true }),
    files: async (n, seed) => {
      const files = {
        ...(await pacmanDatabase(folder, database, [made(seed), pacmanPackage(`${id}-q`, `${id} q ${n}`, { version: `${n}-1` })], form)),
      };
      const path = `${folder}/${database}.db`;
      return { ...files, [`${path}.sig`]: signDetached(files[path] ?? Buffer.alloc(0)) };
    },
    ...(setUp === undefined ? {} : { setUp }),
  });
}

export const THIRD_PARTY: readonly Shape[] = [
  debRow("docker-ce", "Docker CE for Debian: InRelease, packages in dists/<suite>/pool/", {
    folder: "linux/debian/dists/bookworm",
    index: "stable/binary-amd64/Packages",
    path: "linux/debian/dists/bookworm/pool/stable/amd64/docker-ce_527.0.3-1~debian.12~bookworm_amd64.deb",
    filename: "dists/bookworm/pool/stable/amd64/docker-ce_527.0.3-1~debian.12~bookworm_amd64.deb",
    forms: ["", ".gz", ".bz2"],
    client: { base: "linux/debian" },
  }),
  rpmRow("docker-ce-rpm", "Docker CE for CentOS: one repository for each release and architecture", {
    folder: "linux/centos/9/x86_64/stable",
    path: "linux/centos/9/x86_64/stable/Packages/docker-ce-27.0.3-1.el9.x86_64.rpm",
  }),
  debRow("proxmox", "Proxmox VE: packages beside Packages, in dists/<suite>/<component>/binary-amd64/", {
    folder: "debian/pve/dists/bookworm",
    index: "pve-no-subscription/binary-amd64/Packages",
    path: "debian/pve/dists/bookworm/pve-no-subscription/binary-amd64/pve-manager_8.2.4_amd64.deb",
    filename: "dists/bookworm/pve-no-subscription/binary-amd64/pve-manager_8.2.4_amd64.deb",
    forms: ["", ".gz"],
    client: { base: "debian/pve" },
  }),
  debRow("mongodb", "MongoDB: a suite with slashes in its name, packages below it", {
    folder: "apt/debian/dists/bookworm/mongodb-org/7.0",
    path: "apt/debian/dists/bookworm/mongodb-org/7.0/main/binary-amd64/mongodb-org-server_7.0.12_amd64.deb",
    filename: "dists/bookworm/mongodb-org/7.0/main/binary-amd64/mongodb-org-server_7.0.12_amd64.deb",
    forms: ["", ".gz"],
    roots: ["Release", "Release.gpg"],
    client: { base: "apt/debian" },
  }),
  debRow("jenkins", "Jenkins: a flat repository in a folder, `deb URL binary/`", {
    folder: "debian-stable/binary",
    index: "Packages",
    path: "debian-stable/binary/jenkins_2.462.1_all.deb",
    filename: "binary/jenkins_2.462.1_all.deb",
    forms: ["", ".gz"],
    roots: ["Release", "Release.gpg"],
    client: { base: "debian-stable" },
  }),
  debRow("cran", "CRAN: a flat repository in a folder, `deb URL bookworm-cran40/`", {
    folder: "bin/linux/debian/bookworm-cran40",
    index: "Packages",
    path: "bin/linux/debian/bookworm-cran40/r-base-core_4.4.1-1~bookwormcran.0_amd64.deb",
    filename: "bookworm-cran40/r-base-core_4.4.1-1~bookwormcran.0_amd64.deb",
    forms: ["", ".gz", ".bz2", ".xz"],
    client: { base: "bin/linux/debian" },
  }),
  rpmRow("oracle-latest", "Oracle Linux: a folder called latest, packages in getPackage/", {
    folder: "repo/OracleLinux/OL9/appstream/latest/x86_64",
    path: "repo/OracleLinux/OL9/appstream/latest/x86_64/getPackage/bash-5.1.8-9.el9.x86_64.rpm",
    hash: "sha256",
  }),
  debRow("jami", "Jami: everything below a folder called nightly", {
    folder: "nightly/debian_12/dists/jami",
    path: "nightly/debian_12/pool/main/j/jami/jami_20260601.0_amd64.deb",
    filename: "pool/main/j/jami/jami_20260601.0_amd64.deb",
    forms: ["", ".gz"],
    client: { base: "nightly/debian_12" },
  }),
  rpmRow("remi", "Remi: primary.xml.bz2 and nothing else", {
    folder: "enterprise/9/php83/x86_64",
    path: "enterprise/9/php83/x86_64/php-8.3.9-1.el9.remi.x86_64.rpm",
    form: ".bz2",
  }),
  debRow("debian-security", "Debian security: Packages in .xz only, by hash", {
    folder: "debian-security/dists/bookworm-security",
    path: "debian-security/pool/updates/main/o/openssl/openssl_3.0.14-1~deb12u1_amd64.deb",
    filename: "pool/updates/main/o/openssl/openssl_3.0.14-1~deb12u1_amd64.deb",
    forms: [".xz"],
    named: ["", ".xz"],
    isByHash: true,
    client: { base: "debian-security", isByHash: true, forms: [".xz"] },
  }),
  debRow("obs-deb", "Open Build Service: a flat repository at the folder itself, InRelease, Release, Release.gpg and Release.key", {
    folder: "repositories/home:/x/Debian_12",
    index: "Packages",
    path: "repositories/home:/x/Debian_12/amd64/tool_1.0-3.1_amd64.deb",
    filename: "./amd64/tool_1.0-3.1_amd64.deb",
    forms: ["", ".gz"],
    client: { base: "repositories/home:/x/Debian_12" },
  }),
  rpmRow("obs-rpm", "Open Build Service: rebuilt under one name, with repomd.xml.asc and no zchunk", {
    folder: "repositories/home:/x/openSUSE_Tumbleweed",
    path: "repositories/home:/x/openSUSE_Tumbleweed/noarch/tool-1.0-3.1.noarch.rpm",
    form: ".zst",
    isSigned: true,
    client: { checksSignature: true, wantsKey: true },
  }),
  debRow(
    "nodesource",
    "NodeSource: an object store that answers 403 for what is absent, InRelease only",
    {
      folder: "node_20.x/dists/nodistro",
      path: "node_20.x/pool/main/n/nodejs/nodejs_20.16.0-1nodesource1_amd64.deb",
      filename: "pool/main/n/nodejs/nodejs_20.16.0-1nodesource1_amd64.deb",
      forms: ["", ".gz"],
      roots: ["InRelease"],
      client: { base: "node_20.x" },
    },
    forbids,
  ),
  debRow(
    "keybase",
    "keybase: an object store that answers 403 for what is absent, Release and Release.gpg only",
    {
      folder: "deb/dists/stable",
      path: "deb/pool/main/k/keybase/keybase_6.3.1_amd64.deb",
      filename: "pool/main/k/keybase/keybase_6.3.1_amd64.deb",
      forms: ["", ".gz"],
      roots: ["Release", "Release.gpg"],
      client: { base: "deb" },
    },
    forbids,
  ),
  rpmRow(
    "nodesource-rpm",
    "NodeSource for rpm: an object store that answers 403 for repomd.xml.asc and .key",
    {
      folder: "pub_20.x/nodistro/nodejs/x86_64",
      path: "pub_20.x/nodistro/nodejs/x86_64/nodejs-20.16.0-1nodesource.x86_64.rpm",
      client: { checksSignature: true, wantsKey: true },
    },
    forbids,
  ),
  row("openwrt", "OpenWrt: Packages, Packages.gz and Packages.sig in the folder of the .ipk files, no Release", "opkg", {
    path: "releases/23.05.4/packages/x86_64/base/tool_1.0-1_x86_64.ipk",
    client: apt({
      folder: "releases/23.05.4/packages/x86_64/base",
      index: "Packages",
      base: "releases/23.05.4/packages/x86_64/base",
      isTrusted: true,
      forms: [".gz"],
    }),
    files: (n, seed) => {
      const at = "releases/23.05.4/packages/x86_64/base";
      const text = Buffer.from(
        packagesText([
          deb("tool", `openwrt ${seed}`, { version: "1.0-1", filename: "tool_1.0-1_x86_64.ipk" }),
          deb("more", `openwrt more ${n}`, { version: `${n}`, filename: `more_${n}_x86_64.ipk` }),
        ]),
      );
      return {
        [`${at}/Packages`]: text,
        [`${at}/Packages.gz`]: pack(".gz", text),
        [`${at}/Packages.sig`]: signDetached(text),
        [`${at}/tool_1.0-1_x86_64.ipk`]: deb("tool", `openwrt ${seed}`, { filename: "" }).bytes,
        [`${at}/more_${n}_x86_64.ipk`]: deb("more", `openwrt more ${n}`, { filename: "" }).bytes,
      };
    },
  }),
  row("alpine", "Alpine v2: APKINDEX.tar.gz signed in its first gzip member", "apk", {
    path: "alpine/v3.22/community/x86_64/tool-1.0-r0.apk",
    client: apk("alpine/v3.22/community/x86_64"),
    files: async (n, seed) =>
      apkRepository("alpine/v3.22/community/x86_64", `alpine ${n}`, [await makeApk("tool", "1.0-r0", `alpine ${seed}`)]),
  }),
  {
    id: "apk-v3",
    upstream: "apk v3 of OpenWrt and Alpine: packages.adb and Packages.adb, binary and signed inside",
    clients: "apk 3",
    promised: "each generation is there within METADATA_TTL",
    play: async (stage) => {
      const paths = ["releases/25.12.0/packages/x86_64/base/packages.adb", "edge/main/x86_64/Packages.adb"];
      const adb = (path: string, n: number): Buffer => Buffer.concat([Buffer.from("ADBd"), makeNoise(`apk-v3 ${path} ${n}`, 4000)]);
      await generations(
        plainFiles(...paths),
        ...[1, 2, 3].map(
          (n) =>
            ({ upstream }: Stage) =>
              upstream.put(Object.fromEntries(paths.map((path) => [path, adb(path, n)]))),
        ),
      )(stage);
    },
  },
  debRow("google-chrome", "Google: Release, Release.gpg and InRelease, one package with a moving name beside the versioned ones", {
    folder: "linux/chrome/deb/dists/stable",
    path: "linux/chrome/deb/pool/main/g/google-chrome-stable/google-chrome-stable_127.0.6533.88-1_amd64.deb",
    filename: "pool/main/g/google-chrome-stable/google-chrome-stable_127.0.6533.88-1_amd64.deb",
    forms: ["", ".gz"],
    client: { base: "linux/chrome/deb" },
  }),
  debRow("google-chrome-current", "Google: a package called …_current_amd64.deb that the index names", {
    folder: "linux/direct/dists/stable",
    path: "linux/direct/google-chrome-stable_current_amd64.deb",
    filename: "google-chrome-stable_current_amd64.deb",
    forms: ["", ".gz"],
    client: { base: "linux/direct" },
  }),
  debRow(
    "microsoft",
    "Microsoft: InRelease and indexes with every hash, absent files 403",
    {
      folder: "debian/12/prod/dists/bookworm",
      path: "debian/12/prod/pool/main/p/powershell/powershell_7.4.4-1.deb_amd64.deb",
      filename: "pool/main/p/powershell/powershell_7.4.4-1.deb_amd64.deb",
      forms: ["", ".gz"],
      roots: ["InRelease"],
      hashes: ["MD5Sum", "SHA1", "SHA256", "SHA512"],
      indexOptions: { hashes: ["MD5sum", "SHA1", "SHA256", "SHA512"] },
      client: { base: "debian/12/prod" },
    },
    forbids,
  ),
  rpmRow("microsoft-rpm", "Microsoft's yumrepos: packages in Packages/c/, repomd.xml.asc", {
    folder: "yumrepos/vscode",
    path: "yumrepos/vscode/Packages/c/code-1.92.0-1722473020.el8.x86_64.rpm",
    isSigned: true,
    client: { checksSignature: true },
  }),
  debRow("github-cli", "GitHub CLI: InRelease only, pool/ twice in the path", {
    folder: "packages/dists/stable",
    path: "packages/pool/main/g/gh/pool/gh_2.54.0_amd64.deb",
    filename: "pool/main/g/gh/pool/gh_2.54.0_amd64.deb",
    forms: ["", ".gz"],
    roots: ["InRelease", "Release", "Release.gpg"],
    client: { base: "packages" },
  }),
  row("amazon-blobstore", "Amazon Linux 2023: packages in a blob store above the repository's folder, ../../../../../blobstore/", "dnf", {
    ...rpmRebuilt("amazon-blobstore", {
      folder: "core/guids/5e3f/x86_64/repo",
      path: "blobstore/9c1d/tool-1.0-1.amzn2023.x86_64.rpm",
      href: "../../../../../blobstore/9c1d/tool-1.0-1.amzn2023.x86_64.rpm",
      form: ".gz",
    }),
  }),
  pacmanRow(
    "arch-x-gzip",
    "an Arch mirror whose web server labels core.db as x-gzip, with .sig",
    "archlinux/core/os/x86_64",
    "core",
    ".gz",
    ({ upstream }) => {
      upstream.origin.fault(/\.db$/, { kind: "headers", headers: { "content-encoding": "x-gzip" } });
    },
  ),
  pacmanRow("msys2", "MSYS2: databases in zstd, each with its .sig", "mingw/ucrt64", "ucrt64", ".zst"),
  pacmanRow("arch-xz", "a third party's pacman database in xz, which still ends in .db", "repo/x86_64", "chaotic", ".xz"),
  debRow("termux", "Termux: an archive of another architecture, indexes in three forms", {
    folder: "apt/termux-main/dists/stable",
    index: "main/binary-aarch64/Packages",
    path: "apt/termux-main/pool/main/b/bash/bash_5.2.26-3_aarch64.deb",
    filename: "pool/main/b/bash/bash_5.2.26-3_aarch64.deb",
    forms: ["", ".gz", ".xz"],
    client: { base: "apt/termux-main" },
  }),
  debRow("kubernetes", "Kubernetes: a flat repository at `deb URL /`, colons in the path, InRelease", {
    folder: "core:/stable:/v1.30/deb",
    index: "Packages",
    path: "core:/stable:/v1.30/deb/amd64/kubectl_1.30.3-1.1_amd64.deb",
    filename: "./amd64/kubectl_1.30.3-1.1_amd64.deb",
    forms: ["", ".gz"],
    client: { base: "core:/stable:/v1.30/deb" },
  }),
  debRow("launchpad-ppa", "a Launchpad PPA: indexes in .gz and .xz, the plain one named and absent, packages rebuilt in pool/", {
    folder: "someone/tool/ubuntu/dists/noble",
    path: "someone/tool/ubuntu/pool/main/t/tool/tool_1.0-0ubuntu1~ppa1_amd64.deb",
    filename: "pool/main/t/tool/tool_1.0-0ubuntu1~ppa1_amd64.deb",
    client: { base: "someone/tool/ubuntu" },
  }),
  rpmRow("copr", "COPR: packages in a folder for each build", {
    folder: "results/someone/tool/fedora-44-x86_64",
    path: "results/someone/tool/fedora-44-x86_64/07812345-tool/tool-1.0-1.fc44.x86_64.rpm",
    form: ".zst",
  }),
  row("postgresql-rpm", "PostgreSQL: primary without a digest in its name, named by SHA-1", "dnf", {
    ...rpmRebuilt("postgresql-rpm", {
      folder: "pub/repos/yum/16/redhat/rhel-9-x86_64",
      path: "pub/repos/yum/16/redhat/rhel-9-x86_64/postgresql16-16.3-1PGDG.rhel9.x86_64.rpm",
      isPlain: true,
      memberHash: "sha",
      hash: "sha",
    }),
  }),
  debRow(
    "elastic",
    "Elastic: MD5, SHA-1 and SHA-256 of packages with a dot-rich path, Release and Release.gpg by 403 for the rest",
    {
      folder: "packages/8.x/apt/dists/stable",
      path: "packages/8.x/apt/pool/main/e/elasticsearch/elasticsearch-8.14.3-amd64.deb",
      filename: "pool/main/e/elasticsearch/elasticsearch-8.14.3-amd64.deb",
      forms: ["", ".gz", ".bz2"],
      roots: ["Release", "Release.gpg"],
      indexOptions: { hashes: ["MD5sum", "SHA1", "SHA256"] },
      client: { base: "packages/8.x/apt" },
    },
    forbids,
  ),
];
