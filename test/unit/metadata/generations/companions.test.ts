import { brotliCompressSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { SourceError, type UpstreamAnswer, type UpstreamRequest } from "../../../../src/upstream/upstream.ts";
import { clearsigned, release, repomd, sha256, signatureInForm } from "../samples.ts";
import { createWorld, type Files, ONE, type PathRepository, TWO, type World } from "../world.ts";

const SECOND = 1000;
const TTL = 61 * SECOND;
const T = Date.UTC(2025, 11, 31) / SECOND;
const ROOT = "os/repodata/repomd.xml";
const ASC = `${ROOT}.asc`;
const KEY = `${ROOT}.key`;
const SUITE = "dists/sid";
const IN_RELEASE = `${SUITE}/InRelease`;
const RELEASE = `${SUITE}/Release`;
const GPG = `${SUITE}/Release.gpg`;

function rpm(revision: number): Files {
  return { [ROOT]: repomd({ revision, data: { primary: ["repodata/p.xml.gz", `p${revision}`] } }), "os/repodata/p.xml.gz": `p${revision}` };
}

/** The file signed in form: anyone can make such a signature, and `note` makes it another one. */
function sign(content: string | Uint8Array | undefined, note = ""): Uint8Array {
  const packet = signatureInForm(String(content));
  // An experimental packet (RFC 9580 §4.3) behind it, which no one reads.
  const extra = new TextEncoder().encode(note);
  return note === "" ? packet : Uint8Array.of(...packet, 0xfc, extra.length, ...extra);
}

const signedRpm = (revision: number, note = ""): Files => ({ ...rpm(revision), [ASC]: sign(rpm(revision)[ROOT], note) });
const releaseOf = (date: number): string => release({ date, files: {} });

/** Lets `change` see each answer of the upstreams before the repository does. */
function intercept(world: World, change: (request: UpstreamRequest, answer: UpstreamAnswer) => UpstreamAnswer): void {
  const { open } = world.upstreams;
  world.upstreams.open = async (request) => change(request, await open(request));
}

/** An object store without the right to list: 403 for all that is not there. */
function forbidAbsent(world: World): void {
  intercept(world, (_request, answer) => (answer.kind === "absent" ? { kind: "absent", status: 403 } : answer));
}

function breakPath(world: World, broken: string): void {
  intercept(world, ({ path }, answer) => (path === broken ? { kind: "failure", status: 502, detail: `answered 500 for ${path}` } : answer));
}

/** SHA-256 of what a client gets. */
async function digestAt(repository: PathRepository, path: string): Promise<string> {
  const found = await repository.resolve(path);
  return found.kind === "object" ? (found.object.sha256 ?? "none") : found.kind;
}

test("an object store that answers 403 for all that is absent: dnf's and zypper's files come, what is not there is absent, and the next generation is adopted", async () => {
  const world = createWorld([ONE]);
  forbidAbsent(world);
  world.origins[ONE] = rpm(T);
  const repository = world.repository();
  for (const revision of [T, T + 1]) {
    world.origins[ONE] = rpm(revision);
    expect(await world.read(repository, ROOT)).toBe(rpm(revision)[ROOT]);
    expect(await repository.resolve(ASC)).toEqual({ kind: "absent", status: 404 });
    expect(await repository.resolve(KEY)).toEqual({ kind: "absent", status: 404 });
    expect(await world.read(repository, "os/repodata/p.xml.gz")).toBe(`p${revision}`);
    world.now += TTL;
  }
});

test("a key that is refused beside a signature that is there holds nothing back", async () => {
  const world = createWorld([ONE]);
  forbidAbsent(world);
  world.origins[ONE] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT])));
  expect(await repository.resolve(KEY)).toEqual({ kind: "absent", status: 404 });
  world.origins[ONE] = signedRpm(T + 1);
  world.now += TTL;
  expect(await world.read(repository, ROOT)).toBe(rpm(T + 1)[ROOT]);
});

