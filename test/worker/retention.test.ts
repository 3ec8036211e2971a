import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/parse-config.ts";
import type { Config } from "../../src/config/config.ts";
import { routeRequest } from "../../src/route/route-request.ts";
import { createReadyHeads } from "../../src/serve/answer/ready-heads.ts";
import { serve } from "../../src/serve/serve.ts";
import { createConfirmations } from "../../src/serve/shared/confirmations.ts";
import type { ServeDependencies } from "../../src/serve/shared/dependencies.ts";
import { newVersion } from "../../src/store/keys.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import type { UpstreamAnswer } from "../../src/upstream/upstream.ts";
import worker from "../../src/worker.ts";

const VARS = { MIRRORS: { debian: { distro: "debian", upstreams: ["http://origin.test/debian"] } } };
const { BUCKET } = env as unknown as { readonly BUCKET: R2Bucket };

/** `target`, with the name of each method called on it (and on what `get` of a namespace gives). */
function counted<T extends object>(name: string, target: T, calls: string[]): T {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object);
      if (typeof value !== "function") return value;
      return (...parameters: unknown[]) => {
        calls.push(`${name}.${String(property)}`);
        return Reflect.apply(value, object, parameters);
      };
    },
  });
}

describe("a warm hit", () => {
  it("is one R2 read at most and no call of a Durable Object, also as the ledger is told of it", async () => {
    const calls: string[] = [];
    const bindings = env as unknown as Record<string, object>;
    const counting = Object.fromEntries(
      ["BUCKET", "FLIGHTS", "REPOSITORIES", "LEDGER"].map((name) => [name, counted(name, bindings[name] as object, calls)]),
    );
    const given = { ...counting, ...VARS, LOG: "off", VERIFY: "structure" };
    const ask = async () => {
      const context = createExecutionContext();
      const request = new Request("http://localhost/debian/pool/5000-x.deb");
      const response = await worker.fetch(request as never, given as never, context);
      const bytes = await response.arrayBuffer();
      return { response, bytes, context };
    };
    const cold = await ask();
    expect(cold.response.status).toBe(200);
    await waitOnExecutionContext(cold.context);
    calls.length = 0;
    for (let hits = 0; hits < 50; hits++) {
      // Each hit's own calls.
      const { response } = await ask();
      expect(response.headers.get("cache-status")).toContain("hit");
      // None where the edge cache has it.
      expect(["", "BUCKET.get"]).toContain(calls.splice(0).join());
    }
  });
});

const DAY_SECONDS = 86_400;
const STORED_AT = Date.UTC(2026, 0, 1);
const KEPT = "what was stored";

describe("an object of 90 days", () => {
  const parsed = parseConfig(VARS);
  const config = (parsed.ok ? parsed.config : undefined) as Config;
  const store = createR2Store(BUCKET);
  const key = "debian/pool/x.deb";
  const failure = { kind: "failure", status: 502, detail: "down" } as const;
  const unused = () => {
    throw new Error("this is no part of the test");
  };

  /** Asks for the stored object when it is `seconds` old; the upstream, if asked, gives `answer`. */
  async function askAt(seconds: number, answer: UpstreamAnswer): Promise<{ response: Response; text: string; asked: number }> {
    const now = STORED_AT + seconds * 1_000;
    let asked = 0;
    const deps = {
      config,
      store,
      fills: { open: async () => failure, list: () => [] },
      upstreams: { open: async () => (asked++, answer) },
      repositories: { resolve: unused, noteUse: unused, expected: async () => ({ kind: "none" }), metalink: unused },
      confirmations: createConfirmations(),
      now: () => now,
      taint: unused,
      onUse: () => {},
      heads: createReadyHeads({ isLocal: true, now: Date.now }),
      log: () => {},
    } as unknown as ServeDependencies;
    const routed = routeRequest(config, { url: "/debian/pool/x.deb", host: "localhost" });
    if (routed.kind !== "mirror") throw new Error("no route");
    const client = { method: "GET", headers: new Headers(), waitUntil: () => {}, onBody: () => {}, onHead: () => {} };
    const response = await serve(client, routed.target, deps);
    return { response, text: await response.text(), asked };
  }

  async function keep(): Promise<void> {
    const bytes = new TextEncoder().encode(KEPT);
    const object = {
      version: newVersion(),
      size: bytes.length,
      contentType: "text/plain",
      etag: '"1"',
      upstream: "http://origin.test/debian",
    };
    await store.put(key, { ...object, storedAt: STORED_AT, verified: "length" }, bytes);
  }

  const unchanged: UpstreamAnswer = { kind: "not-modified", upstream: "http://one.test" };

  it("is a hit to its last second, and nobody is asked", async () => {
    await keep();
    const { response, text, asked } = await askAt(90 * DAY_SECONDS - 1, failure);
    expect([response.status, text, asked]).toEqual([200, KEPT, 0]);
    expect(response.headers.get("cache-status")).toContain("hit");
  });

  it("is a miss from that second on, though no cron has run: the upstream is asked", async () => {
    await keep();
    const { asked } = await askAt(90 * DAY_SECONDS, unchanged);
    expect(asked).toBe(1);
  });

  it("begins a new 90 days with the upstream's 304, and its bytes serve", async () => {
    await keep();
    const { response, text } = await askAt(90 * DAY_SECONDS, unchanged);
    expect([response.status, text]).toEqual([200, KEPT]);
    expect(response.headers.get("cache-status")).toContain("fwd-status=304");
    const again = await askAt(180 * DAY_SECONDS - 1, failure);
    expect([again.text, again.asked]).toEqual([KEPT, 0]);
    expect((await askAt(180 * DAY_SECONDS, unchanged)).asked).toBe(1);
  });

  it("serves while the upstream is down, and has no new life by that", async () => {
    await keep();
    const { response, text } = await askAt(90 * DAY_SECONDS, failure);
    expect([response.status, text]).toEqual([200, KEPT]);
    expect(response.headers.get("cache-status")).toContain("stale");
    expect((await store.head(key))?.storedAt).toBe(STORED_AT);
  });
});
