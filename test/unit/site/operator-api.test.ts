import { describe, expect, it } from "vitest";
import { createOperatorApi } from "../../../src/site/operator-api.ts";
import { newVersion } from "../../../src/store/keys.ts";
import { createLedgers } from "../../support/ledgers.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const TOKEN = "a-long-token";

async function createApi(token: string | undefined = TOKEN) {
  const store = createMemoryStore(() => 1_000);
  const ledgers = createLedgers({ store, now: () => 1_000, budget: 1_000, mirrors: ["debian", "fedora"] });
  for (const name of ["debian/a.deb", "fedora/a.rpm", "fedora/b.rpm", "fedora/c.iso"]) {
    const object = { version: newVersion(), size: 10, contentType: "x", upstream: "u", storedAt: 1_000, verified: "none" } as const;
    await store.put(name, object, new Uint8Array(10));
    const record = { key: name, version: object.version, size: 10, sliceBytes: null, class: "package", storedAt: 1_000 };
    await ledgers.port(name.split("/")[0] ?? "").record({ news: [{ kind: "stored", key: name, record }], uses: [] });
  }
  const purged: string[] = [];
  const forgotten: string[] = [];
  const repositories = [{ name: "debian/" }];
  const api = createOperatorApi({
    token,
    budget: 1_000,
    retentionDays: 90,
    flush: async () => {},
    forget: async (name, pattern) => void forgotten.push(`${name} ${pattern}`),
    onPurged: async (keys) => void purged.push(...keys),
    transfer: {} as never,
    ledger: (name) => ({
      view: async () => ({ ...ledgers.book.view(), scrub: null }),
      next: (limit) => ledgers.book.next(limit),
      sweepAll: () => ledgers.book.sweep(),
      repositoryPage: async () => ({
        rows: repositories.map((one) => ({ ...one, usedAt: 1_000, files: 1, bytes: 10, roots: [] })),
        after: null,
      }),
      list: async (...page) => ledgers.shard(name).list(...page),
      purge: (...page) => ledgers.shard(name).purge(...page),
      pin: async (pattern) => ledgers.ledger(name).pin(pattern),
      unpin: async (pattern) => ledgers.ledger(name).unpin(pattern),
      pins: async () => ledgers.ledger(name).pins(),
    }),
  });
  async function ask(path: string, init: RequestInit = {}) {
    const response = await api.request(path, { ...init, headers: { authorization: `Bearer ${TOKEN}` } });
    return { status: response.status, body: await response.json<Record<string, unknown>>() };
  }
  const post = (path: string, body: unknown) => ask(path, { method: "POST", body: JSON.stringify(body) });
  return { api, ask, post, store, ledgers, purged, forgotten };
}

/** All pages of a listing. */
async function keysOf(page: (after: string) => Promise<{ body: Record<string, unknown> }>): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let after: string | null = ""; after !== null;) {
    const { body } = await page(after);
    keys.push(...(body["rows"] as readonly { key: string }[]).map(({ key }) => key));
    after = body["after"] as string | null;
  }
  return keys;
}

describe("the operator's door", () => {
  it("is not there without a configured token", async () => {
    const { api } = await createApi("");
    expect((await api.request("/", { headers: { authorization: "Bearer " } })).status).toBe(404);
  });

  it.each([undefined, "Bearer wrong", `Basic ${TOKEN}`, "Bearer a-long-toke"])("is closed to %s", async (authorization) => {
    const { api } = await createApi();
    const response = await api.request("/", { headers: authorization === undefined ? {} : { authorization } });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
  });
});

