import { expect, it } from "vitest";
import { importFile, placesOf } from "../../../../src/local/operator/import-files.ts";

const NOTHING = new Map();

it("a file that another cache removes while it is imported is named, and ends nothing else", async () => {
  const cached = { file: "/nowhere/x.deb", path: "x.deb", name: "x.deb", size: 1, headers: {}, wanted: null };
  const transfer = {
    describe: async () => null,
    async give(_query: object, { body }: { readonly body: AsyncIterable<Uint8Array> }): Promise<null> {
      for await (const _chunk of body);
      return null;
    },
  };
  expect(await importFile(cached, ["debian/pool/x.deb"], transfer, () => {})).toBe("it cannot be read (ENOENT)");
});

it.each([
  ["debrep/pool/x.deb", "debian/pool/x.deb"],
  ["secdeb/pool/x.deb", "debian-security/pool/x.deb"],
  ["alxrep/core/os/x86_64/x.pkg.tar.zst", "archlinux/core/os/x86_64/x.pkg.tar.zst"],
  ["ftp.debian.org/debian/pool/x.deb", "//ftp.debian.org/debian/pool/x.deb"],
])("apt-cacher-ng's %s is %s here", (path, place) => {
  expect(placesOf({ path, name: path.replace(/.*\//, ""), size: 1 }, NOTHING, {})).toEqual([place]);
});

const PUBLISHED = new Map([
  [
    "a_1_all.deb",
    [
      { key: "debian/pool/a/a_1_all.deb", size: 5 },
      { key: "ubuntu/pool/a/a_1_all.deb", size: 7 },
    ],
  ],
]);
const flat = (name: string, size: number) => ({ path: name, name, size });

it("a file goes first where an index names its name and size", () => {
  expect(placesOf(flat("a_1_all.deb", 5), PUBLISHED, {})).toEqual(["debian/pool/a/a_1_all.deb"]);
  expect(placesOf(flat("a_1_all.deb", 6), PUBLISHED, {})).toEqual([]);
});

it("apt's folder writes the epoch into the name, and the archive does not", () => {
  expect(placesOf(flat("a_3:1_all.deb", 5), new Map([["a_1_all.deb", PUBLISHED.get("a_1_all.deb") ?? []]]), {})).toEqual([
    "debian/pool/a/a_1_all.deb",
  ]);
});

it("with --mirror only the places of that mirror count, and below the folder of --as its own path", () => {
  const cached = { path: "x/a_1_all.deb", name: "a_1_all.deb", size: 7 };
  expect(placesOf(cached, PUBLISHED, { mirror: "debian" })).toEqual(["debian/x/a_1_all.deb"]);
  expect(placesOf(cached, PUBLISHED, { mirror: "ubuntu", prefix: "/old/" })).toEqual([
    "ubuntu/pool/a/a_1_all.deb",
    "ubuntu/old/x/a_1_all.deb",
  ]);
});

it("an empty file, and one that is shorter than its head says, are named and not sent", async () => {
  const transfer = { describe: async () => null, give: () => Promise.reject(new Error("it was sent")) };
  const cached = { file: "/nowhere/x.deb", path: "x.deb", name: "x.deb", headers: {} };
  expect(await importFile({ ...cached, size: 0, wanted: null }, ["debian/x.deb"], transfer, () => {})).toBe("it is empty");
  expect(await importFile({ ...cached, size: 5, wanted: 9 }, ["debian/x.deb"], transfer, () => {})).toBe("it has 5 of its 9 bytes");
});
