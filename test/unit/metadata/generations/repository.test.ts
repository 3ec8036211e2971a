import { expect, test, vi } from "vitest";
import { clearsigned, packages, release, repomd, sha256, signatureInForm } from "../samples.ts";
import { createWorld, DAY, type Files, HOUR, ONE, settle, TWO, type World } from "../world.ts";

const ROOT = "os/repodata/repomd.xml";
const SECOND = 1000;
const T = Date.UTC(2025, 11, 31) / SECOND;

/** An rpm repository of one generation; `hashed` as createrepo names its files, else under one name for ever. */
function rpm(revision: number, mark: string, { hashed = true, extra = {} }: { hashed?: boolean; extra?: Files } = {}): Files {
  const content = `primary ${mark}`;
  const href = hashed ? `repodata/${sha256(content)}-primary.xml.gz` : "repodata/primary.xml.gz";
  return { [ROOT]: repomd({ revision, data: { primary: [href, content] } }), [`os/${href}`]: content, ...extra };
}

const SUITE = "dists/sid";
const PACKAGES = `${SUITE}/main/binary-amd64/Packages`;
function deb(date: number, mark: string, options: { validUntil?: number; byHash?: boolean; files?: Files } = {}): Files {
  const content = packages({ [`pool/${mark}.deb`]: mark });
  const text = release({
    date,
    byHash: options.byHash ?? true,
    files: { "main/binary-amd64/Packages": content },
    ...only(options.validUntil),
  });
  return {
    [`${SUITE}/InRelease`]: clearsigned(text),
    [`${SUITE}/Release`]: text,
    [PACKAGES]: content,
    [`${SUITE}/main/binary-amd64/by-hash/SHA256/${sha256(content)}`]: content,
    ...options.files,
  };
}
/** Waits for work that goes on behind an answer: the nth generation. */
const published = (world: World, count: number): Promise<void> =>
  vi.waitFor(() => expect(world.logs.filter((line) => line.includes("published a new generation"))).toHaveLength(count));
const only = (validUntil: number | undefined): { validUntil?: number } => (validUntil === undefined ? {} : { validUntil });

test("a first request publishes a whole generation, and a fresh one costs no upstream request", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = rpm(T, "a");
  const repository = world.repository();
  expect(await repository.resolve(ROOT)).toMatchObject({ kind: "object", state: "fetched", ageSeconds: 0 });
  const asked = world.requests.length;
  world.now += 30 * SECOND;
  expect(await repository.resolve(ROOT)).toMatchObject({ kind: "object", state: "fresh", ageSeconds: 30 });
  expect(await world.read(repository, `os/repodata/${sha256("primary a")}-primary.xml.gz`)).toBe("primary a");
  expect(await repository.resolve(`${ROOT}.asc`)).toEqual({ kind: "absent", status: 404 });
  expect(world.requests.slice(asked)).toEqual([`one ${ROOT}.asc`]);
});

test("on expiry a hundred clients cost one conditional fetch, and after a restart still one", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = rpm(T, "a");
  await world.repository().resolve(ROOT);
  const repository = world.repository();
  world.requests.length = 0;
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "fresh" });
  expect(world.requests).toEqual([]);
  world.now += 61 * SECOND;
  const states = await Promise.all(Array.from({ length: 100 }, () => repository.resolve(ROOT)));
  expect(new Set(states.map((one) => one.kind === "object" && one.state))).toEqual(new Set(["revalidated"]));
  expect(world.requests).toEqual([`one ${ROOT}`]);
});

