import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { download } from "../support/download.ts";
import { makeNoise, sha256 } from "../support/fixture.ts";
import { type PlacedFile, placeFile } from "../support/large-files.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";

/** A commit, and the digest of something else: what CI servers and download pages put before names. */
const COMMIT = "8f3b2c1d9e0a4f5b6c7d8e9f0a1b2c3d4e5f6a7b";
const OF_ANOTHER_FILE = sha256(Buffer.from("another file"));

/** Of names that hold hex digits only those in `by-hash/` and `repodata/` promise anything of the bytes. */
describe("a file whose name begins with a digest that is not its own", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-names-"));
  let origin: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    origin = await startOrigin(folder);
    mirror = await startMirror({
      mirrors: {
        any: { upstreams: [origin.url] },
        fedora: { upstreams: [origin.url], distro: "fedora" },
        debian: { upstreams: [origin.url], distro: "debian" },
      },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Status and digest of the body, as a client gets them; anything but a whole body is no file. */
  async function fetchFile(url: string) {
    const { status, sha256: digest, isWhole } = await download(url);
    return { status, digest, isWhole };
  }

  const PATHS = [
    `/builds/${COMMIT}-notes.txt`,
    `/downloads/${OF_ANOTHER_FILE}-tool.tar.gz`,
    `/dists/stable/main/${COMMIT}-notes.txt`,
    `/dists/stable/pool/${OF_ANOTHER_FILE}-tool.tar.gz`,
  ];

  it.each(PATHS.flatMap((path) => ["any", "fedora", "debian"].map((name) => [path, name] as const)))(
    "comes as it does from the upstream, each time: %s of mirror %s",
    async (path, name) => {
      const file: PlacedFile = placeFile(folder, path, makeNoise(path, 20_000));
      const right = { status: 200, digest: file.sha256, isWhole: true };
      // The control: what goes direct works.
      expect(await fetchFile(origin.url + path)).toEqual(right);
      for (let time = 1; time <= 4; time++) {
        expect({ time, ...(await fetchFile(mirror.prefixUrl(name) + path)) }).toEqual({ time, ...right });
      }
    },
  );
});
