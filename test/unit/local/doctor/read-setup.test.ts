import { describe, expect, it } from "vitest";
import { createApp } from "../../../../src/app.ts";
import { readListing, readSetup, readSetupList, releasesToTry } from "../../../../src/local/doctor/read-setup.ts";
import { siteDependencies } from "../../site/site.ts";

const SITE = "http://127.0.0.1:8787";

/** A page as the site gives it to a program. */
async function pageOf(path: string, vars: Record<string, unknown> = {}): Promise<string> {
  const response = await createApp(siteDependencies(vars)).fetch(
    new Request(`http://127.0.0.1${path}`, { headers: { host: "127.0.0.1:8787" } }),
  );
  return response.text();
}

describe("the setup pages of this version", () => {
  it("list the mirrors", async () => {
    expect(readSetupList(await pageOf("/-/setup"))).toEqual([
      "fedora",
      "opensuse",
      "debian",
      "debian-security",
      "archlinux",
      "alpine",
      "koji",
      "plain",
    ]);
  });

  it.each([
    ["fedora", "rpm-md", `${SITE}/fedora/releases`, "{release}/Everything/x86_64/os/repodata/repomd.xml"],
    ["opensuse", "rpm-md", `${SITE}/opensuse/tumbleweed/repo/oss`, "repodata/repomd.xml"],
    ["debian", "deb", `${SITE}/debian`, "dists/{release}/InRelease"],
    ["archlinux", "pacman", `${SITE}/archlinux`, "core/os/x86_64/core.db"],
    ["alpine", "apk", `${SITE}/alpine`, "{release}/main/x86_64/APKINDEX.tar.gz"],
    ["koji?for=mock", "rpm-md", `${SITE}/koji/repos/f43-build/latest/x86_64`, "repodata/repomd.xml"],
    ["plain", "url", `${SITE}/plain`, ""],
  ])("of %s lead to its repository", async (mirror, kind, base, root) => {
    expect(readSetup(await pageOf(`/-/setup/${mirror}`))[0]).toMatchObject({ kind, base, root });
  });

  it("of debian lead to the security archive too, and have the example's release", async () => {
    expect(readSetup(await pageOf("/-/setup/debian")).map(({ base, release }) => [base, release])).toEqual([
      [`${SITE}/debian`, "trixie"],
      [`${SITE}/debian-security`, "trixie-security"],
    ]);
  });

  it.each(["ubuntu", "epel", "centos-stream", "rocky", "almalinux"])("of %s can be read", async (distro) => {
    const vars = { MIRRORS: { one: { upstreams: ["http://one.example/tree"], distro } } };
    expect(readSetup(await pageOf("/-/setup/one", vars))).toMatchObject([{ kind: distro === "ubuntu" ? "deb" : "rpm-md" }]);
  });
});

describe("a listing", () => {
  it("gives the names that it links to, and no others", () => {
    const html = `<a href="../">Parent</a> <a href="?C=N;O=D">Name</a> <a href="/icons/">x</a> <a href="41/">41/</a>
      <a href='./43/'>43/</a> <a href="a%2Bb.deb">a+b</a> <a href="https://other.example/">x</a> <a href="43/">again</a>`;
    expect(readListing(html)).toEqual(["41/", "43/", "a%2Bb.deb"]);
  });

  it("has the newest release first after the given one, by number", () => {
    expect(releasesToTry("", ["v3.9/", "edge/", "v3.22/", "notes.txt"])).toEqual(["v3.22", "v3.9", "edge"]);
    expect(releasesToTry("trixie", ["sid/", "trixie/"])).toEqual(["trixie", "sid"]);
  });
});
