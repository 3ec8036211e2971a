import { pack } from "../support/miniature/compress.ts";
import { apk as makeApk, apkRepository } from "../support/miniature/apk.ts";
import { debSuite, deb, packagesText } from "../support/miniature/deb-archive.ts";
import { pacmanDatabase, pacmanPackage } from "../support/miniature/pacman-database.ts";
import { apk, apt, pacman } from "./model-clients.ts";
import { debRebuilt, PROTECTED_MIRRORS, protects, type Rebuilt, rpmRebuilt, twoFrames, twoMembers } from "./protects.ts";
import { aptDownload, dnfDownload } from "./real-clients.ts";
import { dateOf, type Shape } from "./shape.ts";

const PROMISED = "other bytes than the index names are never given out twice; a rebuilt package comes anew";

function row(id: string, upstream: string, clients: string, rebuilt: Rebuilt, tools?: readonly string[]): Shape {
  return {
    id,
    upstream,
    clients,
    promised: PROMISED,
    mirrors: PROTECTED_MIRRORS,
    play: protects(rebuilt),
    ...(tools === undefined ? {} : { tools }),
  };
}

const debPath = (id: string): string => `pool/main/${id}-tool_1.0_amd64.deb`;
const rpmPath = (id: string): string => `Packages/${id}-tool-1.0-1.noarch.rpm`;

