import { expect, it } from "vitest";
import { parseConfig } from "../../../src/config/parse-config.ts";
import { publicHostOf } from "../../../src/config/public-host.ts";

function publicHost(...hosts: string[][]): string | undefined {
  const MIRRORS = Object.fromEntries(hosts.map((own, at) => [`m${at}`, { upstreams: ["https://one.example"], hosts: own }]));
  const parsed = parseConfig({ MIRRORS });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return publicHostOf(parsed.config);
}

it.each<[string[][], string | undefined]>([
  [[["fedora.mirror.org", "debian.mirror.org"]], "fedora.mirror.org"],
  [[["fedora.*"], ["debian.mirror.org"]], "debian.mirror.org"],
  [
    [["localhost", "fedora.test", "mirror.lan", "nas.home.arpa", "192.0.2.7", "mirror", "nas.home", "deb.intranet"], ["mirror.org"]],
    "mirror.org",
  ],
  [[["fedora.*", "a.localhost", "mirror.internal", "b.local"]], undefined],
])("the first public host of %j is %s", (hosts, expected) => {
  expect(publicHost(...hosts)).toBe(expected);
});
