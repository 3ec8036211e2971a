import { expect, test } from "vitest";
import { clearsigned, release, repomd, sha256, signatureInForm } from "../samples.ts";
import { createWorld, DAY, type Files, ONE, type PathRepository, type World } from "../world.ts";

const SECOND = 1000;
const TTL = 61 * SECOND;
const T = Date.UTC(2025, 11, 31) / SECOND;
const ROOT = "os/repodata/repomd.xml";
const SUITE = "dists/sid";
const IN_RELEASE = `${SUITE}/InRelease`;
const RELEASE = `${SUITE}/Release`;
const GPG = `${SUITE}/Release.gpg`;

const rpm = (revision: number): Files => ({
  [ROOT]: repomd({ revision, data: { primary: [`repodata/p${revision}.xml.gz`, `p${revision}`] } }),
  [`os/repodata/p${revision}.xml.gz`]: `p${revision}`,
});
const suite = (date: number): Files => ({ [IN_RELEASE]: clearsigned(release({ date, files: {} })) });

/** A repository whose clock runs a year ahead until `correct` is called, which it may be for days before. */
function open(first: Files): { world: World; repository: PathRepository; correct: () => void } {
  const world = createWorld([ONE]);
  world.origins[ONE] = first;
  world.now += 365 * DAY;
  return { world, repository: world.repository(), correct: () => void (world.now -= 365 * DAY) };
}

test("a root that was confirmed by a clock far ahead is confirmed anew once the clock is right", async () => {
  const { world, repository, correct } = open(rpm(T));
  expect(await world.read(repository, ROOT)).toBe(rpm(T)[ROOT]);
  correct();
  world.origins[ONE] = rpm(T + 1);
  expect(await world.read(repository, ROOT)).toBe(rpm(T + 1)[ROOT]);
  world.requests.length = 0;
  expect(await repository.resolve(ROOT)).toMatchObject({ kind: "object", state: "fresh", ageSeconds: 0 });
  expect(world.requests).toEqual([]);
});

test("and over a restart", async () => {
  const { world, repository, correct } = open(rpm(T));
  await repository.resolve(ROOT);
  correct();
  world.origins[ONE] = rpm(T + 1);
  expect(await world.read(world.repository(), ROOT)).toBe(rpm(T + 1)[ROOT]);
});

test("a failure that was noted by a clock far ahead is tried again", async () => {
  const { world, repository, correct } = open(rpm(T));
  await repository.resolve(ROOT);
  world.now += TTL;
  world.faults.set(`${ONE} ${ROOT}`, "fails");
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "stale" });
  correct();
  world.faults.clear();
  expect(await repository.resolve(ROOT)).toMatchObject({ state: "revalidated" });
});

test("a root and a signature that were absent under a clock far ahead are asked for", async () => {
  const { world, repository, correct } = open({ [RELEASE]: release({ date: T, files: {} }) });
  await repository.resolve(RELEASE);
  expect(await repository.resolve(GPG)).toEqual({ kind: "absent", status: 404 });
  const rootless = "dists/new/InRelease";
  expect(await repository.resolve(rootless)).toMatchObject({ kind: "absent" });
  correct();
  const content = release({ date: T, files: {} });
  world.origins[ONE] = { [RELEASE]: content, [GPG]: signatureInForm(content), [rootless]: String(suite(T)[IN_RELEASE]) };
  expect(await repository.resolve(GPG)).toMatchObject({ kind: "object" });
  expect(await repository.resolve(rootless)).toMatchObject({ kind: "object" });
});

test("a sync that began under a clock far ahead is waited for from now on, for DOUBT_SECONDS", async () => {
  const { world, repository, correct } = open(rpm(T));
  await repository.resolve(ROOT);
  const next: Files = { ...rpm(T + 1), [`${ROOT}.asc`]: signatureInForm("another") };
  world.origins[ONE] = next;
  world.now += TTL;
  expect(await repository.resolve(ROOT)).toMatchObject({ hold: { kind: "sync" } });
  correct();
  const since = world.now;
  // A known sync is tried again behind the answer.
  const hold = { kind: "sync", since, until: since + 600 * SECOND };
  await expect.poll(() => repository.resolve(ROOT)).toMatchObject({ hold });
  world.now += 600 * SECOND;
  await expect.poll(() => world.read(repository, ROOT)).toBe(next[ROOT]);
});

test("a doubt that began under a clock far ahead is over an hour from now", async () => {
  const { world, repository, correct } = open(suite(T));
  await repository.resolve(IN_RELEASE);
  world.origins[ONE] = suite(T - DAY / SECOND);
  world.now += TTL;
  expect(await repository.resolve(IN_RELEASE)).toMatchObject({ hold: { kind: "older" } });
  correct();
  const since = world.now;
  expect(await repository.resolve(IN_RELEASE)).toMatchObject({ hold: { kind: "older", since, until: since + 3600 * SECOND } });
  world.now += 3600 * SECOND;
  expect(await world.read(repository, IN_RELEASE)).toBe(suite(T - DAY / SECOND)[IN_RELEASE]);
});

test("a late signature of another version that was first seen by a clock far ahead comes after DOUBT_SECONDS", async () => {
  const { world, repository, correct } = open({ [RELEASE]: release({ date: T, files: {} }) });
  await repository.resolve(RELEASE);
  const other = signatureInForm("another file");
  world.origins[ONE] = { [RELEASE]: release({ date: T, files: {} }), [GPG]: other };
  world.now += TTL;
  expect(await repository.resolve(GPG)).toMatchObject({ kind: "failure", status: 503 });
  correct();
  expect(await repository.resolve(GPG)).toMatchObject({ kind: "failure", status: 503 });
  world.now += 600 * SECOND;
  const late = await repository.resolve(GPG);
  expect(late.kind === "object" && late.object.sha256).toBe(sha256(other));
});
