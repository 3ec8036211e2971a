import { describe, expect, test } from "vitest";
import type { RootStanding } from "../../../../src/watch/history.ts";
import { clearsigned, packages, release, repomd, sha256, signatureInForm } from "../samples.ts";
import { createWorld, DAY, type Files, HOUR, ONE, type PathRepository, TWO, type World } from "../world.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const T = Date.UTC(2025, 11, 31) / SECOND;
const ROOT = "os/repodata/repomd.xml";
const SUITE = "dists/sid";
const IN_RELEASE = `${SUITE}/InRelease`;
const AMD64 = "main/binary-amd64/Packages";

/** An rpm repository: type → content, each in a file whose name carries its digest. */
function rpm(revision: number, data: Readonly<Record<string, string>>): Files {
  const href = (type: string, content: string) => `repodata/${sha256(content)}-${type}.xml.gz`;
  const entries = Object.entries(data);
  return {
    [ROOT]: repomd({ revision, data: Object.fromEntries(entries.map(([type, content]) => [type, [href(type, content), content]])) }),
    ...Object.fromEntries(entries.map(([type, content]) => [`os/${href(type, content)}`, content])),
  };
}
const fileOf = (type: string, content: string): string => `os/repodata/${sha256(content)}-${type}.xml.gz`;

/** A suite: path below it → content. `absent`: named, and not there. */
function deb(
  date: number,
  files: Readonly<Record<string, string>>,
  options: { validUntil?: number; absent?: readonly string[] } = {},
): Files {
  const { validUntil, absent = [] } = options;
  const there = Object.entries(files).filter(([path]) => !absent.includes(path));
  return {
    [IN_RELEASE]: clearsigned(release({ date, files, ...(validUntil === undefined ? {} : { validUntil }) })),
    ...Object.fromEntries(there.map(([path, content]) => [`${SUITE}/${path}`, content])),
  };
}
const index = (mark: string): string => packages({ [`pool/${mark}.deb`]: mark });
const without = (files: Files, ...paths: string[]): Files =>
  Object.fromEntries(Object.entries(files).filter(([path]) => !paths.includes(path)));
const last = (world: World): RootStanding | null | undefined => world.standings.at(-1)?.[1];

async function open(first: Files, upstreams: readonly string[] = [ONE], options: Parameters<World["repository"]>[0] = {}) {
  const world = createWorld(upstreams);
  for (const url of upstreams) world.origins[url] = first;
  const repository = world.repository(options);
  return { world, repository };
}

/** When the upstreams were last asked for the only root; never again where none is held. */
function triedAt({ kept }: World): number {
  const key = kept.keys().find((name) => name.startsWith("standing:"));
  return key === undefined ? Infinity : (JSON.parse(kept.load(key) ?? "{}") as { triedAt: number }).triedAt;
}

/** Asks every ten minutes, and at the end, until `ms` have passed. */
async function goOn(world: World, repository: PathRepository, path: string, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10 * MINUTE) {
    world.now += Math.min(left, 10 * MINUTE);
    await repository.resolve(path);
    // A known sync is tried again behind the answer.
    do await new Promise((resolve) => setImmediate(resolve));
    while (world.now - triedAt(world) >= MINUTE);
  }
}