test.each([
  { name: "InRelease there, Release refused", files: { [IN_RELEASE]: clearsigned(releaseOf(T)) }, there: IN_RELEASE, absent: RELEASE },
  {
    name: "InRelease refused, Release there",
    files: { [RELEASE]: releaseOf(T), [GPG]: sign(releaseOf(T)) },
    there: RELEASE,
    absent: IN_RELEASE,
  },
])("one form of a root that is refused is absent: $name", async ({ files, there, absent }) => {
  const world = createWorld([ONE]);
  forbidAbsent(world);
  world.origins[ONE] = files;
  const repository = world.repository();
  expect(await repository.resolve(absent)).toEqual({ kind: "absent", status: 404 });
  expect(await repository.resolve(there)).toMatchObject({ kind: "object" });
});

test("a form of a root that fails is passed over where another is there, as apt does", async () => {
  const world = createWorld([ONE]);
  breakPath(world, IN_RELEASE);
  world.origins[ONE] = { [RELEASE]: releaseOf(T), [GPG]: sign(releaseOf(T)) };
  const repository = world.repository();
  expect(await world.read(repository, RELEASE)).toBe(releaseOf(T));
  expect(await digestAt(repository, GPG)).toBe(sha256(sign(releaseOf(T))));
});

test("a companion that fails holds no root back which no client has with it, and is no 404", async () => {
  const world = createWorld([ONE]);
  breakPath(world, ASC);
  world.origins[ONE] = rpm(T);
  const repository = world.repository();
  expect(await repository.resolve(ROOT)).toMatchObject({ kind: "object", state: "fetched" });
  expect(await repository.resolve(ASC)).toMatchObject({ kind: "failure", status: 502 });
});

test("Release.gpg that comes some seconds after its Release is there 10 seconds later for all, also after a restart", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [RELEASE]: releaseOf(T) };
  const repository = world.repository();
  await repository.resolve(RELEASE);
  expect(await repository.resolve(GPG)).toEqual({ kind: "absent", status: 404 });
  world.origins[ONE] = { [RELEASE]: releaseOf(T), [GPG]: sign(releaseOf(T)) };
  world.now += 10 * SECOND;
  world.requests.length = 0;
  const both = await Promise.all([repository.resolve(GPG), repository.resolve(GPG)]);
  expect(both.map(({ kind }) => kind)).toEqual(["object", "object"]);
  expect(both[0]).toMatchObject({ state: "fetched" });
  expect(world.requests).toEqual([`one ${GPG}`]);
  expect(await repository.resolve(GPG)).toMatchObject({ kind: "object", state: "fresh" });
  expect(await world.repository().resolve(GPG)).toMatchObject({ kind: "object", state: "fresh" });
  expect(world.requests).toEqual([`one ${GPG}`]);
});

test("a late signature of another version is held back while a sync may be under way, and then comes as the upstream has it", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [RELEASE]: releaseOf(T) };
  const repository = world.repository();
  await repository.resolve(RELEASE);
  world.origins[ONE] = { [RELEASE]: releaseOf(T), [GPG]: sign("another file") };
  world.now += 10 * SECOND;
  expect(await repository.resolve(GPG)).toMatchObject({ kind: "failure", status: 503, retryAfterSeconds: 10 });
  // The Durable Object is away for most of the time.
  world.now += 300 * SECOND;
  expect(await world.repository().resolve(GPG)).toMatchObject({ kind: "failure", status: 503 });
  world.now += 301 * SECOND;
  expect(await digestAt(world.repository(), GPG)).toBe(sha256(sign("another file")));
});

test("each sync has a wait of its own for its late signature", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [RELEASE]: releaseOf(T) };
  const repository = world.repository();
  await repository.resolve(RELEASE);
  for (const n of [1, 2]) {
    world.origins[ONE] = { [RELEASE]: releaseOf(T), [GPG]: sign(releaseOf(T + n)) };
    world.now += 700 * SECOND;
    expect(await repository.resolve(GPG)).toMatchObject({ kind: "failure", status: 503 });
    world.origins[ONE] = { [RELEASE]: releaseOf(T) };
    world.now += TTL;
    expect(await repository.resolve(GPG)).toEqual({ kind: "absent", status: 404 });
  }
});

