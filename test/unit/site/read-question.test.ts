import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/parse-config.ts";
import { readQuestion } from "../../../src/site/read-question.ts";

const parsed = parseConfig({
  MIRRORS: {
    debian: { distro: "debian", upstreams: ["https://deb.example/debian", "https://two.example/"] },
    fedora: { distro: "fedora", upstreams: ["https://two.example/pub/fedora/"], hosts: ["fedora.lan"] },
  },
});
if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
const { config } = parsed;
const FILE = "debian/pool/c/c%2B%2B_1.0.deb";

describe("what an operator asks of /-/why", () => {
  it.each([
    ["debian/pool/c/c++_1.0.deb", FILE],
    ["  /debian/pool/c/c%2b%2b_1.0.deb\n", FILE],
    ["http://mirror.lan:8787/debian/pool/c/c++_1.0.deb", FILE],
    ["https://mirror.lan/-/why/debian/pool/c/c%2B%2B_1.0.deb", FILE],
    ["http://mirror.lan/-/instances/2/-/why/debian/pool/c/c++_1.0.deb", FILE],
    ["https://deb.example/debian/pool/c/c++_1.0.deb", FILE],
    ["http://DEB.example/debian/pool/c/c++_1.0.deb", FILE],
    ["deb.example/debian/pool/c/c++_1.0.deb", FILE],
    ["https://two.example/pub/fedora/x.rpm", "fedora/x.rpm"],
    ["https://two.example/pool/x.deb", "debian/pool/x.deb"],
    ["http://fedora.lan/x.rpm", "fedora/x.rpm"],
    ["fedora", "fedora/"],
  ])("%s is a file", (text, path) => {
    expect(readQuestion(config, text)).toEqual({ kind: "file", path });
  });

  it.each(["pool/x.deb", "/pool/x.deb", "http://other.example/pool/x.deb"])("%s may be meant below each mirror", (text) => {
    expect(readQuestion(config, text)).toEqual({ kind: "unclear", meant: ["debian/pool/x.deb", "fedora/pool/x.deb"] });
  });

  it("names the mirrors where nothing was asked, and no path that leads out of one", () => {
    expect(readQuestion(config, "")).toEqual({ kind: "unclear", meant: ["debian/", "fedora/"] });
    expect(readQuestion(config, "../../etc/passwd")).toEqual({ kind: "unclear", meant: [] });
  });
});
