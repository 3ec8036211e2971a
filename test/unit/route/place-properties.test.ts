import fc from "fast-check";
import { expect, test } from "vitest";
import { type Distro, DISTROS, PATH_CLASSES, type PathClass } from "../../../src/config/config.ts";
import { distributionOf } from "../../../src/config/distributions.ts";
import { companionFiles, rootFiles } from "../../../src/metadata/generations/root-files.ts";
import { type Place, placeOf, type RepositoryPlace } from "../../../src/route/place.ts";

const hex = (digits: number): string => "0123456789abcdef".repeat(9).slice(0, digits);
const FOLDERS =
  `dists repodata by-hash MD5 MD5Sum SHA1 SHA256 SHA256Sum SHA384 SHA512 sid bookworm-updates main source binary-amd64 i18n dep11
  Packages.diff installer-amd64 pool os x86_64 latest current nightly release releases pxeboot repos repos-dist f43-build toplink work packages
  rawhide tumbleweed edge updates builds InRelease x.db`.split(/\s+/);
const SIGNED =
  `InRelease Release repomd.xml x.db x.files x.db.tar x.db.tar.gz APKINDEX.tar.gz Packages Packages.gz summary x-CHECKSUM x-1.rpm x-1.tar.gz .db`.split(
    /\s+/,
  );
const OTHERS = `Sources.xz Contents-amd64.gz Translation-en.bz2 Index Components-amd64.yml.gz icons-64x64.tar.gz primary.xml.gz comps.xml
  x_1.deb x.apk README boot.iso latest x.html x.db.old RPM-GPG-KEY-x`.split(/\s+/);

const digits = fc.constantFrom(0, 31, 32, 33, 40, 56, 63, 64, 65, 96, 128, 129).map(hex);
const plainName = fc.oneof(
  fc.constantFrom("", ...OTHERS),
  fc.tuple(fc.constantFrom(...SIGNED), fc.constantFrom("", ".asc", ".gpg", ".key", ".sig", ".sig.sig")).map((parts) => parts.join("")),
);
const name = fc.oneof(
  plainName,
  digits,
  digits.map((text) => text.toUpperCase()),
  fc.tuple(digits, plainName).map((parts) => parts.join("-")),
);
const folder = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...FOLDERS) }, digits);
const nearest = fc.oneof(
  fc.constantFrom([], ["repodata"], ["dists", "sid", "main", "binary-amd64"]),
  folder.map((one) => ["by-hash", one]),
);
const paths = fc
  .tuple(fc.array(folder, { maxLength: 5 }), nearest, name)
  .map(([above, near, last]) => [...[...above, ...near].filter((one) => one !== ""), last].join("/"));
const distros = fc.constantFrom(undefined, ...DISTROS);

/** Calls `check` with the place of many paths. */
function forPlaces(
  check: (place: Place, path: string, placeIn: (path: string) => Place, distro: Distro | undefined) => void,
  numRuns = 20_000,
): void {
  fc.assert(
    fc.property(distros, paths, (distro, path) => {
      const placeIn = (one: string): Place => placeOf({ distro, classes: [] }, one);
      check(placeIn(path), path, placeIn, distro);
    }),
    { numRuns },
  );
}

test("the class says the role in a repository, and no other class has one", () => {
  const classes: Record<RepositoryPlace["role"], PathClass> = { root: "root", companion: "root", member: "member", hashed: "hashed" };
  const seen = new Set<string>();
  forPlaces(({ class: pathClass, repository }) => {
    seen.add(repository === null ? pathClass : `${repository.kind} ${repository.role}`);
    if (repository === null) expect(["root", "member", "hashed"]).not.toContain(pathClass);
    else expect(pathClass).toBe(classes[repository.role]);
    // So many that none of them is missed by chance.
  }, 80_000);
  const inFolders = ["deb", "rpm-md"].flatMap((kind) => ["companion", "hashed", "member", "root"].map((role) => `${kind} ${role}`));
  const alone = ["apk companion", "apk root", "pacman companion", "pacman root", "pair companion", "pair root"];
  expect([...seen].toSorted()).toEqual([...inFolders, ...alone, "package", "pass", "unstable-package", "volatile"].toSorted());
});

test("a hashed file, and no other, has a digest, which its path spells out", () => {
  forPlaces(({ class: pathClass, repository }, path) => {
    expect(repository?.digest !== undefined).toBe(pathClass === "hashed");
    if (repository?.digest === undefined) return;
    const { algorithm, digest } = repository.digest;
    expect(digest.length).toBe({ md5: 32, sha1: 40, sha256: 64, sha384: 96, sha512: 128 }[algorithm]);
    expect(path.split("/").at(-1)?.split("-")[0]).toBe(digest);
  });
});

test("a repository is a folder above the path, and its root lies in that folder or below it", () => {
  const isAtOrBelow = (top: string, path: string): boolean => top === "" || path === top || path.startsWith(`${top}/`);
  forPlaces(({ repository }, path) => {
    if (repository === null) return;
    const { base, root, role } = repository;
    expect(isAtOrBelow(base, root)).toBe(true);
    expect(path).not.toBe(base);
    expect(isAtOrBelow(base, path)).toBe(true);
    // A signature of a database that stands alone lies beside its root; all else lies at its root or below it.
    if (role === "companion" && !isAtOrBelow(root, path)) expect(path.replace(/\.[a-z]+$/, "")).toBe(root);
    else expect(isAtOrBelow(root, path)).toBe(true);
  });
});

test("the root files of a place, and what moves with them, stand in the same repository under the same root", () => {
  forPlaces(({ repository }, path, placeIn, distro) => {
    // Files in a folder that is a link are of today, the root too; only what is named by its digest is the same under any path.
    if (repository === null || distributionOf(distro).movingFolders?.test(path) === true) return;
    const { kind, base, root } = repository;
    for (const rootFile of rootFiles(repository)) {
      for (const file of [rootFile, ...companionFiles(repository, rootFile)]) {
        const isRoot = file === rootFiles(repository)[0];
        expect({ file, ...placeIn(file) }).toMatchObject({
          file,
          class: "root",
          repository: { kind, base, root, role: isRoot ? "root" : "companion" },
        });
      }
    }
  });
});

test("a class of the configuration leaves a path where it stands if it is the built-in class, and otherwise takes it out of its repository", () => {
  fc.assert(
    fc.property(distros, paths, fc.constantFrom(...PATH_CLASSES), (distro, path, pathClass) => {
      const builtIn = placeOf({ distro, classes: [] }, path);
      const { class: found, rule, repository } = placeOf({ distro, classes: [{ pattern: /^/u, class: pathClass }] }, path);
      expect({ found, rule }).toEqual({ found: pathClass, rule: "configured: ^" });
      expect(repository).toEqual(pathClass === builtIn.class ? builtIn.repository : null);
      const unmatched = placeOf({ distro, classes: [{ pattern: /^$(?!)/u, class: pathClass }] }, path);
      expect(unmatched).toEqual(builtIn);
    }),
    { numRuns: 2_000 },
  );
});