describe("a file that clients can do without and that is named and not there", () => {
  test("is a hole at once: the generation is adopted, and the next one too", async () => {
    const { world, repository } = await open(without(rpm(T, { primary: "p1", other: "o1" }), fileOf("other", "o1")));
    await repository.resolve(ROOT);
    for (const n of [2, 3]) {
      const next = rpm(T + n, { primary: `p${n}`, other: `o${n}` });
      world.origins[ONE] = without(next, fileOf("other", `o${n}`));
      world.now += 61 * SECOND;
      expect(await repository.resolve(ROOT)).toMatchObject({ state: "revalidated" });
      expect(await world.read(repository, ROOT)).toBe(next[ROOT]);
      expect(last(world)).toMatchObject({
        trouble: null,
        hold: null,
        holes: [{ path: fileOf("other", `o${n}`), reason: expect.stringContaining("named but not there"), since: world.now }],
      });
    }
  });

  test("is asked for again at each request, and no hole any more once a client got it, over restarts", async () => {
    const all = rpm(T, { primary: "p1", other: "o1" });
    const other = fileOf("other", "o1");
    const { world, repository } = await open(without(all, other));
    await repository.resolve(ROOT);
    const restarted = world.repository();
    for (let n = 0; n < 2; n++) {
      world.requests.length = 0;
      expect(await world.read(restarted, other)).toBe("absent");
      expect(world.requests).toContain(`one ${other}`);
    }
    world.origins[ONE] = all;
    expect(await world.read(restarted, other)).toBe("o1");
    expect(last(world)?.holes).toEqual([]);
  });

  test("with other bytes than named is answered 502, and not counted as got", async () => {
    const primary = ["repodata/primary.xml.gz", "p1"] as const;
    const make = (revision: number, listed: string): Files => ({
      [ROOT]: repomd({ revision, data: { primary, filelists: ["repodata/filelists.xml.gz", listed] } }),
      "os/repodata/primary.xml.gz": "p1",
      "os/repodata/filelists.xml.gz": "wrong",
    });
    const { world, repository } = await open(make(T, "f1"));
    await repository.resolve(ROOT);
    expect(await world.read(repository, "os/repodata/filelists.xml.gz")).toBe("failure 502");
    world.origins[ONE] = make(T + 1, "f2");
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(make(T + 1, "f2")[ROOT]);
    expect(last(world)?.holes).toMatchObject([{ path: "os/repodata/filelists.xml.gz" }]);
  });

  test("of a deb repository is one of Translation, Contents and the like, also where clients got them", async () => {
    const files = (mark: string) => ({ [AMD64]: index(mark), "main/i18n/Translation-en": `t${mark}`, "main/Contents-amd64": `c${mark}` });
    const { world, repository } = await open(deb(T, files("a")));
    await repository.resolve(IN_RELEASE);
    for (const path of Object.keys(files("a"))) expect((await repository.resolve(`${SUITE}/${path}`)).kind).toBe("object");
    const next = deb(T + 1, files("b"), { absent: ["main/i18n/Translation-en", "main/Contents-amd64"] });
    world.origins[ONE] = next;
    world.now += 61 * SECOND;
    expect(await world.read(repository, IN_RELEASE)).toBe(next[IN_RELEASE]);
    expect(
      last(world)
        ?.holes.map(({ path }) => path)
        .toSorted(),
    ).toEqual([`${SUITE}/main/Contents-amd64`, `${SUITE}/main/i18n/Translation-en`]);
  });
});

describe("one form of a file", () => {
  const forms = (mark: string) => ({ [AMD64]: index(mark), [`${AMD64}.gz`]: `gz ${mark}`, [`${AMD64}.xz`]: `xz ${mark}` });
  const make = (n: number): Files => deb(T + n, forms(String(n)), { absent: [AMD64] });

  test("that is absent while another is there holds nothing back and is no hole, also if a client asked for it", async () => {
    const { world, repository } = await open(make(1));
    await repository.resolve(IN_RELEASE);
    expect(await world.read(repository, `${SUITE}/${AMD64}`)).toBe("absent");
    expect(await world.read(repository, `${SUITE}/${AMD64}.xz`)).toBe("xz 1");
    world.origins[ONE] = make(2);
    world.now += 61 * SECOND;
    expect(await world.read(repository, IN_RELEASE)).toBe(make(2)[IN_RELEASE]);
    expect(last(world)).toMatchObject({ hold: null, holes: [] });
    world.requests.length = 0;
    expect(await world.read(repository, `${SUITE}/${AMD64}.xz`)).toBe("xz 2");
    expect(world.requests).toEqual([]);
  });

  test("that clients used may be gone where another is there", async () => {
    const { world, repository } = await open(make(1));
    await repository.resolve(IN_RELEASE);
    await repository.resolve(`${SUITE}/${AMD64}.xz`);
    world.origins[ONE] = without(make(2), `${SUITE}/${AMD64}.xz`);
    world.now += 61 * SECOND;
    expect(await world.read(repository, IN_RELEASE)).toBe(make(2)[IN_RELEASE]);
  });

  test("that an earlier version noted as used, though it was never there, freezes nothing", async () => {
    const { world, repository } = await open(deb(T, { [AMD64]: index("a") }, { absent: [AMD64] }));
    world.kept.save(`used:${SUITE}/${AMD64}`, String(world.now));
    await repository.resolve(IN_RELEASE);
    const next = deb(T + 1, { [AMD64]: index("b") }, { absent: [AMD64] });
    world.origins[ONE] = next;
    world.now += 61 * SECOND;
    expect(await world.read(repository, IN_RELEASE)).toBe(next[IN_RELEASE]);
  });
});

