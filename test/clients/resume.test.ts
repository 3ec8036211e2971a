import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { download } from "../support/download.ts";
import { makeNoise, sha256 } from "../support/fixture.ts";
import { makeDeb, makeIso, placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { mustRun, requireTools } from "../support/run-tool.ts";

const MIB = 1_048_576;
const SIZE = 48 * MIB;
/** Where a download is killed, in parts of its size. */
const KILLS = [0.11, 0.37, 0.38, 0.83];

/** Programs that go on where an earlier run of theirs was killed. */
const RESUMING = [
  { tool: "curl", args: (url: string, file: string) => ["-sSf", "-C", "-", "--limit-rate", "60M", "-o", file, url] },
  { tool: "wget", args: (url: string, file: string) => ["-q", "-c", "--limit-rate=60m", "-O", file, url] },
] as const;

describe("a download that was killed goes on, to the exact file", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-resume-"));
  const got = join(folder, "got");
  let origin: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    mkdirSync(join(folder, "www"));
    origin = await startOrigin(join(folder, "www"));
    mirror = await startMirror({ mirrors: { any: { upstreams: [origin.url] } } });
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    rmSync(got, { recursive: true, force: true });
    mkdirSync(got);
  });

  const url = ({ path }: { readonly path: string }): string => mirror.prefixUrl("any") + path;
  const place = (name: string): PlacedFile => placeFile(join(folder, "www"), `/${name}.iso`, makeIso(name, SIZE));

  describe.each(RESUMING)("$tool", ({ tool, args }) => {
    it.runIf(requireTools(tool)).each(["cold", "warm"])("from a %s file", async (state) => {
      const file = place(tool + state);
      if (state === "warm") await download(url(file));
      const target = join(got, "file");
      for (const part of KILLS) {
        const child = spawn(tool, args(url(file), target), { stdio: "ignore" });
        const ended = once(child, "exit");
        // oxlint-disable-next-line no-await-in-loop -- one run after the other
        await expect.poll(() => child.exitCode !== null || sizeOf(target) >= part * SIZE, { timeout: 20_000, interval: 5 }).toBe(true);
        child.kill("SIGKILL");
        // oxlint-disable-next-line no-await-in-loop
        await ended;
      }
      await mustRun(tool, args(url(file), target));
      expect(sha256(target)).toBe(file.sha256);
    });
  });

  it.runIf(requireTools("aria2c")).each(["cold", "warm"])("aria2 in eight pieces at once, from a %s file", async (state) => {
    const file = place(`aria2${state}`);
    if (state === "warm") await download(url(file));
    await mustRun("aria2c", ["-q", "-x8", "-s8", "-k1M", "--file-allocation=none", "-d", got, "-o", "file", url(file)]);
    expect(sha256(join(got, "file"))).toBe(file.sha256);
  });

  // Agents that compare no length get chunks, and the rest of a file that nobody has seen whole as well.
  it("python-requests, which leaves and comes back while the file is still being fetched", { timeout: 60_000 }, async () => {
    // The last of them leave within the last slice, whose tail waits for a verdict.
    const leave = [1_136_640, 4_784_128, 7_120_896, 5_723_136];
    for (let turn = 0; turn < 12; turn++) {
      const file = placeFile(join(folder, "www"), `/blind-${turn}.deb`, makeDeb(`blind-${turn}`, 20_000_000));
      const pieces: Buffer[] = [];
      let length = 0;
      for (const stopAt of [...leave, Infinity]) {
        const headers = { "user-agent": "python-requests/2.28.1", ...(length === 0 ? {} : { range: `bytes=${length}-` }) };
        // oxlint-disable-next-line no-await-in-loop -- one goes on where the last one left
        const piece = await download(url(file), { headers, isKept: true, stopAt });
        pieces.push(piece.bytes);
        length += piece.length;
      }
      expect(Buffer.concat(pieces).equals(file.bytes)).toBe(true);
    }
  });

  it.runIf(requireTools("zck", "zckdl")).each(["cold", "warm"])("zckdl, which asks a %s .zck for the chunks it lacks", async (state) => {
    const packages = Array.from({ length: 1200 }, (_, at) => `<package>${makeNoise(`package-${at}`, 1000).toString("hex")}</package>`);
    writeFileSync(join(got, "old"), packages.join("\n"));
    // A chunk a package, every other one new and none beside another: more than the 256 that one header asks for.
    writeFileSync(
      join(got, "new"),
      packages.map((text, at) => (at % 2 === 0 ? text.replace("<package>", `<package>${state}`) : text)).join("\n"),
    );
    for (const name of ["old", "new"]) await mustRun("zck", ["-m", "-s", "<package", name, "-o", `${name}.zck`], { cwd: got });
    const digest = sha256(join(got, "new.zck"));
    const path = `/repodata/${digest}-primary.xml.zck`;
    mkdirSync(join(folder, "www/repodata"), { recursive: true });
    copyFileSync(join(got, "new.zck"), join(folder, "www", path));
    if (state === "warm") await download(url({ path }));
    const told = await mustRun("zckdl", ["-v", "--fail-no-ranges", "-s", "old.zck", url({ path })], { cwd: got });
    expect(Number(/Missing chunks: (\d+)/.exec(told)?.[1])).toBeGreaterThanOrEqual(600);
    expect(sha256(join(got, basename(path)))).toBe(digest);
    expect(Number(/Downloaded (\d+) bytes/.exec(told)?.[1])).toBeLessThan(readFileSync(join(got, "new.zck")).length);
  });
});

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