test("each sync has a wait of its own for the signature that it brings anew", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  for (const n of [1, 2]) {
    world.origins[ONE] = { ...rpm(T + n - 1), [ASC]: sign(rpm(T + n)[ROOT]) };
    world.now += 700 * SECOND;
    expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T + n - 1)[ROOT])));
    world.origins[ONE] = signedRpm(T + n);
    world.now += TTL;
    expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T + n)[ROOT])));
  }
});

test("a late signature of a newer root brings that root along", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [RELEASE]: releaseOf(T) };
  const repository = world.repository();
  await repository.resolve(RELEASE);
  world.origins[ONE] = { [RELEASE]: releaseOf(T + 1), [GPG]: sign(releaseOf(T + 1)) };
  world.now += 10 * SECOND;
  expect(await digestAt(repository, GPG)).toBe(sha256(sign(releaseOf(T + 1))));
  expect(await world.read(repository, RELEASE)).toBe(releaseOf(T + 1));
});

test("where isolates remember the held root, a late signature of a newer one waits for that, which is published once the held one is fresh no more", async () => {
  const world = createWorld([ONE]);
  world.rememberMs = 60 * SECOND;
  world.origins[ONE] = { [RELEASE]: releaseOf(T) };
  const repository = world.repository();
  await repository.resolve(RELEASE);
  world.origins[ONE] = { [RELEASE]: releaseOf(T + 1), [GPG]: sign(releaseOf(T + 1)) };
  world.now += 10 * SECOND;
  expect(await repository.resolve(GPG)).toMatchObject({ kind: "failure", status: 503 });
  expect(await world.read(repository, RELEASE)).toBe(releaseOf(T));
  world.now += 50 * SECOND;
  expect(await digestAt(repository, GPG)).toBe(sha256(sign(releaseOf(T + 1))));
  expect(await world.read(repository, RELEASE)).toBe(releaseOf(T + 1));
});

test("Release of a new date beside an InRelease of the old one comes as soon as InRelease has caught up", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { [IN_RELEASE]: clearsigned(releaseOf(T)), [RELEASE]: releaseOf(T + 1), [GPG]: sign(releaseOf(T + 1)) };
  const repository = world.repository();
  expect(await world.read(repository, IN_RELEASE)).toBe(clearsigned(releaseOf(T)));
  expect(await repository.resolve(RELEASE)).toMatchObject({ kind: "failure", status: 503 });
  world.origins[ONE][IN_RELEASE] = clearsigned(releaseOf(T + 1));
  expect(await world.read(repository, RELEASE)).toBe(releaseOf(T + 1));
  expect(await world.read(repository, IN_RELEASE)).toBe(clearsigned(releaseOf(T + 1)));
  expect(await digestAt(repository, GPG)).toBe(sha256(sign(releaseOf(T + 1))));
});

test("where isolates remember the held root, Release of a new date beside an InRelease of the old one comes with the InRelease that has caught up", async () => {
  const world = createWorld([ONE]);
  world.rememberMs = 60 * SECOND;
  world.origins[ONE] = { [IN_RELEASE]: clearsigned(releaseOf(T)), [RELEASE]: releaseOf(T + 1), [GPG]: sign(releaseOf(T + 1)) };
  const repository = world.repository();
  expect(await world.read(repository, IN_RELEASE)).toBe(clearsigned(releaseOf(T)));
  expect(await repository.resolve(RELEASE)).toMatchObject({ kind: "failure", status: 503 });
  world.origins[ONE][IN_RELEASE] = clearsigned(releaseOf(T + 1));
  world.now += 60 * SECOND;
  expect(await world.read(repository, RELEASE)).toBe(releaseOf(T + 1));
  expect(await world.read(repository, IN_RELEASE)).toBe(clearsigned(releaseOf(T + 1)));
  expect(await digestAt(repository, GPG)).toBe(sha256(sign(releaseOf(T + 1))));
});