describe("a file that clients cannot do without", () => {
  const make = (n: number, absent: readonly string[] = []): Files => {
    const data = { primary: `p${n}`, filelists: `f${n}` };
    return without(rpm(T + n, data), ...absent.map((type) => fileOf(type, data[type as "primary"])));
  };

  test.each([
    ["primary.xml, always,", "primary", false],
    ["filelists.xml, once a client got it,", "filelists", true],
  ] as const)(
    "%s holds the next generation back for seven days, says why and until when, and is then a hole",
    async (_name, type, isGot) => {
      const { world, repository } = await open(make(1));
      await repository.resolve(ROOT);
      if (isGot) await repository.resolve(fileOf(type, "f1"));
      world.origins[ONE] = make(2, [type]);
      world.now += 61 * SECOND;
      const since = world.now;
      const hold = { kind: "needed", upstream: ONE, since, until: since + 7 * DAY, reason: expect.stringContaining("named but not there") };
      expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale", detail: expect.stringContaining("not there"), hold });
      expect(last(world)).toMatchObject({ behindSince: since, hold });
      await goOn(world, repository, ROOT, 7 * DAY - HOUR);
      expect(await world.read(repository, ROOT)).toBe(make(1)[ROOT]);
      expect(world.logs.filter((line) => line.includes("not there"))).toHaveLength(1);
      await goOn(world, repository, ROOT, 2 * HOUR);
      expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
      expect(last(world)).toMatchObject({ trouble: null, hold: null, holes: [{ path: fileOf(type, type === "primary" ? "p2" : "f2") }] });
      expect(world.logs.filter((line) => line.includes("no longer held back"))).toHaveLength(1);
      // What the published generation lacks is not defended any more.
      world.origins[ONE] = make(3, [type]);
      world.now += 61 * SECOND;
      expect(await world.read(repository, ROOT)).toBe(make(3)[ROOT]);
    },
  );

  test("that gets no answer for seven days is not waited for once more as a sync", async () => {
    const { world, repository } = await open(rpm(T, { primary: "p1" }));
    await repository.resolve(ROOT);
    const next = rpm(T + 1, { primary: "p2" });
    world.origins[ONE] = next;
    world.faults.set(`${ONE} ${fileOf("primary", "p2")}`, "fails");
    world.now += 61 * SECOND;
    expect(await repository.resolve(ROOT)).toMatchObject({ hold: { kind: "needed" } });
    await goOn(world, repository, ROOT, 7 * DAY);
    expect(await world.read(repository, ROOT)).toBe(next[ROOT]);
  });

  test("that comes ends the hold", async () => {
    const { world, repository } = await open(make(1));
    await repository.resolve(ROOT);
    world.origins[ONE] = make(2, ["primary"]);
    await goOn(world, repository, ROOT, HOUR);
    world.origins[ONE] = make(2);
    await goOn(world, repository, ROOT, 10 * MINUTE);
    expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
    expect(last(world)).toMatchObject({ behindSince: null, hold: null });
  });

  test("and that clients got more than 30 days ago holds nothing back", async () => {
    const { world, repository } = await open(make(1));
    await repository.resolve(ROOT);
    await repository.resolve(fileOf("filelists", "f1"));
    world.now += 31 * DAY;
    world.origins[ONE] = make(2, ["filelists"]);
    expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
  });

  test("answered 403, where the root is served, is absent", async () => {
    const { world, repository } = await open(make(1));
    await repository.resolve(ROOT);
    world.origins[ONE] = make(2);
    world.faults.set(`${ONE} ${fileOf("filelists", "f2")}`, 403);
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
    expect(last(world)?.holes).toMatchObject([{ path: fileOf("filelists", "f2") }]);
  });

  test("is not counted as got by a client that got 404", async () => {
    const { world, repository } = await open(make(1, ["filelists"]));
    await repository.resolve(ROOT);
    expect(await world.read(repository, fileOf("filelists", "f1"))).toBe("absent");
    world.origins[ONE] = make(2, ["filelists"]);
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
  });

  test("of a deb repository, known by a by-hash request, holds back until the held Valid-Until", async () => {
    const validUntil = T + 3 * 86_400;
    const byHash = `${SUITE}/main/binary-amd64/by-hash/SHA256/${sha256(index("a"))}`;
    const first = deb(T, { [AMD64]: index("a") }, { validUntil });
    const { world, repository } = await open({ ...first, [byHash]: index("a") });
    await repository.resolve(IN_RELEASE);
    expect(await world.read(repository, byHash)).toBe(index("a"));
    const next = deb(T + 1, { [AMD64]: index("b") }, { validUntil: validUntil + 86_400, absent: [AMD64] });
    world.origins[ONE] = next;
    world.now += 61 * SECOND;
    expect(await repository.resolve(IN_RELEASE)).toMatchObject({ state: "stale", hold: { kind: "needed", until: validUntil * SECOND } });
    world.now = validUntil * SECOND + 1;
    await goOn(world, repository, IN_RELEASE, MINUTE);
    expect(await world.read(repository, IN_RELEASE)).toBe(next[IN_RELEASE]);
  });

  test("is lacked by the first client, if no upstream has it: what there is is published", async () => {
    const { world, repository } = await open(make(1, ["primary"]), [ONE, TWO]);
    world.origins[TWO] = {};
    expect(await world.read(repository, ROOT)).toBe(make(1)[ROOT]);
  });
});

