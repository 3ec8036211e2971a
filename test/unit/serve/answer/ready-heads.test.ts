import { describe, expect, it } from "vitest";
import { createReadyHeads } from "../../../../src/serve/answer/ready-heads.ts";
import { describeObject } from "../../../../src/store/stored-object.ts";

const DESCRIBED = { contentType: "text/plain", etag: undefined, lastModified: "Wed, 01 Jan 2025 00:00:00 GMT", upstream: "http://a" };
const OBJECT = describeObject(DESCRIBED, { version: "0".repeat(32), size: 7, storedAt: 0, verified: "length" });
const FILE = { path: "pool/a.deb" };

function createHeads(isLocal = true) {
  let time = 1_700_000_000_000;
  const heads = createReadyHeads({ isLocal, now: () => time });
  return { heads, pass: (ms: number) => void (time += ms) };
}

describe("ready headers", () => {
  it("are all that an answer with the whole object has", () => {
    expect(Object.fromEntries(createHeads().heads.of(OBJECT, FILE, "lazy-mirror; hit", 12.9))).toEqual({
      "accept-ranges": "bytes",
      age: "12",
      "cache-control": "no-transform",
      "cache-status": "lazy-mirror; hit",
      "content-length": "7",
      "content-security-policy": "sandbox",
      "content-type": "text/plain",
      date: "Tue, 14 Nov 2023 22:13:20 GMT",
      etag: `"${"0".repeat(32)}"`,
      "last-modified": "Wed, 01 Jan 2025 00:00:00 GMT",
      "x-content-type-options": "nosniff",
    });
  });

  it("are the same ones within a second, and follow the clock", () => {
    const { heads, pass } = createHeads();
    const first = heads.of(OBJECT, FILE, "lazy-mirror; hit", 12);
    expect(heads.of(OBJECT, FILE, "lazy-mirror; hit", 12)).toBe(first);
    pass(1_000);
    const next = heads.of(OBJECT, FILE, "lazy-mirror; hit", 13);
    expect([next.get("age"), next.get("date")]).toEqual(["13", "Tue, 14 Nov 2023 22:13:21 GMT"]);
  });

  it("say how each answer came about, also within one second", () => {
    const { heads } = createHeads();
    heads.of(OBJECT, FILE, "lazy-mirror; hit", 12);
    expect(heads.of(OBJECT, FILE, "lazy-mirror; fwd=stale", 0).get("cache-status")).toBe("lazy-mirror; fwd=stale");
    expect(heads.of(OBJECT, FILE, "lazy-mirror; hit", 12).get("age")).toBe("12");
  });

  it("contain a listing otherwise than a file, where both are of one object", () => {
    const { heads } = createHeads();
    heads.of(OBJECT, FILE, "lazy-mirror; hit", 0);
    expect(heads.of(OBJECT, { path: "pool/" }, "lazy-mirror; hit", 0).get("content-security-policy")).toBe("sandbox allow-downloads");
    expect(heads.of(OBJECT, FILE, "lazy-mirror; hit", 0).get("content-security-policy")).toBe("sandbox");
  });

  it("have no Date at the edge, where Cloudflare adds it, and are not kept there", () => {
    const { heads } = createHeads(false);
    const first = heads.of(OBJECT, FILE, "lazy-mirror; hit", 0);
    expect(first.has("date")).toBe(false);
    expect(heads.of(OBJECT, FILE, "lazy-mirror; hit", 0)).not.toBe(first);
  });
});