describe("the operator's verbs", () => {
  it("status tells totals and budget", async () => {
    const { ask } = await createApi();
    const { status, body } = await ask("/");
    expect(status).toBe(200);
    expect(body).toMatchObject({ budget: 1_000, used: 40, pins: [] });
  });

  it("ls pages through all ledgers that can match", async () => {
    const { ask } = await createApi();
    const list = (pattern: string) => keysOf((after) => ask(`/objects?limit=1&pattern=${encodeURIComponent(pattern)}&after=${after}`));
    expect(await list("*.rpm")).toEqual(["fedora/a.rpm", "fedora/b.rpm"]);
    expect(await list("*a.*")).toEqual(["debian/a.deb", "fedora/a.rpm"]);
    expect(await list("fedora/*")).toHaveLength(3);
    expect(await list("rocky/*")).toEqual([]);
  });

  it("purge deletes what matches, and with dryRun only tells", async () => {
    const { post, store, purged } = await createApi();
    const dry = await keysOf((after) => post("/purge", { pattern: "fedora/*.rpm", dryRun: true, after }));
    expect(dry).toEqual(["fedora/a.rpm", "fedora/b.rpm"]);
    expect(store.heads.size).toBe(4);
    expect(purged).toEqual([]);
    await keysOf((after) => post("/purge", { pattern: "fedora/*.rpm", after }));
    expect([...store.heads.keys()]).toEqual(["debian/a.deb", "fedora/c.iso"]);
    expect(purged).toEqual(["fedora/a.rpm", "fedora/b.rpm"]);
  });

  it("purge without a pattern, or with an unknown field, deletes nothing", async () => {
    const { post, store } = await createApi();
    for (const body of [{}, { pattern: "" }, { pattern: "fedora/*", dry: true }, null]) {
      expect((await post("/purge", body)).status).toBe(400);
    }
    expect(store.heads.size).toBe(4);
  });

  it("next says what would go, and why; a pinned object is not among it", async () => {
    const { ask, post } = await createApi();
    await post("/pins", { pattern: "fedora/*.iso" });
    const { body } = await ask("/next?limit=10");
    const rows = body["rows"] as readonly { key: string; why: string }[];
    expect(rows.map(({ key }) => key)).toEqual(["debian/a.deb", "fedora/a.rpm", "fedora/b.rpm"]);
    expect(rows[0]?.why).toMatch(/0 uses/);
    expect((await ask(`/pins?pattern=${encodeURIComponent("fedora/*.iso")}`, { method: "DELETE" })).status).toBe(200);
    expect((await ask("/pins?pattern=fedora", { method: "DELETE" })).status).toBe(404);
    expect(((await ask("/next")).body["rows"] as readonly unknown[]).length).toBe(4);
  });

  it("unpin removes a pin by the name that status lists, however it was written", async () => {
    const { ask, post } = await createApi();
    for (const unpinned of ["fedora/*.iso", "/fedora/*.iso"]) {
      expect((await post("/pins", { pattern: "/fedora/*.iso" })).body).toEqual({ pinned: "fedora/*.iso" });
      expect((await ask("/")).body["pins"]).toEqual(["fedora/*.iso"]);
      expect((await ask(`/pins?pattern=${encodeURIComponent(unpinned)}`, { method: "DELETE" })).status).toBe(200);
      expect((await ask("/")).body["pins"]).toEqual([]);
      expect(((await ask("/next")).body["rows"] as readonly unknown[]).length).toBe(4);
    }
  });

  it.each(["fedroa/*.iso", "fedora", "fed?x/*", "f?/fedora/*"])("pin refuses %s, which no key can match", async (pattern) => {
    const { ask, post } = await createApi();
    const { status, body } = await post("/pins", { pattern });
    expect([status, body["error"]]).toEqual([400, expect.stringContaining(`Cannot pin "${pattern}"`)]);
    expect(body["error"]).toContain("-/, debian/, fedora/");
    expect((await ask("/")).body["pins"]).toEqual([]);
  });

  it.each(["*", "*.iso", "fed*", "?edora/a.rpm", "-/sha256/*", "fedora/a.rpm"])("pin takes %s", async (pattern) => {
    const { ask, post } = await createApi();
    expect((await post("/pins", { pattern })).body).toEqual({ pinned: pattern });
    expect((await ask("/")).body["pins"]).toEqual([pattern]);
  });
});
