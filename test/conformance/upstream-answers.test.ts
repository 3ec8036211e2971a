import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { download } from "../support/download.ts";
import { makeNoise, sha256 } from "../support/fixture.ts";
import { makeDeb, placeFile } from "../support/large-files.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import type { Fault } from "../support/origin-fault.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { requireTools, mustRun, runTool } from "../support/run-tool.ts";

const MIB = 1_048_576;

/** An address at which nothing listens. */
async function refusedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Each step goes straight to the origin first: what works there works through the mirror. */
describe("what upstreams' answers mean", () => {
  const folders = [mkdtempSync(join(tmpdir(), "lazy-mirror-answers-")), mkdtempSync(join(tmpdir(), "lazy-mirror-answers-"))] as const;
  const fetched = mkdtempSync(join(tmpdir(), "lazy-mirror-fetched-"));
  let first: Origin;
  let second: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    [first, second] = [await startOrigin(folders[0]), await startOrigin(folders[1])];
    mirror = await startMirror({
      mirrors: {
        one: { upstreams: [first.url] },
        two: { upstreams: [first.url, second.url] },
        limping: { upstreams: [first.url, await refusedUrl()] },
      },
      vars: { METADATA_TTL_SECONDS: 0 },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    await first?.close();
    await second?.close();
    for (const folder of [...folders, fetched]) rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    for (const origin of [first, second]) {
      origin.clearFaults();
      origin.log.length = 0;
    }
  });

  const get = (name: string, path: string, headers: Record<string, string> = {}) => download(mirror.prefixUrl(name) + path, { headers });
  const statusOf = async (url: string): Promise<number> => (await download(url)).status;

  describe("a folder without its slash", () => {
    /** The files that `wget -r` finds from `url` on, without the first `cut` folders of their paths. */
    async function crawl(url: string, name: string, cut = 1): Promise<string[]> {
      const folder = join(fetched, name);
      await runTool("wget", ["-q", "-r", "-np", "-nH", `--cut-dirs=${cut}`, "-e", "robots=off", "-P", folder, url]);
      const found = readdirSync(folder, { recursive: true, withFileTypes: true });
      return found
        .filter((one) => one.isFile())
        .map((one) => one.name)
        .toSorted();
    }

    it.runIf(requireTools("wget"))("is crawled by wget as it is from the upstream", async () => {
      for (const path of ["a.txt", "sub/b.txt", "sub/c+d.txt"]) placeFile(folders[0], `/tree/${path}`, makeNoise(path, 2_000));
      const direct = await crawl(`${first.url}/tree`, "direct");
      expect(direct).toEqual(expect.arrayContaining(["a.txt", "b.txt", "c+d.txt"]));
      expect(await crawl(`${mirror.hostUrl("one")}/tree`, "host")).toEqual(direct);
      expect(await crawl(`${mirror.prefixUrl("one")}/tree`, "prefix", 2)).toEqual(direct);
    });

    it("is a redirect to GET and HEAD, to an address that the client can reach, and is not stored", async () => {
      placeFile(folders[0], "/folder/with:colon/a.txt", makeNoise("colon", 100));
      for (const method of ["GET", "HEAD"] as const) {
        const url = `${mirror.prefixUrl("one")}/folder/with:colon`;
        const moved = await download(url, { method });
        expect([moved.status, moved.headers["cache-status"]]).toEqual([301, "lazy-mirror; fwd=miss; fwd-status=301"]);
        expect(new URL(moved.headers.location ?? "", url).href).toBe(`${mirror.prefixUrl("one")}/folder/with%3Acolon/`);
        expect(await statusOf(new URL(moved.headers.location ?? "", url).href)).toBe(200);
      }
      expect(first.requests("/folder/with:colon").length).toBe(2);
    });

    it("is a redirect too where it is the mirror itself, and stands in the log", async () => {
      const url = mirror.prefixUrl("one");
      const moved = await download(url);
      expect([moved.status, new URL(moved.headers.location ?? "", url).href]).toEqual([301, `${url}/`]);
      expect((await download(`${url}/`)).status).toBe(200);
      expect((await download(mirror.hostUrl("one"))).status).toBe(200);
      expect((await get("one", "/logged")).status).toBe(404);
      placeFile(folders[0], "/logged/a.txt", makeNoise("logged", 100));
      expect((await get("one", "/logged")).status).toBe(301);
      await expect.poll(() => mirror.output()).toMatch(/\b301\b.*logged|logged.*\b301\b/);
    });

    it("is so although the upstream stands behind a proxy and names another scheme and port", async () => {
      placeFile(folders[0], "/proxied/a.txt", makeNoise("proxied", 100));
      first.fault("/proxied", { kind: "status", status: 302, headers: { location: "http://127.0.0.1:1/proxied/" } });
      expect((await get("one", "/proxied")).status).toBe(301);
    });
  });

  describe("an upstream that refuses HEAD", () => {
    const REFUSALS: readonly (readonly [string, Fault])[] = [
      ...[400, 403, 404, 405, 501].map((status) => [String(status), { kind: "status", status }] as const),
      ["a lost connection", { kind: "garbage" }],
    ];

    it.each(REFUSALS)("by %s says with GET what curl -I asks", async (why, fault) => {
      const file = placeFile(folders[0], `/head/${why}.deb`, makeDeb(`head ${why}`, 3 * MIB));
      const url = mirror.prefixUrl("one") + file.path.replaceAll(" ", "%20");
      first.fault(file.path, fault, { method: "HEAD" });
      for (let times = 0; times < 4; times++) {
        const head = await mustRun("curl", ["-sSI", url]);
        expect(head).toMatch(/^HTTP\/1\.1 200 /);
        expect(head.toLowerCase()).toContain(`content-length: ${file.size}\r\n`);
      }
      // The breaker is closed.
      expect(await get("one", file.path.replaceAll(" ", "%20"))).toMatchObject({ status: 200, sha256: file.sha256, isWhole: true });
    });

    it("serves the end of a cold file by its length", async () => {
      const file = placeFile(folders[0], "/head/suffix.deb", makeDeb("suffix", MIB));
      first.fault(file.path, { kind: "status", status: 405 }, { method: "HEAD" });
      const part = await get("one", file.path, { range: "bytes=-100" });
      expect([part.status, part.headers["content-range"]]).toEqual([206, `bytes ${file.size - 100}-${file.size - 1}/${file.size}`]);
    });
  });

  describe("a file that the first upstream lacks and the second has", () => {
    const FILES = ["/os/.treeinfo", "/keys/RPM-GPG-KEY-test", "/os/images/pxeboot/vmlinuz", "/docs/readme.txt", "/pool/a_1.tar.gz"];

    it.each(FILES.flatMap((path) => [403, 404, 410].map((status) => [path, status] as const)))(
      "comes from the second: %s, where the first says %d",
      async (path, status) => {
        const file = placeFile(folders[1], `/${status}${path}`, makeNoise(`${status}${path}`, 5_000));
        first.fault(file.path, { kind: "status", status });
        expect(await statusOf(second.url + file.path)).toBe(200);
        for (let times = 0; times < 2; times++) {
          expect(await get("two", file.path)).toMatchObject({ status: 200, sha256: file.sha256, isWhole: true });
        }
      },
    );

    it("is absent only when the second says so too, and 403 where neither says more", async () => {
      expect((await get("two", "/nowhere/.treeinfo")).status).toBe(404);
      expect(second.requests("/nowhere/.treeinfo")).toHaveLength(1);
      for (const origin of [first, second]) origin.fault("/secret/.treeinfo", { kind: "status", status: 403 });
      expect(await statusOf(`${first.url}/secret/.treeinfo`)).toBe(403);
      expect((await get("two", "/secret/.treeinfo")).status).toBe(403);
    });

    it("is absent by the word of the first where the second is not there at all: a client that asks directly gets the same", async () => {
      for (let times = 0; times < 4; times++) expect((await get("limping", `/nowhere/${times}.treeinfo`)).status).toBe(404);
      placeFile(folders[0], "/limping/dists/x/Release", Buffer.from("Origin: test\nSuite: x\n"));
      expect((await get("limping", "/limping/dists/x/InRelease")).status).toBe(404);
      expect((await get("limping", "/limping/dists/x/Release")).status).toBe(200);
      // Of a package metadata may name it, and only the second may have it.
      expect((await get("limping", "/nowhere/a_1.deb")).status).toBe(502);
    });
  });

  describe("a file in repodata/ whose name begins with hex digits", () => {
    const other = (name: string): string => sha256(Buffer.from(name)).slice(0, 40);
    const right = (bytes: Buffer) => ({ status: 200, sha256: sha256(bytes), isWhole: true });

    it.each([
      ["small, without any repomd.xml", "/plain", 20_000],
      ["larger than what is held, without any repomd.xml", "/plain", 6 * MIB],
    ])("comes as it does from the upstream, each time: %s", async (_, base, size) => {
      const bytes = makeNoise(`${base}${size}`, size);
      const { path } = placeFile(folders[0], `${base}/repodata/${other(`${size}`)}-notes.txt`, bytes);
      expect(await download(first.url + path)).toMatchObject(right(bytes));
      for (let times = 0; times < 3; times++) expect(await get("one", path)).toMatchObject(right(bytes));
    });

    it("is refused where repomd.xml names it, and where its folder is by-hash/", async () => {
      const digest = sha256(Buffer.from("what repomd.xml names"));
      const path = `/named/repodata/${digest}-primary.xml.gz`;
      const repomd = `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary">
        <checksum type="sha256">${digest}</checksum><location href="${path.replace("/named/", "")}"/><size>21</size></data></repomd>`;
      placeFile(folders[0], "/named/repodata/repomd.xml", Buffer.from(repomd));
      placeFile(folders[0], path, makeNoise("named", 21));
      expect([502, 503]).toContain((await get("one", path)).status);
      const byHash = `/dists/y/main/binary-amd64/by-hash/SHA256/${digest}`;
      placeFile(folders[0], byHash, makeNoise("by-hash", 21));
      expect((await get("one", byHash)).status).toBe(502);
    });

    it("is kept under its digest where the bytes are those of its name", async () => {
      const bytes = makeNoise("rightly named", 20_000);
      const { path } = placeFile(folders[0], `/plain/repodata/${sha256(bytes)}-notes.txt`, bytes);
      expect(await get("one", path)).toMatchObject(right(bytes));
      expect((await get("one", path)).headers["cache-status"]).toMatch(/^lazy-mirror; hit/);
    });
  });

  it("says miss of what was never stored, and hit of what is", async () => {
    const file = placeFile(folders[0], "/status/a_1.deb", makeDeb("status", MIB));
    expect((await get("one", file.path)).headers["cache-status"]).toBe("lazy-mirror; fwd=miss; fwd-status=200; stored");
    expect((await get("one", file.path)).headers["cache-status"]).toBe("lazy-mirror; hit");
    expect((await get("one", "/status/none")).headers["cache-status"]).toBe("lazy-mirror; fwd=miss; fwd-status=404");
  });
});
