import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { craftRpm } from "../support/crafted-rpm.ts";
import { download } from "../support/download.ts";
import { makeDeb, placeFile } from "../support/large-files.ts";
import { findDebianLists, writeDebianLists, writeLargeRpmRepository } from "../support/large-indexes.ts";
import { MIRROR_WAY } from "../support/mirror-way.ts";
import { startMirror } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";

/** A mirror of what `folder` holds; gives its URL. */
async function serve(folder: string, distro: string): Promise<{ readonly url: string; output(): string }> {
  const origin = await startOrigin(folder);
  onTestFinished(() => origin.close());
  const mirror = await startMirror({ mirrors: { m: { distro, upstreams: [origin.url] } } });
  onTestFinished(() => mirror.remove());
  return { url: mirror.prefixUrl("m"), output: mirror.output };
}

/** Its structure alone lets a package pass: while the table is being built it may be served, and is gone again when that lands. */
async function expectRefusal(url: string): Promise<void> {
  await expect.poll(async () => (await download(url)).status, { timeout: 60_000, interval: 500 }).toBe(502);
}

/** The mirror is another process: its line may come after its answer. */
async function expectRefusalLogged(output: () => string): Promise<void> {
  await expect.poll(output, { timeout: 20_000 }).toContain("that its index names");
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-large-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

it.runIf(findDebianLists() !== null)(
  "takes over Debian's own InRelease and Packages, and knows the last of 63,000 packages by its digest",
  async () => {
    const folder = makeFolder();
    const { index, path, size, count } = await writeDebianLists(folder);
    expect(count).toBeGreaterThan(60_000);
    // Of the right name, size and structure.
    placeFile(folder, path, makeDeb("another", size));
    const { url, output } = await serve(folder, "debian");
    for (const file of ["dists/bookworm/InRelease", index]) {
      const { status, isWhole, bytes } = await download(`${url}/${file}`, { isKept: true });
      expect({ status, isWhole }).toEqual({ status: 200, isWhole: true });
      expect(bytes.equals(readFileSync(join(folder, file)))).toBe(true);
    }
    // On one machine the table has landed by then.
    if (MIRROR_WAY.name === "npm start") expect(await download(`${url}/${path}`)).toMatchObject({ status: 502 });
    else await expectRefusal(`${url}/${path}`);
    await expectRefusalLogged(output);
  },
);

it("takes over a repository of 70,000 packages, and knows the last of them by its digest", async () => {
  const folder = makeFolder();
  const { path } = writeLargeRpmRepository(folder, 70_000, "gz");
  placeFile(folder, path, craftRpm({ format: "v4", payload: new Uint8Array(3000) }).bytes);
  const { url, output } = await serve(folder, "fedora");
  expect(await download(`${url}/repodata/repomd.xml`)).toMatchObject({ status: 200, isWhole: true });
  await expectRefusal(`${url}/${path}`);
  await expectRefusalLogged(output);
});
