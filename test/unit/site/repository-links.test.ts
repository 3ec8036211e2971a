import { describe, expect, it } from "vitest";
import { createApp } from "../../../src/app.ts";
import { formatMetalink } from "../../../src/metadata/formats/metalink.ts";
import type { Resolution } from "../../../src/metadata/ports/repositories.ts";
import { siteDependencies } from "./site.ts";

const DIGEST = { size: 7, sha256: "ab".repeat(32), timestamp: 1_767_000_000 };

/** The site over one published repository, `fedora/a+b`; of any other `resolution` is known. */
function openSite(resolution: Resolution = { kind: "absent", status: 404 }, refusal: Response | null = null) {
  const app = createApp({
    ...siteDependencies(),
    links: {
      repositories: {
        metalink: async (target, url) => (target.key === "fedora/a+b/repodata/repomd.xml" ? formatMetalink({ url, ...DIGEST }) : null),
        resolve: async () => resolution,
      },
      refuseClient: async () => refusal,
    },
  });
  return (path: string, host = "127.0.0.1:8787") => app.fetch(new Request(`http://127.0.0.1${path}`, { headers: { host } }));
}

describe("what dnf and zypper take for metalink= and mirrorlist=", () => {
  it.each(["/-/metalink/fedora/a+b", "/-/metalink/fedora/a%2Bb/", "/-/metalink/fedora//a+b"])(
    "%s names this mirror as the one place",
    async (path) => {
      const response = await openSite()(path);
      expect(response.headers.get("content-type")).toMatch(/^application\/metalink\+xml/);
      const text = await response.text();
      expect(text).toContain(">http://127.0.0.1:8787/fedora/a%2Bb/repodata/repomd.xml</url>");
      expect(text).toContain(DIGEST.sha256);
    },
  );

  it("a mirrorlist is one line: the folder of the repository", async () => {
    expect(await (await openSite()("/-/mirrorlist/fedora/a+b/")).text()).toBe("http://127.0.0.1:8787/fedora/a%2Bb/\n");
  });

  it("says 404 only where an upstream did, and when to come again while none answers", async () => {
    expect((await openSite()("/-/metalink/fedora/other")).status).toBe(404);
    const busy = await openSite({ kind: "failure", status: 503, detail: "half-way", retryAfterSeconds: 9 })("/-/metalink/fedora/other");
    expect([busy.status, busy.headers.get("retry-after")]).toEqual([503, "9"]);
    expect((await openSite({ kind: "failure", status: 504, detail: "silent" })("/-/metalink/fedora/other")).status).toBe(504);
  });

  it("links to no host but its own", async () => {
    for (const kind of ["metalink", "mirrorlist"]) {
      const response = await openSite()(`/-/${kind}/fedora/a+b`, "evil.example");
      expect(response.status).toBe(421);
      expect(await response.text()).not.toContain("evil");
    }
  });

  it("tells nothing of a mirror that the client may not read, of an unknown one, or without one", async () => {
    for (const kind of ["metalink", "mirrorlist"]) {
      expect((await openSite(undefined, new Response("no", { status: 401 }))(`/-/${kind}/fedora/a+b`)).status).toBe(401);
      expect((await openSite()(`/-/${kind}/nothing/a+b`)).status).toBe(404);
      expect((await openSite()(`/-/${kind}/`)).status).toBe(404);
    }
  });
});