export const PROTECTION: readonly Shape[] = [
  row(
    "packages-gz",
    "Packages in .gz and .xz, the ordinary layout",
    "apt",
    debRebuilt("packages-gz", { path: debPath("packages-gz"), isByHash: true }),
  ),
  row(
    "packages-xz-only",
    "Packages in .xz only, named and there",
    "apt",
    debRebuilt("packages-xz-only", { path: debPath("packages-xz-only"), forms: [".xz"] }),
  ),
  row(
    "packages-xz-there",
    "Release names .gz and .xz, and only .xz is there",
    "apt",
    debRebuilt("packages-xz-there", { path: debPath("packages-xz-there"), forms: [".xz"], named: ["", ".gz", ".xz"] }),
  ),
  row(
    "packages-bz2-only",
    "Packages in .bz2 only",
    "apt",
    debRebuilt("packages-bz2-only", {
      path: debPath("packages-bz2-only"),
      forms: [".bz2"],
      named: ["", ".bz2"],
      client: { forms: [".bz2"] },
    }),
  ),
  row(
    "packages-zst-only",
    "Packages in .zst of several frames only",
    "apt",
    debRebuilt("packages-zst-only", {
      path: debPath("packages-zst-only"),
      forms: [".zst"],
      client: { forms: [".zst"] },
      packAs: (form, bytes) => (form === ".zst" ? twoFrames(bytes) : pack(form, bytes)),
    }),
  ),
  row(
    "packages-gzip-members",
    "Packages.gz of several gzip members",
    "apt",
    debRebuilt("packages-gzip-members", {
      path: debPath("packages-gzip-members"),
      forms: [".gz"],
      packAs: (form, bytes) => (form === ".gz" ? twoMembers(bytes) : pack(form, bytes)),
    }),
  ),
  row(
    "packages-gzip-padded",
    "Packages.gz with zeros behind its gzip stream",
    "apt",
    debRebuilt("packages-gzip-padded", {
      path: debPath("packages-gzip-padded"),
      forms: [".gz"],
      packAs: (form, bytes) => (form === ".gz" ? Buffer.concat([pack(".gz", bytes), Buffer.alloc(512)]) : pack(form, bytes)),
    }),
  ),
  ...(["MD5sum", "SHA1", "SHA512"] as const).map((hash) => {
    const id = `packages-${hash.toLowerCase()}`;
    return row(id, `Packages names ${hash} alone`, "apt", debRebuilt(id, { path: debPath(id), indexOptions: { hashes: [hash] } }));
  }),
  row(
    "packages-lower-case",
    "Packages with field names in lower case and continuation lines by tab",
    "apt",
    debRebuilt("packages-lower-case", {
      path: debPath("packages-lower-case"),
      indexOptions: { bend: (text) => text.replaceAll(/^[A-Z][\w-]*:/gm, (name) => name.toLowerCase()).replaceAll(/^ /gm, "\t") },
    }),
  ),
  row(
    "packages-odd-entry",
    "Packages with odd entries before the good one: without Filename, without digest, with an absolute URL, with a name that leads upwards",
    "apt",
    debRebuilt("packages-odd-entry", {
      path: debPath("packages-odd-entry"),
      indexOptions: {
        bend: (text) =>
          [
            "Package: virtual\nVersion: 1\nArchitecture: amd64\nDescription: none\n",
            "no colon here\nPackage: odd\nVersion: 1\n",
            `Package: packages-odd-entry-other\nVersion: 1\nArchitecture: amd64\nSize: 3\n`,
            text,
          ].join("\n"),
      },
    }),
  ),
  row("packages-without-release", "Packages.gz without any Release; packages beside it", "apt with [trusted=yes]", {
    path: "feed/packages-without-release-tool_1.0_amd64.deb",
    client: apt({ folder: "feed", index: "Packages", base: "feed", isTrusted: true, forms: [".gz"] }),
    files: (n, seed) => {
      const entry = deb("packages-without-release-tool", `packages-without-release ${seed}`, {
        filename: "packages-without-release-tool_1.0_amd64.deb",
      });
      return {
        "feed/Packages.gz": pack(".gz", Buffer.from(`${packagesText([entry])}\n# ${n}\n`)),
        [`feed/${entry.filename}`]: entry.bytes,
      };
    },
  }),
  row(
    "flat-folder-real-apt",
    "a flat repository in a folder: `deb URL binary/`, binary/Packages says `Filename: binary/x.deb`, relative to the URL",
    "apt, run as it is",
    {
      ...debRebuilt("flat-folder-real-apt", {
        folder: "binary",
        index: "Packages",
        path: "binary/flat-folder-real-apt-tool_1.0_amd64.deb",
      }),
      client: aptDownload("binary/", "flat-folder-real-apt-tool"),
    },
    ["apt-get"],
  ),
  row(
    "flat-relative-to-index",
    "a flat repository in a folder whose Packages says `Filename: ./x.deb`, used as `deb URL/folder ./`",
    "apt",
    debRebuilt("flat-relative-to-index", {
      folder: "deep/folder",
      index: "Packages",
      path: "deep/folder/flat-relative-to-index-tool_1.0_amd64.deb",
      filename: "./flat-relative-to-index-tool_1.0_amd64.deb",
      client: { base: "deep/folder" },
    }),
  ),
  ...(["sha512", "sha1", "sha", "md5", "sha384"] as const).map((hash) => {
    const id = `primary-${hash}`;
    return row(id, `primary.xml names packages by ${hash}`, "dnf", rpmRebuilt(id, { path: rpmPath(id), hash }));
  }),
  row("primary-xz", "primary.xml.xz", "dnf", rpmRebuilt("primary-xz", { path: rpmPath("primary-xz"), form: ".xz" })),
  row(
    "primary-zst",
    "primary.xml.zst of several frames",
    "dnf",
    rpmRebuilt("primary-zst", { path: rpmPath("primary-zst"), form: ".zst", packAs: (_form, bytes) => twoFrames(bytes) }),
  ),
  row(
    "primary-bz2-real-dnf",
    "primary.xml.bz2 only, with SHA-512",
    "dnf, run as it is",
    {
      ...rpmRebuilt("primary-bz2-real-dnf", { path: rpmPath("primary-bz2-real-dnf"), form: ".bz2", hash: "sha512" }),
      client: dnfDownload("primary-bz2-real-dnf-tool"),
    },
    ["dnf"],
  ),
  row(
    "primary-plain",
    "primary.xml, not packed, without a digest in its name",
    "dnf",
    rpmRebuilt("primary-plain", { path: rpmPath("primary-plain"), form: "", isPlain: true }),
  ),
  row(
    "primary-member-sha1",
    "repomd.xml names its members by sha (SHA-1)",
    "dnf",
    rpmRebuilt("primary-member-sha1", { path: rpmPath("primary-member-sha1"), memberHash: "sha", isPlain: true }),
  ),
  row("location-above", 'one `location href="../../blob/x.rpm"` among others', "dnf", {
    ...rpmRebuilt("location-above", {
      folder: "os/x86_64/repo",
      path: "os/blob/location-above-tool-1.0-1.noarch.rpm",
      href: "../../blob/location-above-tool-1.0-1.noarch.rpm",
    }),
  }),
  row(
    "location-beside-odd-ones",
    "primary.xml with odd entries beside the good one: an absolute URL as xml:base, a location that leads out of the upstream, no checksum",
    "dnf",
    rpmRebuilt("location-beside-odd-ones", {
      path: rpmPath("location-beside-odd-ones"),
      bendPrimary: (text) => {
        const odd = (name: string, location: string): string =>
          // A client that wants the good package alone reads over these.
          `<package type='rpm'><name>${name}</name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/><checksum type="sha256" pkgid="YES">${"0".repeat(64)}</checksum><size package="9"/>${location}</package>`;
        const more = [
          odd("one", '<location xml:base="https://elsewhere.example/x" href="one.rpm"/>'),
          odd("two", '<location href="../../../../../../two.rpm"/>'),
          odd("three", "<location/>"),
        ];
        return text.replace("\n</metadata>", `${more.join("\n")}\n</metadata>`);
      },
    }),
  ),
  row(
    "package-in-dists",
    "packages below dists/, named by the published index",
    "apt",
    debRebuilt("package-in-dists", { path: "dists/stable/pool/main/amd64/package-in-dists-tool_1.0_amd64.deb" }),
  ),
  row(
    "package-in-latest",
    "packages in a folder called latest, named by the published index",
    "dnf",
    rpmRebuilt("package-in-latest", {
      folder: "OL9/latest/x86_64",
      path: "OL9/latest/x86_64/getPackage/package-in-latest-tool-1.0-1.noarch.rpm",
    }),
  ),
  row(
    "package-in-nightly",
    "packages in a folder called nightly, named by the published index",
    "apt",
    debRebuilt("package-in-nightly", {
      folder: "nightly/debian_12/dists/stable",
      path: "nightly/debian_12/pool/main/package-in-nightly-tool_1.0_amd64.deb",
      filename: "pool/main/package-in-nightly-tool_1.0_amd64.deb",
      client: { base: "nightly/debian_12" },
    }),
  ),
  row("pacman-label", "a pacman .db with the label Content-Encoding: x-gzip", "pacman", {
    path: "extra/os/x86_64/pacman-label-p-1.0-1-any.pkg.tar.zst",
    client: pacman({ folder: "extra/os/x86_64", database: "extra" }),
    files: async (n, seed) => {
      const further = pacmanPackage("pacman-label-q", "pacman-label q", { version: `${n}-1` });
      return pacmanDatabase("extra/os/x86_64", "extra", [pacmanPackage("pacman-label-p", `pacman-label ${seed}`), further]);
    },
    setUp: ({ upstream }) => upstream.origin.fault(/\.db$/, { kind: "headers", headers: { "content-encoding": "x-gzip" } }),
  }),
  row("apk-v2", "Alpine: `C:` is the SHA-1 of the control stream, whose .PKGINFO has the SHA-256 of the data stream", "apk", {
    path: "v3.22/main/x86_64/apk-v2-p-1.0-r0.apk",
    client: apk("v3.22/main/x86_64"),
    files: async (n, seed) => apkRepository("v3.22/main/x86_64", `apk-v2 ${n}`, [await makeApk("apk-v2-p", "1.0-r0", `apk-v2 ${seed}`)]),
  }),
  row("two-suites-one-pool", "two suites name one pool; the package is named by the second one alone", "apt", {
    path: debPath("two-suites-one-pool"),
    client: apt({ folder: "dists/testing" }),
    files: (n, seed) => ({
      ...debSuite({
        folder: "dists/stable",
        date: dateOf(n),
        entries: [deb("two-suites-other", "two-suites-other", { filename: "pool/main/two-suites-other_1.0_amd64.deb" })],
      }),
      ...debSuite({
        folder: "dists/testing",
        date: dateOf(n),
        entries: [deb("two-suites-one-pool-tool", `two-suites ${seed}`, { filename: debPath("two-suites-one-pool") })],
      }),
    }),
  }),
  row("packages-beside-folder", "packages in a folder beside that of repodata/, `../rpms/x.rpm`", "dnf", {
    ...rpmRebuilt("packages-beside-folder", {
      folder: "top/meta",
      path: "top/rpms/packages-beside-folder-tool-1.0-1.noarch.rpm",
      href: "../rpms/packages-beside-folder-tool-1.0-1.noarch.rpm",
    }),
  }),
];