test("a root that changes twice in one second, at the same length, is not taken for unchanged; later its entity tag is believed", async () => {
  const world = createWorld([ONE]);
  const repository = world.repository();
  world.changedAt = new Date(world.now).toUTCString();
  world.origins[ONE] = rpm(T, "a");
  await repository.resolve(ROOT);
  world.origins[ONE] = rpm(T + 1, "b");
  world.now += 61 * SECOND;
  expect(await world.read(repository, ROOT)).toContain(sha256("primary b"));
  // Fetched whole once more, a minute after its date: from then on a 304 is enough. (This upstream would say so of anything of that length.)
  world.changedAt = new Date(world.now - 30 * SECOND).toUTCString();
  world.origins[ONE] = rpm(T + 2, "c");
  world.now += 61 * SECOND;
  expect(await world.read(repository, ROOT)).toContain(sha256("primary c"));
  world.origins[ONE] = rpm(T + 3, "d");
  world.now += 61 * SECOND;
  expect(await world.read(repository, ROOT)).toContain(sha256("primary c"));
});

test("what was received right after a change is known for that also when its adoption took long", async () => {
  const world = createWorld([ONE]);
  const { ensureStored } = world;
  const slow: typeof ensureStored = (request) => {
    world.now += 120 * SECOND;
    return ensureStored(request);
  };
  const repository = Object.assign(world, { ensureStored: slow }).repository();
  world.changedAt = new Date(world.now).toUTCString();
  world.origins[ONE] = rpm(T, "a");
  await repository.resolve(ROOT);
  world.origins[ONE] = rpm(T + 1, "b");
  world.now += 61 * SECOND;
  expect(await world.read(repository, ROOT)).toContain(sha256("primary b"));
});

test("TTL 0 revalidates each time", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = rpm(T, "a");
  const repository = world.repository({ ttl: 0 });
  await repository.resolve(ROOT);
  world.origins[ONE] = rpm(T + 1, "b");
  expect(await world.read(repository, ROOT)).toContain(sha256("primary b"));
});

interface Scenario {
  readonly name: string;
  readonly first: Files;
  /** What the upstreams hold when the first generation has expired; null: down. */
  readonly one: Files | null;
  readonly two?: Files | null;
  readonly path: string;
  readonly before?: string;
  /** Whose root is then served, and how. */
  readonly serves: "old" | "new";
  readonly state: "revalidated" | "stale";
  readonly says?: string;
  readonly used?: readonly string[];
}

const whole = rpm(T, "a");
const next = rpm(T + 100, "b");
const without = (files: Files, ...paths: string[]): Files =>
  Object.fromEntries(Object.entries(files).filter(([path]) => !paths.includes(path)));
const newPrimary = `os/repodata/${sha256("primary b")}-primary.xml.gz`;
const debNew = deb(T + 100, "b");
const debHash = Object.keys(debNew).find((path) => path.includes("by-hash")) ?? "";

