import { describe, expect, it } from "vitest";
import { REPOSITORY_RULES, type Rule, SIGNATURE_RULE, SPELLING_RULES } from "../../../../src/local/instances/home-rules.ts";
import { placeOf } from "../../../../src/route/place.ts";

/** What haproxy and nginx make of a decoded path. */
function homeKey(path: string): string {
  const file = rewrite(path, SPELLING_RULES);
  const home = rewrite(file, REPOSITORY_RULES);
  return home === file ? rewrite(file, [SIGNATURE_RULE]) : home;
}

function rewrite(path: string, rules: readonly Rule[]): string {
  return rules.reduce(
    (text, { pattern, replacement, isGlobal = false }) =>
      text.replace(new RegExp(pattern, isGlobal ? "g" : ""), replacement.replace("\\", "$")),
    path,
  );
}

/** Paths below a mirror; those of one list belong together, and the mirror takes them for metadata of one root, or of one folder. */
const REPOSITORIES: readonly (readonly string[])[] = [
  [
    "updates/44/x86_64/repodata/repomd.xml",
    "updates/44/x86_64/repodata/repomd.xml.asc",
    "updates/44/x86_64/repodata/repomd.xml.key",
    "updates/44/x86_64/repodata/primary.xml.gz",
    "updates/44/x86_64/repodata/b6ee9e845dd74276f1c373d86997c520e23168a2b5947ef34b2af0910472b9e7-primary.xml.zst",
  ],
  [
    "dists/trixie/InRelease",
    "dists/trixie/Release",
    "dists/trixie/Release.gpg",
    "dists/trixie/main/binary-amd64/Packages.xz",
    "dists/trixie/main/binary-amd64/Release",
    "dists/trixie/main/i18n/Translation-en.bz2",
    "dists/trixie/main/binary-amd64/by-hash/SHA256/b6ee9e845dd74276f1c373d86997c520e23168a2b5947ef34b2af0910472b9e7",
  ],
  ["flat/InRelease", "flat/Packages.gz", "flat/Packages", "flat/Sources.xz", "flat/Release.gpg", `flat/by-hash/SHA256/${"a".repeat(64)}`],
  ["openwrt/packages/Packages.gz", "openwrt/packages/Packages.sig", "openwrt/packages/packages.adb"],
  ["core/os/x86_64/core.db", "core/os/x86_64/core.db.sig", "core/os/x86_64/core.db.tar.gz", "core/os/x86_64/core.files.tar.gz.sig"],
  ["v3.22/main/x86_64/APKINDEX.tar.gz", "v3.22/main/x86_64/APKINDEX.adb"],
  ["releases/44/Fedora-44-x86_64-CHECKSUM", "releases/44/Fedora-44-x86_64-CHECKSUM.asc"],
  ["noble/SHA256SUMS", "noble/SHA256SUMS.gpg", "noble/MD5SUMS", "noble/sha512sums.txt.sign"],
  ["ostree/repo/summary", "ostree/repo/summary.sig"],
];

const ALONE = [
  "updates/44/x86_64/Packages/v/vim-9.1-1.x86_64.rpm",
  "pool/main/v/vim/vim_9.1-1_amd64.deb",
  "core/os/x86_64/vim-9.1-1-x86_64.pkg.tar.zst",
  "v3.22/main/x86_64/vim-9.1-r0.apk",
  "pool/main/p/packages/Packages.deb",
  "releases/44/Fedora-44.iso",
  "objects/by-hash",
  "updates/44/x86_64/repodata",
];

describe("the home of a path", () => {
  it.each(REPOSITORIES)("is one for all metadata of a repository: %s", (...paths) => {
    const homes = new Set(paths.map((path) => homeKey(`/m/${path}`)));
    expect(homes.size).toBe(1);
    for (const path of paths) {
      const { repository } = placeOf({ distro: undefined, classes: [] }, path);
      expect(repository).not.toBeNull();
      expect(homeKey(`/m/${path}`)).not.toBe(`/m/${path}`);
    }
  });

  it("is another one for each repository", () => {
    expect(new Set(REPOSITORIES.map(([path]) => homeKey(`/m/${path}`))).size).toBe(REPOSITORIES.length);
  });

  it.each(ALONE)("is the path itself of what is no metadata: %s", (path) => {
    expect(placeOf({ distro: undefined, classes: [] }, path).repository).toBeNull();
    expect(homeKey(`/m/${path}`)).toBe(`/m/${path}`);
  });

  it("is that of the file for what signs it", () => {
    expect(homeKey("/m/core/os/x86_64/vim-9.1-1-x86_64.pkg.tar.zst.sig")).toBe("/m/core/os/x86_64/vim-9.1-1-x86_64.pkg.tar.zst");
  });

  it("is one for each spelling of a path, and for koji's links to its top", () => {
    expect(homeKey("//m//a///b.rpm")).toBe("/m/a/b.rpm");
    expect(homeKey("/koji/repos/tag/1/x86_64/toplink/packages/b.rpm")).toBe(homeKey("/koji/packages/b.rpm"));
  });

  it("of a metalink or mirrorlist is that of the repository", () => {
    expect(homeKey("/-/metalink/fedora/updates/44/x86_64/")).toBe(homeKey("/fedora/updates/44/x86_64/repodata/repomd.xml"));
    expect(homeKey("/-/mirrorlist/fedora/updates/44/x86_64")).toBe(homeKey("/fedora/updates/44/x86_64/repodata/repomd.xml"));
  });
});