test("a signature that the root's upstream lacks comes from another upstream, if it certainly belongs to the root", async () => {
  const world = createWorld([ONE, TWO]);
  world.origins[ONE] = rpm(T);
  world.origins[TWO] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT])));
  const behind = createWorld([ONE, TWO]);
  behind.origins[ONE] = rpm(T);
  behind.origins[TWO] = signedRpm(T - 1);
  expect(await digestAt(behind.repository(), ASC)).toBe("absent");
});

test("a root that stays is signed anew: its new signature comes with the next confirmation, at one request a companion", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { ...signedRpm(T), [KEY]: "key" };
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.now += TTL;
  world.requests.length = 0;
  await repository.resolve(ROOT);
  expect(world.requests).toEqual([ROOT, ASC, KEY].map((path) => `one ${path}`));
  world.origins[ONE] = { ...signedRpm(T, "anew"), [KEY]: "another key" };
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT])));
  world.now += TTL;
  expect(await repository.resolve(ROOT)).toMatchObject({ kind: "object", state: "revalidated" });
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT], "anew")));
  expect(await world.read(repository, KEY)).toBe("another key");
  expect(world.published).toContain(`-/closed/m/sha256/${sha256("another key")}`);
  expect(await digestAt(world.repository(), ASC)).toBe(sha256(sign(rpm(T)[ROOT], "anew")));
});

test("what no generation has had is absent by another upstream's word while the root's own cannot be asked", async () => {
  const world = createWorld([ONE, TWO]);
  world.origins[ONE] = { "os/core.db": "db", ...rpm(T) };
  world.origins[TWO] = { "os/core.db": "db", ...rpm(T) };
  const [pacman, dnf] = [world.repository(), world.repository()];
  await pacman.resolve("os/core.db");
  await dnf.resolve(ROOT);
  world.origins[ONE] = null;
  world.now += TTL;
  expect(await digestAt(pacman, "os/core.db")).toBe(sha256("db"));
  expect(await digestAt(pacman, "os/core.db.sig")).toBe("absent");
  expect(await digestAt(dnf, KEY)).toBe("absent");
  world.origins[TWO] = null;
  world.now += TTL;
  expect(await digestAt(pacman, "os/core.db.sig")).toBe("failure");
});

test("a database of pacman and a Release are signed anew in the same way", async () => {
  const world = createWorld([ONE]);
  const make = (note: string): Files => ({
    "os/core.db": "db",
    "os/core.db.sig": sign("db", note),
    [RELEASE]: releaseOf(T),
    [GPG]: sign(releaseOf(T), note),
  });
  world.origins[ONE] = make("");
  const [repository, suite] = [world.repository(), world.repository()];
  await repository.resolve("os/core.db");
  await suite.resolve(RELEASE);
  world.origins[ONE] = make("anew");
  world.now += TTL;
  expect(await digestAt(repository, "os/core.db.sig")).toBe(sha256(sign("db", "anew")));
  expect(await digestAt(suite, GPG)).toBe(sha256(sign(releaseOf(T), "anew")));
});

test("a signature of another version beside a root that stays does not replace one that fits, until it has been there for long", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.origins[ONE] = { ...rpm(T), [ASC]: sign("another file") };
  world.now += TTL;
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT])));
  world.now += 601 * SECOND;
  expect(await digestAt(repository, ASC)).toBe(sha256(sign("another file")));
});

test("a signature of a newer root at its own upstream brings that root along, though another upstream is asked first for roots", async () => {
  const world = createWorld([ONE, TWO]);
  for (const url of [ONE, TWO]) world.origins[url] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  // The first upstream has become slow, and is asked last.
  const { open } = world.upstreams;
  const isFor = (url: string) => (request: UpstreamRequest) => request.path === ROOT && request.avoid?.includes(url) !== true;
  world.upstreams.open = (request) => open(isFor(ONE)(request) && isFor(TWO)(request) ? { ...request, avoid: [ONE] } : request);
  world.origins[ONE] = signedRpm(T + 1);
  world.now += TTL;
  expect(await digestAt(repository, ROOT)).toBe(sha256(rpm(T + 1)[ROOT] ?? ""));
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T + 1)[ROOT])));
});