const SCENARIOS: readonly Scenario[] = [
  {
    name: "InRelease gone though Release is there: not believed at once",
    first: deb(T, "a"),
    one: without(debNew, `${SUITE}/InRelease`),
    path: `${SUITE}/InRelease`,
    serves: "old",
    state: "stale",
    says: "InRelease is gone",
  },
  {
    name: "an HTML page in place of a database is refused",
    first: { "os/core.db": "db1" },
    one: { "os/core.db": "<html>busy</html>" },
    path: "os/core.db",
    serves: "old",
    state: "stale",
    says: "HTML",
  },
  { name: "a whole new generation is adopted", first: whole, one: next, path: ROOT, serves: "new", state: "revalidated" },
  { name: "the same one is confirmed", first: whole, one: whole, path: ROOT, serves: "old", state: "revalidated" },
  {
    name: "repomd.xml swapped before its files: the old generation goes on",
    first: whole,
    one: without(next, newPrimary),
    path: ROOT,
    serves: "old",
    state: "stale",
    says: "named but not there",
  },
  {
    name: "repomd.xml swapped on the first upstream only, files whole on the second: the second's is adopted",
    first: whole,
    one: without(next, newPrimary),
    two: next,
    path: ROOT,
    serves: "new",
    state: "revalidated",
  },
  {
    name: "an unhashed primary that is still the old one: half-way",
    first: rpm(T, "a", { hashed: false }),
    one: { ...rpm(T + 100, "b", { hashed: false }), "os/repodata/primary.xml.gz": "primary a" },
    path: ROOT,
    serves: "old",
    state: "stale",
    says: "not the file that is named",
  },
  { name: "an older root is refused", first: whole, one: rpm(T - 100, "z"), path: ROOT, serves: "old", state: "stale", says: "older" },
  {
    name: "the first upstream older, the second the same: confirmed",
    first: whole,
    one: rpm(T - 100, "z"),
    two: whole,
    path: ROOT,
    serves: "old",
    state: "revalidated",
  },
  {
    name: "the first upstream older, the second newer: the newer is adopted",
    first: whole,
    one: rpm(T - 1, "z"),
    two: next,
    path: ROOT,
    serves: "new",
    state: "revalidated",
  },
  {
    name: "a malformed root is refused",
    first: whole,
    one: { [ROOT]: "<html>busy</html>" },
    path: ROOT,
    serves: "old",
    state: "stale",
    says: "malformed",
  },
  {
    name: "a malformed root on one upstream, a good one on the next",
    first: whole,
    one: { [ROOT]: "<repomd>" },
    two: next,
    path: ROOT,
    serves: "new",
    state: "revalidated",
  },
  {
    name: "a root that names files outside is adopted without them",
    first: whole,
    one: { [ROOT]: repomd({ revision: T + 1, data: { primary: ["../../x", ""] } }) },
    path: ROOT,
    serves: "new",
    state: "revalidated",
  },
  {
    name: "upstream is down: the last generation, said so",
    first: whole,
    one: null,
    two: null,
    path: ROOT,
    serves: "old",
    state: "stale",
    says: "no upstream answers",
  },
  { name: "the root is gone: not believed at once", first: whole, one: {}, path: ROOT, serves: "old", state: "stale", says: "any more" },
  {
    name: "a signature that was there is gone",
    first: { ...whole, [`${ROOT}.asc`]: "sig" },
    one: next,
    path: ROOT,
    serves: "old",
    state: "stale",
    says: "asc is gone",
  },
  {
    name: "InRelease ahead of its by-hash files: the old one goes on",
    first: deb(T, "a"),
    one: without(debNew, debHash, PACKAGES),
    path: `${SUITE}/InRelease`,
    serves: "old",
    state: "stale",
    says: "named but not there",
    used: [PACKAGES],
  },
  {
    name: "a deb repository without by-hash is whole by name",
    first: deb(T, "a"),
    one: without(debNew, debHash),
    path: `${SUITE}/InRelease`,
    serves: "new",
    state: "revalidated",
    used: [PACKAGES],
  },
  {
    name: "indexes that no client used are not waited for",
    first: deb(T, "a"),
    one: without(debNew, debHash, PACKAGES),
    path: `${SUITE}/InRelease`,
    serves: "new",
    state: "revalidated",
  },
  {
    name: "Release of another date beside a good InRelease holds nothing back: apt does not ask for it",
    first: deb(T, "a"),
    one: { ...debNew, [`${SUITE}/Release`]: deb(T, "a")[`${SUITE}/Release`] ?? "" },
    path: `${SUITE}/InRelease`,
    serves: "new",
    state: "revalidated",
  },
  {
    name: "past its Valid-Until while the held one is not: refused",
    first: deb(T, "a", { validUntil: T + 10 * 86_400 }),
    one: deb(T + 100, "b", { validUntil: T + 200 }),
    path: `${SUITE}/InRelease`,
    serves: "old",
    state: "stale",
    says: "Valid-Until",
  },
  {
    name: "an older InRelease is refused",
    first: deb(T, "a"),
    one: deb(T - 1, "z"),
    path: `${SUITE}/InRelease`,
    serves: "old",
    state: "stale",
    says: "older",
  },
  {
    name: "an opaque database that changed is taken",
    first: { "os/core.db": "db1" },
    one: { "os/core.db": "db2" },
    path: "os/core.db",
    serves: "new",
    state: "revalidated",
  },
  {
    name: "an APKINDEX that changed is taken",
    first: { "os/APKINDEX.tar.gz": "i1" },
    one: { "os/APKINDEX.tar.gz": "i2" },
    path: "os/APKINDEX.tar.gz",
    serves: "new",
    state: "revalidated",
  },
];

