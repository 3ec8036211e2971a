import { describe, expect, it } from "vitest";
import { createTroubles, type TroubleLine } from "../../../src/watch/troubles.ts";

function groupsOf(lines: readonly Omit<TroubleLine, "at">[]) {
  const troubles = createTroubles();
  for (const [at, line] of lines.entries()) troubles.add({ ...line, at });
  return troubles.groups().map(({ where, count, since, at }) => ({ where, count, since, at }));
}

describe("troubles", () => {
  it("of one upstream and one reason are one, with the newest as its example", () => {
    const cause = (path: string, port: number) => `${path}: connect ECONNREFUSED 192.0.2.1:${port}`;
    const lines = ["pool/a_1.deb", "pool/b/b_2.deb", "dists/sid/InRelease"].map((path, at) => ({
      where: "https://one.example/debian",
      kind: "fault" as const,
      cause: cause(path, 40_000 + at),
    }));
    expect(groupsOf(lines)).toEqual([{ where: "https://one.example/debian", count: 3, since: 0, at: 2 }]);
  });

  it("of one mirror are one where only the path, a digest or a number differs", () => {
    const answer = (path: string) => ({
      where: `debian/${path}`,
      kind: "answer" as const,
      cause: `502: fwd=miss; detail="Cannot fetch /${path}: https://one.example/debian answered 500"`,
    });
    expect(groupsOf([answer("pool/a.deb"), answer("pool/c/c++_1.deb")])).toEqual([
      { where: "debian/pool/c/c++_1.deb", count: 2, since: 0, at: 1 },
    ]);
    const refused = (digest: string) => ({
      where: "debian/x",
      kind: "refused" as const,
      cause: `https://one.example: SHA-256 is ${digest}`,
    });
    expect(groupsOf([refused("a1".repeat(32)), refused("b2".repeat(32))])).toHaveLength(1);
  });

  it("stay apart by mirror, upstream, kind and reason", () => {
    const base = { where: "debian/a", kind: "refused", cause: "too short" } as const;
    const others = [{ where: "fedora/a" }, { kind: "cut" as const }, { cause: "no archive" }, { where: "https://one.example/debian" }];
    expect(groupsOf([base, ...others.map((other) => ({ ...base, ...other }))])).toHaveLength(5);
  });

  it("that come back a thousand times push no other one out", () => {
    const many = Array.from({ length: 1_000 }, (_, at) => ({ where: `debian/${at}`, kind: "cut" as const, cause: `client left at ${at}` }));
    expect(groupsOf([{ where: "fedora/x", kind: "rotten", cause: "changed" }, ...many])).toEqual([
      { where: "debian/999", count: 1_000, since: 1, at: 1_000 },
      { where: "fedora/x", count: 1, since: 0, at: 0 },
    ]);
  });

  it("of one reason are named for each file as well, the latest ten", () => {
    const troubles = createTroubles();
    const rotten = (at: number, path: string) => ({
      at,
      where: `debian/${path}`,
      kind: "rotten" as const,
      cause: "a byte changed at rest",
    });
    for (const [at, path] of ["a.deb", "b.deb", "a.deb"].entries()) troubles.add(rotten(at, path));
    const places = troubles.places().map(({ where, count, since, at }) => ({ where, count, since, at }));
    expect(places).toEqual([
      { where: "debian/a.deb", count: 2, since: 0, at: 2 },
      { where: "debian/b.deb", count: 1, since: 1, at: 1 },
    ]);
    for (let at = 10; at < 1000; at++) troubles.add(rotten(at, `${at}.deb`));
    expect(troubles.places().map(({ where }) => where)).toEqual(Array.from({ length: 10 }, (_, at) => `debian/${999 - at}.deb`));
    expect(troubles.groups()).toMatchObject([{ count: 993 }]);
  });
});