test("a signature of a newer root that is held back does not replace the one that fits the held root", async () => {
  const world = createWorld([ONE, TWO]);
  for (const url of [ONE, TWO]) world.origins[url] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  const { "os/repodata/p.xml.gz": _, ...broken } = signedRpm(T + 1);
  world.origins[ONE] = broken;
  for (let passed = 0; passed < 2_000 * SECOND; passed += TTL) {
    world.now += TTL;
    expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT])));
  }
});

test("a root that breaks off at one upstream is begun anew at another one that has another version", async () => {
  const world = createWorld([ONE, TWO]);
  world.origins[ONE] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.origins[ONE] = signedRpm(T + 1);
  world.origins[TWO] = signedRpm(T + 2);
  const failure = { kind: "failure", status: 502, detail: "ONE broke off, and TWO has another size" } as const;
  intercept(world, ({ path }, answer) => {
    if (path !== ROOT || answer.kind !== "body" || answer.representation.upstream !== ONE) return answer;
    return { ...answer, source: { ...answer.source, read: () => Promise.reject(new SourceError(failure)) } };
  });
  world.now += TTL;
  expect(await digestAt(repository, ROOT)).toBe(sha256(rpm(T + 2)[ROOT] ?? ""));
  // The others do not have it, which says nothing of the one that began to send it.
  world.origins[TWO] = {};
  world.now += TTL;
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale", detail: failure.detail });
});

test("a signature that is gone while its root stays goes on: it signs what is served", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = signedRpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.origins[ONE] = rpm(T);
  world.now += TTL;
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT])));
});

test("a root that no parser reads is fetched with its signature, and both change together at one request each", async () => {
  const world = createWorld([ONE]);
  const make = (text: string): Files => ({ [ROOT]: text, [ASC]: sign(text) });
  world.origins[ONE] = make("of another format");
  const repository = world.repository();
  expect(await world.read(repository, ROOT)).toBe("of another format");
  expect(await digestAt(repository, ASC)).toBe(sha256(sign("of another format")));
  world.now += TTL;
  world.requests.length = 0;
  await repository.resolve(ASC);
  expect(world.requests).toEqual([`one ${ROOT}`, `one ${ASC}`]);
  world.origins[ONE] = make("of another format, anew");
  world.now += TTL;
  expect(await digestAt(repository, ASC)).toBe(sha256(sign("of another format, anew")));
  expect(await world.read(repository, ROOT)).toBe("of another format, anew");
  // And gives way to one that can be read.
  world.origins[ONE] = signedRpm(T);
  world.now += TTL;
  expect(await world.read(repository, ROOT)).toBe(rpm(T)[ROOT]);
});

test("of two upstreams the one with a root that can be read is preferred, also after the other's was held", async () => {
  const world = createWorld([ONE, TWO]);
  world.origins[ONE] = { [ROOT]: "parked" };
  world.origins[TWO] = null;
  const repository = world.repository();
  expect(await world.read(repository, ROOT)).toBe("parked");
  world.origins[TWO] = rpm(T);
  world.now += TTL;
  expect(await world.read(repository, ROOT)).toBe(rpm(T)[ROOT]);
});

test("what clients probe for and never is costs no storm: a few requests a minute, however many clients ask", async () => {
  const world = createWorld([ONE]);
  world.origins[ONE] = { ...rpm(T), [IN_RELEASE]: clearsigned(releaseOf(T)), "os/core.db": "db" };
  const [os, suite] = [world.repository(), world.repository()];
  const probes = [ASC, KEY, "os/core.db.sig"];
  for (let second = 0; second < 60; second++) {
    for (let client = 0; client < 10; client++) {
      await Promise.all([ROOT, "os/core.db", ...probes].map((path) => os.resolve(path)));
      await Promise.all([IN_RELEASE, RELEASE, GPG].map((path) => suite.resolve(path)));
    }
    world.now += SECOND;
  }
  for (const path of [...probes, RELEASE, GPG]) {
    const asked = world.requests.filter((one) => one === `one ${path}`).length;
    expect({ path, asked }).toEqual({ path, asked: expect.toSatisfy((count: number) => count <= 7) });
  }
});