test.each(SCENARIOS)("$name", async ({ first, one, two, path, serves, state, says, used }) => {
  const world = createWorld([ONE, TWO]);
  world.origins[ONE] = first;
  world.origins[TWO] = first;
  const repository = world.repository();
  await repository.resolve(path);
  for (const member of used ?? []) await repository.resolve(member);
  world.origins[ONE] = one;
  world.origins[TWO] = two === undefined ? one : two;
  world.now += 61 * SECOND;
  const resolution = await repository.resolve(path);
  expect(resolution).toMatchObject({ kind: "object", state });
  const fresh = world.origins[TWO]?.[path] ?? world.origins[ONE]?.[path];
  expect(await world.read(repository, path)).toBe(serves === "old" ? first[path] : fresh);
  if (says === undefined) return;
  expect(resolution).toMatchObject({ detail: expect.stringContaining(says) });
  expect(world.logs.join("\n")).toContain(says);
});

test("while a sync is half-way another try is made every TTL, without a wait, until it is whole", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = whole;
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.origins[ONE] = without(next, newPrimary);
  world.now += 61 * SECOND;
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale" });
  world.requests.length = 0;
  world.now += 30 * SECOND;
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale", ageSeconds: 91 });
  expect(world.requests).toEqual([]);
  world.origins[ONE] = next;
  world.now += 31 * SECOND;
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale" });
  await published(world, 2);
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "fresh" });
  expect(await world.read(repository, ROOT)).toBe(next[ROOT]);
});

test("how far behind a root is is reported when that changes, and counts from when a newer one was first seen", async () => {
  const world = createWorld([ONE]);
  const reported = () => world.standings.splice(0).map(([, standing]) => standing && [standing.behindSince, standing.trouble !== null]);
  world.origins[ONE] = whole;
  const repository = world.repository();
  await repository.resolve(ROOT);
  expect(reported()).toEqual([[null, false]]);
  world.origins[ONE] = without(next, newPrimary);
  world.now += 61 * SECOND;
  const seenAt = world.now;
  await repository.resolve(ROOT);
  expect(reported()).toEqual([[seenAt, true]]);
  world.now += 61 * SECOND;
  await repository.resolve(ROOT);
  expect(reported()).toEqual([]);
  world.origins[ONE] = next;
  world.now += 61 * SECOND;
  await repository.resolve(ROOT);
  await published(world, 2);
  expect(reported().at(-1)).toEqual([null, false]);
});

test("an older root that every upstream has shown for an hour is believed", async () => {
  const world = createWorld([ONE, TWO]);
  world.origins[ONE] = world.origins[TWO] = whole;
  const repository = world.repository();
  await repository.resolve(ROOT);
  const older = rpm(T - 100, "z");
  world.origins[ONE] = older;
  for (let n = 0; n < 3; n++) {
    world.now += HOUR;
    expect(await world.read(repository, ROOT)).toBe(whole[ROOT]);
  }
  world.origins[TWO] = older;
  for (let minutes = 0; minutes < 60; minutes += 20) {
    world.now += 20 * 60 * SECOND;
    expect(await world.read(repository, ROOT)).toBe(whole[ROOT]);
  }
  world.now += 21 * 60 * SECOND;
  expect(await world.read(repository, ROOT)).toBe(older[ROOT]);
});