describe("waiting for a sync ends after DOUBT_SECONDS", () => {
  const make = (n: number): Files => {
    const files = rpm(T + n, { primary: `p${n}`, filelists: `f${n}` });
    return { ...files, [`${ROOT}.asc`]: signatureInForm(String(files[ROOT])) };
  };
  const states: readonly (readonly [name: string, begin: (world: World) => Files])[] = [
    [
      "another member that cannot be fetched just now",
      (world) => {
        world.faults.set(`${ONE} ${fileOf("filelists", "f2")}`, "fails");
        return make(2);
      },
    ],
    ["a signature that belongs to another version", () => ({ ...make(2), [`${ROOT}.asc`]: signatureInForm("another") })],
    [
      "a signature that cannot be fetched just now",
      (world) => {
        world.faults.set(`${ONE} ${ROOT}.asc`, "fails");
        return make(2);
      },
    ],
  ];

  test.each(states)("%s", async (_name, begin) => {
    const { world, repository } = await open(make(1));
    await repository.resolve(ROOT);
    world.origins[ONE] = begin(world);
    world.now += 61 * SECOND;
    const since = world.now;
    expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale", hold: { kind: "sync", since, until: since + 600 * SECOND } });
    await goOn(world, repository, ROOT, 590 * SECOND);
    expect(await world.read(repository, ROOT)).toBe(make(1)[ROOT]);
    await goOn(world, repository, ROOT, 61 * SECOND);
    expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
    expect(await repository.resolve(ROOT)).toMatchObject({ kind: "object", state: expect.stringMatching(/fresh|revalidated/) });
    const published = world.logs.filter((line) => line.includes("published")).length;
    await goOn(world, repository, ROOT, HOUR);
    expect(world.logs.filter((line) => line.includes("published"))).toHaveLength(published);
  });

  test("and a member that fails for good delays one generation, not each", async () => {
    const { world, repository } = await open(make(1));
    await repository.resolve(ROOT);
    for (const n of [2, 3]) world.faults.set(`${ONE} ${fileOf("filelists", `f${n}`)}`, "fails");
    world.origins[ONE] = make(2);
    await goOn(world, repository, ROOT, 20 * MINUTE);
    expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
    world.origins[ONE] = make(3);
    world.now += 61 * SECOND;
    expect(await repository.resolve(ROOT)).toMatchObject({ state: "revalidated" });
    expect(await world.read(repository, ROOT)).toBe(make(3)[ROOT]);
  });

  test("and at once where it is 0", async () => {
    const { world, repository } = await open(make(1), [ONE], { doubt: 0 });
    await repository.resolve(ROOT);
    world.origins[ONE] = { ...make(2), [`${ROOT}.asc`]: signatureInForm("another") };
    world.now += 61 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(make(2)[ROOT]);
  });

  test("a restart does not begin it anew", async () => {
    const { world, repository } = await open(make(1));
    await repository.resolve(ROOT);
    world.origins[ONE] = { ...make(2), [`${ROOT}.asc`]: signatureInForm("another") };
    await goOn(world, repository, ROOT, 61 * SECOND);
    world.now += 601 * SECOND;
    const restarted = world.repository();
    await goOn(world, restarted, ROOT, MINUTE);
    expect(await world.read(restarted, ROOT)).toBe(make(2)[ROOT]);
  });
});