/** The same answer with other bytes or labels. */
function encode(
  world: World,
  path: string,
  pack: (bytes: Uint8Array) => Uint8Array,
  labels: { contentEncoding?: string; contentType?: string },
) {
  const { open } = world.upstreams;
  world.upstreams.open = async (request) => {
    const answer = await open(request);
    if (answer.kind !== "body" || request.path !== path) return answer;
    const bytes = pack((await answer.source.read()) ?? new Uint8Array());
    let isRead = false;
    const read = async () => (isRead ? null : ((isRead = true), bytes));
    return { ...answer, representation: { ...answer.representation, ...labels, size: bytes.length }, source: { read, cancel() {} } };
  };
}

test.each([
  { contentEncoding: "gzip", pack: gzipSync },
  { contentEncoding: "x-gzip", pack: gzipSync },
  { contentEncoding: "br", pack: brotliCompressSync },
])("a root that arrives encoded with $contentEncoding is decoded and adopted", async ({ contentEncoding, pack }) => {
  const world = createWorld([ONE]);
  encode(world, IN_RELEASE, pack, { contentEncoding });
  world.origins[ONE] = { [IN_RELEASE]: clearsigned(releaseOf(T)) };
  const repository = world.repository();
  expect(await world.read(repository, IN_RELEASE)).toBe(clearsigned(releaseOf(T)));
  world.now += TTL;
  expect(await repository.resolve(IN_RELEASE)).toMatchObject({ state: "revalidated" });
});

test.each([
  { path: "os/core.db", contentEncoding: "x-gzip", pack: gzipSync },
  { path: "os/core.db", contentEncoding: "br", pack: (bytes: Uint8Array) => bytes },
])("a Content-Encoding of $contentEncoding that only labels $path is dropped", async ({ path, contentEncoding, pack }) => {
  const world = createWorld([ONE]);
  encode(world, path, pack, { contentEncoding });
  world.origins[ONE] = { [path]: "plain bytes" };
  expect(await digestAt(world.repository(), path)).toBe(sha256(pack(new TextEncoder().encode("plain bytes"))));
});

test("a companion that arrives encoded is decoded, and one with a wrong label is taken as it is", async () => {
  const world = createWorld([ONE]);
  encode(world, ASC, gzipSync, { contentEncoding: "gzip" });
  encode(world, KEY, (bytes) => bytes, { contentEncoding: "gzip" });
  world.origins[ONE] = { ...signedRpm(T), [KEY]: "-----BEGIN PGP PUBLIC KEY BLOCK-----" };
  const repository = world.repository();
  await repository.resolve(ROOT);
  expect(await digestAt(repository, ASC)).toBe(sha256(sign(rpm(T)[ROOT])));
  expect(await world.read(repository, KEY)).toBe("-----BEGIN PGP PUBLIC KEY BLOCK-----");
});

test("the body decides about HTML: files labelled text/html are adopted, a page in place of a signature is none", async () => {
  const world = createWorld([ONE]);
  const same = (bytes: Uint8Array) => bytes;
  for (const path of [IN_RELEASE, ROOT, KEY]) encode(world, path, same, { contentType: "text/html" });
  const page = "<!DOCTYPE html><title>not found</title>";
  world.origins[ONE] = { ...rpm(T), [IN_RELEASE]: clearsigned(releaseOf(T)), [KEY]: "key", [ASC]: page };
  const [os, suite] = [world.repository(), world.repository()];
  expect(await world.read(os, ROOT)).toBe(rpm(T)[ROOT]);
  expect(await world.read(os, KEY)).toBe("key");
  expect(await os.resolve(ASC)).toEqual({ kind: "absent", status: 404 });
  expect(await world.read(suite, IN_RELEASE)).toBe(clearsigned(releaseOf(T)));
});