test("an upstream that is slow with a new root does not keep a client waiting beyond the limit, and the new one comes later", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = whole;
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.origins[ONE] = next;
  let openGate = (): void => {};
  world.gate = new Promise((resolve) => (openGate = resolve));
  world.now += 61 * SECOND;
  const waiting = repository.resolve(ROOT);
  await settle();
  await world.pass(10 * SECOND);
  expect(await waiting).toMatchObject({ state: "stale", detail: expect.stringContaining("did not arrive whole within 10 s") });
  openGate();
  await published(world, 2);
  expect(await world.read(repository, ROOT)).toBe(next[ROOT]);
});

test("nearing its Valid-Until, trouble is reported as an error", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = deb(T, "a", { validUntil: T + 7 * 86_400 });
  const repository = world.repository();
  await repository.resolve(`${SUITE}/InRelease`);
  world.origins[ONE] = null;
  world.now += HOUR;
  await repository.resolve(`${SUITE}/InRelease`);
  expect(world.logs.at(-1)).toMatch(/^warn: /);
  world.now = T * SECOND + 6.5 * DAY;
  await repository.resolve(`${SUITE}/InRelease`);
  expect(world.logs.at(-1)).toMatch(/^error: .*valid until/);
});

test("with nothing held: absent, failing and opaque each say so", async () => {
  const world = createWorld([ONE]);
  expect(await world.repository().resolve(ROOT)).toEqual({ kind: "absent", status: 404 });
  world.origins[ONE] = null;
  expect(await world.repository().resolve(ROOT)).toMatchObject({ kind: "failure", status: 502 });
  world.origins[ONE] = { [ROOT]: "<html>what</html>" };
  expect(await world.repository().resolve(ROOT)).toEqual({ kind: "opaque" });
});

test("with nothing held a sync caught half-way is looked at a second time, a little later", async () => {
  const world = createWorld([ONE]);
  const signed = (files: Files): Files => ({ ...files, [`${ROOT}.asc`]: signatureInForm(String(files[ROOT])) });
  world.origins[ONE] = { ...signed(whole), [ROOT]: next[ROOT] ?? "" };
  const repository = world.repository();
  const answer = repository.resolve(ROOT);
  await world.waitFor(2 * SECOND);
  world.origins[ONE] = signed(next);
  await world.pass(2 * SECOND);
  expect(await answer).toMatchObject({ kind: "object", state: "fetched" });
  expect(await repository.resolve(`${ROOT}.asc`)).toMatchObject({
    state: "fresh",
    object: { sha256: sha256(signatureInForm(String(next[ROOT]))) },
  });
});

test("a repository with Release and Release.gpg but no InRelease is rooted in its Release", async () => {
  const world = createWorld([ONE]);
  const files = without(deb(T, "a"), `${SUITE}/InRelease`);
  world.origins[ONE] = { ...files, [`${SUITE}/Release.gpg`]: signatureInForm(String(files[`${SUITE}/Release`])) };
  const repository = world.repository();
  expect(await repository.resolve(`${SUITE}/InRelease`)).toEqual({ kind: "absent", status: 404 });
  expect(await world.read(repository, `${SUITE}/Release`)).toBe(files[`${SUITE}/Release`]);
  expect(await repository.resolve(`${SUITE}/Release.gpg`)).toMatchObject({ kind: "object", state: "fresh" });
  expect(await world.read(repository, PACKAGES)).toBe(files[PACKAGES]);
});

test("a flat repository moves as one", async () => {
  const world = createWorld([ONE]);
  const make = (date: number, mark: string): Files => {
    const text = release({ date, files: { Packages: mark } });
    return { "obs/InRelease": clearsigned(text), "obs/Release": text, "obs/Packages": mark };
  };
  world.origins[ONE] = make(T, "old");
  const repository = world.repository();
  await repository.resolve("obs/InRelease");
  expect(await world.read(repository, "obs/Packages")).toBe("old");
  world.origins[ONE] = { ...make(T + 1, "new"), "obs/Packages": "old" };
  world.now += HOUR;
  expect(await repository.resolve("obs/InRelease")).toMatchObject({
    state: "stale",
    detail: expect.stringContaining("not the file that is named"),
  });
});

