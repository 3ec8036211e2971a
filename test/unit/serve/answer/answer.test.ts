import { expect, test } from "vitest";
import { parseConfig } from "../../../../src/config/parse-config.ts";
import { routeRequest } from "../../../../src/route/route-request.ts";
import { answer, type Source } from "../../../../src/serve/answer/answer.ts";
import { createReadyHeads } from "../../../../src/serve/answer/ready-heads.ts";
import type { ServeDependencies } from "../../../../src/serve/shared/dependencies.ts";
import { describeObject } from "../../../../src/store/stored-object.ts";

test("an answer that waits for its bytes says what is true of it, whatever another answer of the object says meanwhile", async () => {
  const parsed = parseConfig({ MIRRORS: { m: { upstreams: ["http://127.0.0.1:1"] } } });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  const routed = routeRequest(parsed.config, { url: "/m/a.deb" });
  if (routed.kind !== "mirror") throw new Error(routed.kind);
  const object = describeObject(
    { contentType: "text/plain", etag: undefined, lastModified: undefined, upstream: "http://a" },
    { version: "0".repeat(32), size: 1, storedAt: 0, verified: "length" },
  );
  const deps = { heads: createReadyHeads({ isLocal: true, now: () => 1_000 }), onUse: () => {} } as unknown as ServeDependencies;
  const client = { method: "GET", headers: new Headers(), waitUntil: () => {}, onBody: () => {}, onHead: () => {} };
  const opening = Promise.withResolvers<void>();
  const sourceAfter = (before: Promise<void>): Source => ({
    object,
    close: () => {},
    open: async () => (await before, { kind: "body", body: new Uint8Array(1) }),
  });
  const first = answer(client, routed.target, sourceAfter(opening.promise), { cacheStatus: { kind: "hit" }, ageSeconds: 5_000 }, deps);
  const revalidated = { cacheStatus: { kind: "forwarded", reason: "stale", status: 304 }, ageSeconds: 0 } as const;
  const second = await answer(client, routed.target, sourceAfter(Promise.resolve()), revalidated, deps);
  opening.resolve();
  const said = [await first, second].map((one) =>
    one instanceof Response ? [one.headers.get("age"), one.headers.get("cache-status")] : one,
  );
  expect(said).toEqual([
    ["5000", "lazy-mirror; hit"],
    ["0", expect.stringContaining("fwd=stale")],
  ]);
});