describe("a doubt ends after an hour", () => {
  const good = deb(T, { [AMD64]: index("a") }, { validUntil: T + 30 * 86_400 });
  const signed: Files = { ...rpm(T, { primary: "p1" }), [`${ROOT}.asc`]: "signature" };
  test.each<[name: string, path: string, first: Files, then: Files, kind: string, after: string]>([
    ["an older root", ROOT, rpm(T, { primary: "a" }), rpm(T - 9, { primary: "z" }), "older", "new"],
    ["a root of the far future", ROOT, rpm(T, { primary: "a" }), rpm(9_999_999_999, { primary: "z" }), "future", "new"],
    ["a malformed root", ROOT, rpm(T, { primary: "a" }), { [ROOT]: "<html>maintenance</html>" }, "malformed", "opaque"],
    [
      "an HTML page in place of a database",
      "os/core.db",
      { "os/core.db": "db1" },
      { "os/core.db": "<html>busy</html>" },
      "malformed",
      "opaque",
    ],
    ["a root past its Valid-Until", IN_RELEASE, good, deb(T + 1, { [AMD64]: index("b") }, { validUntil: T + 2 }), "expired", "new"],
    ["a root whose signature is gone", ROOT, signed, rpm(T + 1, { primary: "p2" }), "unsigned", "new"],
    ["a root that is gone", ROOT, rpm(T, { primary: "a" }), {}, "gone", "absent"],
  ])("%s", async (_name, path, first, then, kind, after) => {
    const { world, repository } = await open(first);
    await repository.resolve(path);
    world.origins[ONE] = then;
    world.now += 61 * SECOND;
    const since = world.now;
    expect(await repository.resolve(path)).toMatchObject({ state: "stale", hold: { kind, since, until: since + HOUR } });
    await goOn(world, repository, path, HOUR - MINUTE);
    expect(await world.read(repository, path)).toBe(first[path]);
    expect(world.logs.filter((line) => line.startsWith("warn: m: cannot adopt"))).toHaveLength(1);
    await goOn(world, repository, path, 2 * MINUTE);
    expect(await world.read(repository, path)).toBe(after === "new" ? then[path] : after);
    expect(last(world)).toEqual(after === "new" ? expect.objectContaining({ trouble: null, hold: null }) : null);
  });

  test("403 for a root that is held is no word that it is gone: it is served until an upstream answers", async () => {
    const { world, repository } = await open(rpm(T, { primary: "a" }));
    await repository.resolve(ROOT);
    world.faults.set(`${ONE} ${ROOT}`, 403);
    await goOn(world, repository, ROOT, 5 * HOUR);
    expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale", hold: { kind: "unreachable" } });
  });
});