test("with nothing held, a root whose files are nowhere whole is published: what it names is asked for one by one", async () => {
  const world = createWorld([ONE, TWO]);
  world.origins[ONE] = world.origins[TWO] = without(whole, `os/repodata/${sha256("primary a")}-primary.xml.gz`);
  const repository = world.repository();
  expect(await world.read(repository, ROOT)).toBe(whole[ROOT]);
});

test("members resolve through the published root, by-hash first upstream, and keep their bytes when upstream moves on", async () => {
  const world = createWorld([ONE]);
  const old = deb(T, "a");
  world.origins[ONE] = old;
  const repository = world.repository();
  await repository.resolve(`${SUITE}/InRelease`);
  world.requests.length = 0;
  expect(await world.read(repository, PACKAGES)).toBe(old[PACKAGES]);
  expect(world.requests).toEqual([`one ${Object.keys(old).find((path) => path.includes("by-hash"))}`]);
  world.origins[ONE] = { ...debNew, [PACKAGES]: "half of it" };
  expect(await world.read(repository, PACKAGES)).toBe(old[PACKAGES]);
});

test("by-hash files of the published generation are found under their plain name too; those of others are left to a fill that knows their name", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = without(debNew, debHash);
  const repository = world.repository();
  expect(await repository.resolve(debHash)).toEqual({ kind: "opaque" });
  await repository.resolve(`${SUITE}/InRelease`);
  expect(await world.read(repository, debHash)).toBe(debNew[PACKAGES]);
});

test("of two indexes with one content, the one whose by-hash folder is asked counts as used", async () => {
  const world = createWorld([ONE]);
  const make = (date: number, all: string, amd64: string): Files => ({
    [`${SUITE}/InRelease`]: clearsigned(release({ date, files: { "main/binary-all/Packages": all, "main/binary-amd64/Packages": amd64 } })),
    [`${SUITE}/main/binary-all/Packages`]: all,
    [PACKAGES]: amd64,
  });
  world.origins[ONE] = make(T, "same", "same");
  const repository = world.repository();
  await repository.resolve(`${SUITE}/InRelease`);
  expect(await world.read(repository, `${SUITE}/main/binary-amd64/by-hash/SHA256/${sha256("same")}`)).toBe("same");
  world.origins[ONE] = make(T + 1, "all", "amd64");
  world.requests.length = 0;
  world.now += HOUR;
  await repository.resolve(`${SUITE}/InRelease`);
  expect(world.requests.filter((one) => one.endsWith("Packages"))).toEqual([`one ${PACKAGES}`]);
});

test("a hash-prefixed file of the new generation is there before its root is", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = whole;
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.origins[ONE] = next;
  world.now += HOUR;
  await repository.resolve(ROOT);
  world.origins[ONE] = null;
  expect(await world.read(repository, newPrimary)).toBe("primary b");
});

test("a file that the store lost is fetched again", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { ...deb(T, "a") };
  const repository = world.repository();
  for (const path of [`${SUITE}/InRelease`, `${SUITE}/Release`, PACKAGES]) {
    const found = await repository.resolve(path);
    if (found.kind !== "object") throw new Error(found.kind);
    world.store.objects.delete(found.key);
    expect(await repository.resolve(path, found.key)).toMatchObject({ kind: "object", key: found.key });
    expect(world.store.objects.has(found.key)).toBe(true);
  }
});

