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
  ["deb.debian.org/debian/pool/x.deb", "//deb.debian.org/debian/pool/x.deb"],
])("apt-cacher-ng's %s is %s here", (path, place) => {
  expect(placesOf({ path, name: path.replace(/.*\//, ""), size: 1 }, NOTHING, {})).toEqual([place]);
});