test("a root of the far future, adopted while the first upstream was down, gives way as soon as that one is back", async () => {
  const { world, repository } = await open(rpm(T, { primary: "a" }), [ONE, TWO]);
  world.origins[ONE] = null;
  world.origins[TWO] = rpm(9_999_999_999, { primary: "z" });
  await repository.resolve(ROOT);
  expect(await world.read(repository, ROOT)).toContain("9999999999");
  world.origins[ONE] = rpm(T, { primary: "a" });
  world.now += 61 * SECOND;
  expect(await world.read(repository, ROOT)).toBe(rpm(T, { primary: "a" })[ROOT]);
});

test("a store that lost the held root, and upstreams that have only a newer one that would be held back: what there is is published", async () => {
  const { world, repository } = await open(rpm(T, { primary: "a" }));
  const found = await repository.resolve(ROOT);
  if (found.kind !== "object") throw new Error(found.kind);
  world.store.objects.delete(found.key);
  const next = rpm(T + 1, { primary: "b" });
  world.origins[ONE] = without(next, fileOf("primary", "b"));
  expect(await repository.resolve(ROOT, found.key)).toMatchObject({ kind: "object" });
  expect(await world.read(repository, ROOT)).toBe(next[ROOT]);
});

test("state of a version that knew neither holds nor holes loads", async () => {
  const { world, repository } = await open(rpm(T, { primary: "a" }));
  await repository.resolve(ROOT);
  const standing = { confirmedAt: world.now, triedAt: world.now, trouble: null, halfWay: false, doubtSince: null, behindSince: null };
  world.kept.save("standing:os/repodata", JSON.stringify(standing));
  const restarted = world.repository();
  expect(await restarted.resolve(ROOT)).toMatchObject({ state: "fresh" });
  world.origins[ONE] = without(rpm(T + 1, { primary: "b" }), fileOf("primary", "b"));
  world.now += 61 * SECOND;
  expect(await restarted.resolve(ROOT)).toMatchObject({ state: "stale", hold: { kind: "needed" } });
});

