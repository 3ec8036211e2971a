import fc from "fast-check";
import { expect, test } from "vitest";
import { freshness } from "../../../src/serve/freshness.ts";
import { doubtSigned, signedFileOf } from "../../../src/serve/pair.ts";
import { createConfirmations } from "../../../src/serve/shared/confirmations.ts";
import type { ServeDependencies } from "../../../src/serve/shared/dependencies.ts";
import { routeRequest } from "../../../src/route/route-request.ts";
import { parseConfig } from "../../../src/config/parse-config.ts";

const CONFIG = { metadataTtlSeconds: 60, retentionDays: 90 };
const SECOND = 1_000;

/** A mirror of one file and its signature, both of which change together upstream: `version` is what the upstream has. */
function createPair() {
  const parsed = parseConfig({ MIRRORS: { m: { upstreams: ["http://one.test/"] } } });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  const stored = new Map<string, { storedAt: number; version: number }>();
  const pair = { now: 1_000_000, version: 1, requests: 0, get };
  const confirmations = createConfirmations();
  const deps = {
    confirmations,
    now: () => pair.now,
    store: { head: async (key: string) => stored.get(key) ?? null },
  } as unknown as ServeDependencies;
  return pair;

  /** What a client gets; the part of serve.ts that decides about freshness, over a model of the store. */
  async function get(path: string): Promise<number> {
    const routed = routeRequest(parsed.ok ? parsed.config : { mirrors: new Map(), serverNames: [] }, { url: `/m/${path}` });
    if (routed.kind !== "mirror") throw new Error(routed.kind);
    const { target } = routed;
    const found = stored.get(target.key);
    const signed = await signedFileOf(target, deps);
    const verdict = freshness(
      {
        stored: found ?? null,
        where: { kind: "own", key: target.key },
        settled: undefined,
        class: target.class,
        isDoubted: false,
        answeredAt: confirmations.at(target.key),
        failedAt: 0,
        doubtedAt: confirmations.doubtedAt(target.key),
        signed,
        now: pair.now,
      },
      CONFIG,
    );
    if (signed !== null && verdict.kind !== "use") doubtSigned(signed, deps);
    if (found !== undefined && verdict.kind === "use") return found.version;
    pair.requests++;
    if (found?.version === pair.version) confirmations.note(target.key, pair.now);
    else stored.set(target.key, { storedAt: pair.now, version: pair.version });
    return pair.version;
  }
}

const FILE = "iso/latest/image.iso";
const SIGNATURE = `${FILE}.sig`;

test("a client that asks for a file and then for its signature gets two that belong together, whatever was asked before and when", async () => {
  const step = fc.record({ seconds: fc.integer({ min: 1, max: 200 }), isPublished: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const pair = createPair();
      for (const { seconds, isPublished } of steps) {
        pair.now += seconds * SECOND;
        if (isPublished) pair.version++;
        pair.now += SECOND;
        const file = await pair.get(FILE);
        pair.now += 10;
        expect(await pair.get(SIGNATURE)).toBe(file);
      }
    }),
  );
});

test("a signature that was asked for before its file, and changed, has the file asked for again", async () => {
  const pair = createPair();
  await pair.get(SIGNATURE);
  pair.now += 60 * SECOND;
  await pair.get(FILE);
  pair.version++;
  pair.now += 30 * SECOND;
  expect(await pair.get(SIGNATURE)).toBe(2);
  pair.now += SECOND;
  expect(await pair.get(FILE)).toBe(2);
  pair.now += SECOND;
  expect(await pair.get(SIGNATURE)).toBe(2);
});

test("a pair that stays costs two requests each time that its life is over", async () => {
  const pair = createPair();
  for (let second = 0; second < 600; second++) {
    await pair.get(FILE);
    await pair.get(SIGNATURE);
    pair.now += SECOND;
  }
  expect(pair.requests).toBeLessThanOrEqual(12);
});
