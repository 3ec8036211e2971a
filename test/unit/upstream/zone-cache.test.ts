import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMirror, type Ask, type Got } from "../../chaos/mirror.ts";
import { installVirtualTime, type VirtualTime } from "../../chaos/virtual-time.ts";
import { makeIso } from "../../support/large-files.ts";
import { createZoneCache } from "../../support/zone-cache.ts";

const UPSTREAM = "http://alpine.test";
const INDEX = "v3.22/main/x86_64/APKINDEX.tar.gz";
const ISO = "v3.22/releases/x86_64/alpine-3.22.iso";
const PART_BYTES = 65_536;

let time: VirtualTime;
beforeAll(() => {
  time = installVirtualTime();
});
afterAll(() => time.uninstall());

/** A mirror at the edge, whose upstream says nothing of caches. `hasBypass` false: its fetches lose `cache: "no-store"` on the way. */
function createEdge({ hasBypass }: { readonly hasBypass: boolean }) {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const asked: { readonly method: string; readonly path: string; readonly headers: Headers }[] = [];
  const moved = { bytes: 0 };
  const zone = createZoneCache(async (url, init) => {
    const path = new URL(url).pathname.slice(1);
    const headers = new Headers(init.headers);
    asked.push({ method: init.method ?? "GET", path, headers });
    const file = files.get(path);
    if (file === undefined) return new Response("no such file", { status: 404 });
    const etag = `"${createHash("sha256").update(file).digest("hex").slice(0, 16)}"`;
    if (headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers: { etag } });
    const [, first = "0", last] = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "") ?? [];
    const end = last === undefined || last === "" ? file.length : Number(last) + 1;
    const isPart = headers.has("range");
    const body = file.slice(Number(first), end);
    const sent = { etag, "content-length": String(body.length), "accept-ranges": "bytes" };
    if (init.method === "HEAD") return new Response(null, { headers: sent });
    moved.bytes += body.length;
    const range = isPart ? { "content-range": `bytes ${first}-${end - 1}/${file.length}` } : {};
    return new Response(body, { status: isPart ? 206 : 200, headers: { ...sent, ...range } });
  }, time.now);
  const mirror = createMirror({
    vars: { SLICE_MIB: PART_BYTES / 1_048_576, MIRRORS: { alpine: { distro: "alpine", upstreams: [UPSTREAM] } } },
    isolates: 2,
    fetch(url, init) {
      const { cache: _, ...others } = init;
      return zone(url, hasBypass ? init : others);
    },
  });
  const get = (path: string, ask?: Ask): Promise<Got> => time.run(mirror.ask(`alpine/${path}`, ask));
  return { files, asked, moved, get };
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text));
const textOf = ({ body }: Got): string => Buffer.from(body).toString();

describe.each([
  { hasBypass: true, name: "past the cache of the Worker's zone" },
  { hasBypass: false, name: "through it, as without the bypass," },
])("an upstream fetch $name", ({ hasBypass }) => {
  test(`an Alpine index that changed is ${hasBypass ? "new after METADATA_TTL" : "old for two hours"}`, async () => {
    const { files, get } = createEdge({ hasBypass });
    files.set(INDEX, bytesOf("the first index"));
    expect(textOf(await get(INDEX))).toBe("the first index");
    files.set(INDEX, bytesOf("the second index"));
    await time.pass(61_000);
    expect(textOf(await get(INDEX))).toBe(hasBypass ? "the second index" : "the first index");
    await time.pass(121 * 60_000);
    expect(textOf(await get(INDEX))).toBe("the second index");
  });

  test(`a part of an image moves ${hasBypass ? "no more than its slices" : "the whole image"}`, async () => {
    const { files, get, moved } = createEdge({ hasBypass });
    const iso = new Uint8Array(makeIso("image", 1_048_576));
    files.set(ISO, iso);
    const part = await get(ISO, { headers: { range: "bytes=700000-700099" } });
    expect(part).toMatchObject({ status: 206, cut: null });
    expect(part.body).toEqual(iso.slice(700_000, 700_100));
    if (hasBypass) expect(moved.bytes).toBeLessThanOrEqual(2 * PART_BYTES);
    else expect(moved.bytes).toBeGreaterThanOrEqual(iso.length);
  });

  test(`a HEAD fetches ${hasBypass ? "no body" : "the body"}`, async () => {
    const { files, get, moved } = createEdge({ hasBypass });
    files.set(ISO, new Uint8Array(makeIso("image", 1_048_576)));
    expect(await get(ISO, { method: "HEAD" })).toMatchObject({ status: 200 });
    if (hasBypass) expect(moved.bytes).toBe(0);
    else expect(moved.bytes).toBeGreaterThanOrEqual(1_048_576);
  });
});
