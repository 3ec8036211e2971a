import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { signatureInForm } from "../unit/metadata/samples.ts";

const TTL_SECONDS = 1;

interface Sent {
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An origin that answers from a table, and `absent` for all else. */
interface Table {
  readonly url: string;
  files: Readonly<Record<string, string | Uint8Array | Sent>>;
  absent: number;
  /** Paths without leading slash, as they were asked for. */
  readonly asked: string[];
  readonly server: Server;
}

async function startTable(): Promise<Table> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "/").slice(1).replace(/\?.*/, ""));
    table.asked.push(path);
    const found = table.files[path];
    if (found === undefined) return void response.writeHead(table.absent, { "content-type": "text/plain" }).end("no\n");
    const { body, headers = {} } = typeof found === "string" || found instanceof Uint8Array ? { body: found } : found;
    const bytes = Buffer.from(body);
    const etag = `"${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}"`;
    const common = { "content-type": "application/octet-stream", etag, ...headers };
    if (request.headers["if-none-match"] === etag) return void response.writeHead(304, common).end();
    response.writeHead(200, { ...common, "content-length": bytes.length });
    return void response.end(request.method === "HEAD" ? undefined : bytes);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const table: Table = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, files: {}, absent: 404, asked: [], server };
  return table;
}

/** Roots, companions and pairs of imperfect upstreams, beside the direct way: what a client gets directly it gets through the mirror, cold, warm, and in the next generation. */
describe("roots and pairs of imperfect upstreams", () => {
  const names = ["store", "feed", "ostree", "sums", "coded", "anew", "late", "opaque", "two"] as const;
  const tables = new Map<string, Table>();
  let second: Table;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    for (const name of names) tables.set(name, await startTable());
    second = await startTable();
    const mirrors = Object.fromEntries(
      [...tables].map(([name, { url }]) => [name, { upstreams: name === "two" ? [url, second.url] : [url] }]),
    );
    mirror = await startMirror({ mirrors, vars: { METADATA_TTL_SECONDS: TTL_SECONDS } });
  });
  afterAll(async () => {
    await mirror?.remove();
    for (const { server } of [...tables.values(), second]) server.close();
  });

  const tableOf = (name: (typeof names)[number]): Table => tables.get(name) as Table;
  const nextLife = (): Promise<void> => sleep((TTL_SECONDS + 0.2) * 1000);

  async function get(base: string, path: string, init: RequestInit = {}) {
    const response = await fetch(`${base}/${path}`, init);
    return { status: response.status, text: await response.text(), cacheStatus: response.headers.get("cache-status") ?? "" };
  }

  /** Status and body of each path, directly and through the mirror: a 403 of what is absent may be a 404. */
  async function expectSame(name: (typeof names)[number], paths: readonly string[], direct = tableOf(name).url): Promise<void> {
    for (const path of paths) {
      const [wanted, got] = [await get(direct, path), await get(mirror.prefixUrl(name), path)];
      const { status, text } = got;
      if (wanted.status === 200) expect({ path, status, text }).toEqual({ path, status: 200, text: wanted.text });
      else expect({ path, status }).toEqual({ path, status: expect.toBeOneOf([404, wanted.status]) });
    }
  }

  const repomd = (revision: number, content: string): string => {
    const digest = createHash("sha256").update(content).digest("hex");
    return `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>${revision}</revision><data type="primary"><checksum type="sha256">${digest}</checksum><location href="repodata/primary.xml.gz"/><timestamp>${revision}</timestamp><size>${content.length}</size></data></repomd>`;
  };
  const release = (date: number): string => `Origin: x\nDate: ${new Date(date * 1000).toUTCString()}\nSHA256:\n`;

  it("an object store that answers 403 for all that is absent", async () => {
    const table = tableOf("store");
    table.absent = 403;
    for (const revision of [1_700_000_000, 1_700_000_001]) {
      table.files = {
        "os/repodata/repomd.xml": repomd(revision, `store ${revision}`),
        "os/repodata/primary.xml.gz": `store ${revision}`,
        "dists/x/InRelease": `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${release(revision)}-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n`,
      };
      const head = await fetch(`${mirror.prefixUrl("store")}/os/repodata/repomd.xml`, { method: "HEAD" });
      expect(head.status).toBe(200);
      const rpm = ["media.1/media", "repodata/repomd.xml.asc", "repodata/repomd.xml.key", "repodata/repomd.xml", "repodata/primary.xml.gz"];
      for (let time = 0; time < 2; time++) {
        await expectSame(
          "store",
          rpm.map((path) => `os/${path}`),
        );
        await expectSame("store", ["dists/x/InRelease", "dists/x/Release", "dists/x/Release.gpg", "dists/x/main/binary-amd64/Packages.xz"]);
      }
      await nextLife();
    }
  });

  it("a feed of opkg: an index in two forms and its signature, without any Release", async () => {
    const table = tableOf("feed");
    for (const mark of ["a", "b", "c"]) {
      table.files = {
        "base/Packages": `plain ${mark}`,
        "base/Packages.gz": gzipSync(`packed ${mark}`),
        "base/Packages.sig": `usign ${mark}`,
      };
      await expectSame("feed", ["base/Packages.gz", "base/Packages.sig", "base/Packages", "base/Packages.xz", "base/Release"]);
      table.asked.length = 0;
      await expectSame("feed", ["base/Packages.gz", "base/Packages.sig"]);
      await nextLife();
    }
  });

  it("a first answer is a miss, not a stale one, and the next a hit", async () => {
    tableOf("feed").files = { "one/Packages.gz": gzipSync("first of its kind") };
    const base = mirror.prefixUrl("feed");
    expect((await get(base, "one/Packages.gz")).cacheStatus).toContain("fwd=miss");
    expect((await get(base, "one/Packages.gz")).cacheStatus).toContain("; hit");
  });

  it.each([
    ["ostree", "repo/summary", "repo/summary.sig"],
    ["sums", "iso/SHA256SUMS", "iso/SHA256SUMS.gpg"],
  ] as const)("%s: a file and its signature have one life", async (name, file, signature) => {
    const table = tableOf(name);
    for (const mark of ["a", "b", "c"]) {
      table.files = { [file]: `${name} list ${mark}`, [signature]: `${name} signature ${mark}` };
      await expectSame(name, [file, signature]);
      await sleep(TTL_SECONDS * 500);
      await get(mirror.prefixUrl(name), signature);
      await sleep(TTL_SECONDS * 700);
    }
  });

  it.each(["gzip", "br"])("a root and its signature that arrive encoded with %s", async (coding) => {
    const table = tableOf("coded");
    const pack = coding === "gzip" ? gzipSync : brotliCompressSync;
    const text = repomd(1_700_000_000, coding);
    const headers = { "content-encoding": coding };
    table.files = {
      [`${coding}/repodata/repomd.xml`]: { body: pack(text), headers },
      [`${coding}/repodata/repomd.xml.asc`]: { body: pack(Buffer.from(signatureInForm(text))), headers },
    };
    const got = await get(mirror.prefixUrl("coded"), `${coding}/repodata/repomd.xml`);
    expect(got).toMatchObject({ status: 200, text });
    expect((await get(mirror.prefixUrl("coded"), `${coding}/repodata/repomd.xml.asc`)).status).toBe(200);
  });

  it("a database of pacman that is labelled x-gzip, and an InRelease that is labelled text/html", async () => {
    const table = tableOf("coded");
    table.files = {
      "core/core.db": { body: gzipSync("tar"), headers: { "content-encoding": "x-gzip" } },
      "dists/y/InRelease": {
        body: `-----BEGIN PGP SIGNED MESSAGE-----\n\n${release(1_700_000_000)}`,
        headers: { "content-type": "text/html" },
      },
    };
    const response = await fetch(`${mirror.prefixUrl("coded")}/core/core.db`, { headers: { "accept-encoding": "identity" } });
    expect(response.headers.get("content-encoding")).toBeNull();
    expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from(gzipSync("tar")));
    await expectSame("coded", ["dists/y/InRelease"]);
  });

  it("a root that stays and is signed anew", async () => {
    const table = tableOf("anew");
    const text = repomd(1_700_000_000, "anew");
    const signature = Buffer.from(signatureInForm(text));
    for (const extra of ["", "anew", "once more"]) {
      const note = extra === "" ? Buffer.alloc(0) : Buffer.from([0xfc, extra.length, ...Buffer.from(extra)]);
      table.files = { "repodata/repomd.xml": text, "repodata/repomd.xml.asc": Buffer.concat([signature, note]) };
      await expectSame("anew", ["repodata/repomd.xml", "repodata/repomd.xml.asc"]);
      await nextLife();
    }
  });

  it("a Release whose signature comes later", async () => {
    const table = tableOf("late");
    const text = release(1_700_000_000);
    table.files = { "dists/z/Release": text };
    await expectSame("late", ["dists/z/InRelease", "dists/z/Release", "dists/z/Release.gpg"]);
    table.files = { ...table.files, "dists/z/Release.gpg": Buffer.from(signatureInForm(text)) };
    await nextLife();
    await expectSame("late", ["dists/z/Release", "dists/z/Release.gpg"]);
  });

  it("a root that no parser reads, and its signature", async () => {
    const table = tableOf("opaque");
    for (const mark of ["a", "b"]) {
      table.files = { "repodata/repomd.xml": `of another kind ${mark}`, "repodata/repomd.xml.asc": `signature ${mark}` };
      await expectSame("opaque", ["repodata/repomd.xml", "repodata/repomd.xml.asc"]);
      await nextLife();
    }
    table.files = { "repodata/primary.xml.gz": gzipSync("primary of no root") };
    await expectSame("opaque", ["other/repodata/repomd.xml", "repodata/primary.xml.gz"]);
  });

  it("a signature that only the second upstream has", async () => {
    const text = repomd(1_700_000_000, "two");
    tableOf("two").files = { "repodata/repomd.xml": text };
    second.files = { "repodata/repomd.xml": text, "repodata/repomd.xml.asc": Buffer.from(signatureInForm(text)) };
    await expectSame("two", ["repodata/repomd.xml", "repodata/repomd.xml.asc"], second.url);
  });
});