test("sqlite files are not prefetched, and zchunk ones only once used", async () => {
  const world = createWorld([ONE]);
  const make = (revision: number): Files => {
    const data = Object.fromEntries(
      [
        ["primary", "p.xml.gz"],
        ["primary_db", "p.sqlite.bz2"],
        ["primary_zck", "p.xml.zck"],
      ].map(([type = "", name]) => [type, [`repodata/${name}`, `${type}${revision}`] as const]),
    );
    return {
      [ROOT]: repomd({ revision, data }),
      ...Object.fromEntries(Object.values(data).map(([href, content]) => [`os/${href}`, content])),
    };
  };
  world.origins[ONE] = make(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  expect(world.requests.filter((one) => one.includes("/p."))).toEqual(["one os/repodata/p.xml.gz"]);
  await repository.resolve("os/repodata/p.xml.zck");
  world.requests.length = 0;
  world.origins[ONE] = make(T + 1);
  world.now += HOUR;
  await repository.resolve(ROOT);
  expect(world.requests.filter((one) => one.includes("/p.")).toSorted()).toEqual(["one os/repodata/p.xml.gz", "one os/repodata/p.xml.zck"]);
});

test("a suite with a slash in its name keeps its members apart from its neighbours'", async () => {
  const world = createWorld([ONE]);
  const content = packages({});
  world.origins[ONE] = {
    "dists/stable/updates/InRelease": clearsigned(release({ date: T, files: { "main/binary-amd64/Packages": content } })),
    "dists/stable/updates/main/binary-amd64/Packages": content,
  };
  const repository = world.repository();
  await repository.resolve("dists/stable/updates/InRelease");
  expect(await world.read(repository, "dists/stable/updates/main/binary-amd64/Packages")).toBe(content);
});

test("a repomd.xml.asc of the version before, caught between the two, holds the new generation back", async () => {
  const signed = (content: string): Uint8Array => signatureInForm(content);
  const world = createWorld([ONE]);
  const before: Files = { ...whole, [`${ROOT}.asc`]: signed(String(whole[ROOT])) };
  world.origins[ONE] = before;
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.origins[ONE] = { ...next, [`${ROOT}.asc`]: before[`${ROOT}.asc`] ?? "" };
  world.now += 61 * SECOND;
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale", detail: expect.stringContaining("signs another version") });
  expect(await repository.resolve(`${ROOT}.asc`)).toMatchObject({
    kind: "object",
    object: { sha256: sha256(before[`${ROOT}.asc`] ?? "") },
  });
  world.origins[ONE] = { ...next, [`${ROOT}.asc`]: signed(String(next[ROOT])) };
  world.now += 61 * SECOND;
  await repository.resolve(ROOT);
  await published(world, 2);
  expect(await world.read(repository, ROOT)).toBe(next[ROOT]);
  expect(await repository.resolve(`${ROOT}.asc`)).toMatchObject({ object: { sha256: sha256(signed(String(next[ROOT]))) } });
});

test("a signature that never fits is the upstream's own: a client without a repository is not kept waiting for a better one", async () => {
  const world = createWorld([ONE]);
  const bad = signatureInForm("another file");
  world.origins[ONE] = { ...whole, [`${ROOT}.asc`]: bad };
  const repository = world.repository();
  const first = repository.resolve(ROOT);
  await world.waitFor(2 * SECOND);
  await world.pass(2 * SECOND);
  expect(await first).toMatchObject({ kind: "object", state: "fetched" });
  expect(await repository.resolve(`${ROOT}.asc`)).toMatchObject({ object: { sha256: sha256(bad) } });
  // And taken back as soon as it does fit.
  const good = signatureInForm(String(whole[ROOT]));
  world.origins[ONE] = { ...whole, [`${ROOT}.asc`]: good };
  world.now += 61 * SECOND;
  await repository.resolve(ROOT);
  expect(await repository.resolve(`${ROOT}.asc`)).toMatchObject({ object: { sha256: sha256(good) } });
});

test("a database of many slices is stored in slices, with the digest that its bytes can be compared with", async () => {
  const world = createWorld([ONE]);
  const bytes = new Uint8Array(200_000).fill(7);
  world.origins[ONE] = { "os/extra.files": bytes };
  const found = await world.repository().resolve("os/extra.files");
  expect(found).toMatchObject({ kind: "object", object: { size: 200_000, sliceBytes: 65_536, sha256: sha256(bytes) } });
});