describe("two upstreams, the first preferred", () => {
  const old = rpm(T - 100, { primary: "old" });
  const held = rpm(T, { primary: "held" });
  const next = rpm(T + 100, { primary: "next" });
  const broken = without(next, fileOf("primary", "next"));
  const newest = rpm(T + 200, { primary: "newest" });
  const rubbish: Files = { [ROOT]: "<html>maintenance</html>" };
  const unsigned = next;
  const signedAndBroken = without({ ...newest, [`${ROOT}.asc`]: "s" }, fileOf("primary", "newest"));

  interface Phase {
    readonly one?: Files | null;
    readonly two?: Files | null;
    readonly for: number;
    readonly serves: Files;
    /** At the end of the phase; `stale` names the hold. */
    readonly state: "current" | RegExp;
  }
  const worlds: readonly (readonly [name: string, phases: readonly Phase[]])[] = [
    ["both current", [{ for: DAY, serves: held, state: "current" }]],
    ["the first ahead, the second behind for a day", [{ one: next, for: DAY, serves: next, state: "current" }]],
    [
      "the first ahead with a file missing, the second behind: its 304 confirms nothing",
      [
        { one: broken, for: MINUTE, serves: held, state: /needed/ },
        { for: 7 * DAY - HOUR, serves: held, state: /needed/ },
        { for: 2 * HOUR, serves: next, state: "current" },
        { for: DAY, serves: next, state: "current" },
      ],
    ],
    [
      "the first ahead with a file missing, then the second whole",
      [
        { one: broken, for: HOUR, serves: held, state: /needed/ },
        { two: next, for: HOUR, serves: next, state: "current" },
      ],
    ],
    [
      "the first ahead with a file missing, then dead for good, the second behind: until the hold's time is over it is known to be behind",
      [
        { one: broken, for: HOUR, serves: held, state: /needed/ },
        { one: null, for: HOUR, serves: held, state: /needed/ },
        { for: 7 * DAY, serves: held, state: "current" },
        { two: next, for: HOUR, serves: next, state: "current" },
      ],
    ],
    [
      "the first dead",
      [
        { one: null, for: DAY, serves: held, state: "current" },
        { two: next, for: HOUR, serves: next, state: "current" },
      ],
    ],
    [
      "the first serving rubbish for ever, the second current: an hour of doubt, and no more of it with later generations",
      [
        { one: rubbish, for: HOUR - 10 * MINUTE, serves: held, state: /malformed/ },
        { for: 20 * MINUTE, serves: held, state: "current" },
        { two: next, for: HOUR, serves: next, state: "current" },
        { for: DAY, serves: next, state: "current" },
        { two: newest, for: 10 * MINUTE, serves: newest, state: "current" },
        { for: DAY, serves: newest, state: "current" },
      ],
    ],
    [
      "the first serving rubbish, the second dead too: rubbish it is after an hour, as for who asks directly",
      [
        { one: rubbish, two: null, for: HOUR - 10 * MINUTE, serves: held, state: /malformed/ },
        { for: 20 * MINUTE, serves: {}, state: /opaque/ },
        { one: next, for: MINUTE, serves: next, state: "current" },
      ],
    ],
    [
      "the first frozen at an old state for ever, the second current",
      [
        { one: old, for: DAY, serves: held, state: "current" },
        { two: next, for: DAY, serves: next, state: "current" },
      ],
    ],
    [
      "both go back to an old state: believed after an hour of both",
      [
        { one: old, for: DAY, serves: held, state: "current" },
        { two: old, for: HOUR, serves: held, state: /older/ },
        { for: 20 * MINUTE, serves: old, state: "current" },
      ],
    ],
    [
      "the first frozen, the second current and then dead: the old state only after an hour without the second, and forward as soon as it is back",
      [
        { one: old, for: DAY, serves: held, state: "current" },
        { two: null, for: HOUR, serves: held, state: /older/ },
        { for: 20 * MINUTE, serves: old, state: "current" },
        { two: held, for: MINUTE, serves: held, state: "current" },
        { for: DAY, serves: held, state: "current" },
      ],
    ],
    ["the root gone on the first only", [{ one: {}, for: DAY, serves: held, state: "current" }]],
    [
      "the root gone on both",
      [
        { one: {}, two: {}, for: HOUR, serves: held, state: /gone/ },
        { for: 20 * MINUTE, serves: {}, state: /absent/ },
      ],
    ],
    [
      "a newer root without its signature on the first, the second behind: an hour of doubt; then the second's word counts",
      [
        { one: unsigned, two: { ...held, [`${ROOT}.asc`]: "s" }, for: HOUR - 10 * MINUTE, serves: held, state: /unsigned/ },
        { for: 20 * MINUTE, serves: held, state: "current" },
      ],
    ],
    [
      "a newer root without its signature on the first, and one with a file missing on the second: the first's after an hour, as clients of it get it",
      [
        { one: unsigned, two: signedAndBroken, for: HOUR - 10 * MINUTE, serves: held, state: /unsigned|needed/ },
        { for: 20 * MINUTE, serves: unsigned, state: "current" },
        { for: 8 * DAY, serves: unsigned, state: "current" },
      ],
    ],
    [
      "a file missing on the first, and an old state on the second: nothing goes back for that",
      [
        { one: broken, two: old, for: 7 * DAY - HOUR, serves: held, state: /needed/ },
        { for: 2 * HOUR, serves: next, state: "current" },
      ],
    ],
  ];

  test.each(worlds)("%s", async (name, phases) => {
    const first = name.includes("signature") ? { ...held, [`${ROOT}.asc`]: "s" } : held;
    const { world, repository } = await open(first, [ONE, TWO]);
    await repository.resolve(ROOT);
    for (const [at, phase] of phases.entries()) {
      if (phase.one !== undefined) world.origins[ONE] = phase.one;
      if (phase.two !== undefined) world.origins[TWO] = phase.two;
      await goOn(world, repository, ROOT, phase.for);
      const resolution = await repository.resolve(ROOT);
      const state =
        resolution.kind !== "object" ? resolution.kind : resolution.state === "stale" ? `stale: ${resolution.hold?.kind}` : "current";
      expect(`phase ${at}: ${state}`).toMatch(phase.state);
      if (resolution.kind === "object") expect(await world.read(repository, ROOT)).toBe(phase.serves[ROOT]);
      if (resolution.kind === "object") expect(last(world)?.hold === null).toBe(state === "current");
    }
  });
});
