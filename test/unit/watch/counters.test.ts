import { describe, expect, it } from "vitest";
import { createCounters, tallyOf, type RequestRecord } from "../../../src/watch/counters.ts";
import { formatMetrics } from "../../../src/site/metrics.ts";
import { gatherStatus, type StatusSources } from "../../../src/site/status.ts";

const ANSWERED: RequestRecord = { method: "GET", mirror: "m", path: "p", status: 200, bytes: 100, cache: "hit", ms: 1 };
const answered = (part: Partial<RequestRecord>): RequestRecord => ({ ...ANSWERED, ...part });

function sources(counters: StatusSources["counters"]): StatusSources {
  return {
    counters,
    mirrors: ["m"],
    verify: "index",
    budget: 1_000,
    now: () => 5_000,
    fills: () => [],
    upstreams: () => [
      { upstream: 'http://a"b\\c', state: "open", outcome: "failing", failures: 3, firstByteMs: 20, bytesPerSecond: undefined, bodies: 0 },
    ],
    storage: async () => ({ used: 500, reserved: 10, shards: [{ shard: "m", objects: 2, live: 450, dead: 50 }] }),
    history: async () => ({ days: [], roots: [] }),
    repositories: async () => ({ counts: [{ mirror: "m", repositories: 3 }], latest: [{ name: "m/os", usedAt: 4_000 }] }),
  };
}

describe("counts", () => {
  it.each([
    ["hit", 200, "hit"],
    ["hit; ttl=30", 206, "hit"],
    ['hit; ttl=-1; detail="stale: gone"', 200, "stale"],
    ["fwd=stale; fwd-status=304", 200, "hit"],
    ["fwd=miss; fwd-status=200; stored", 200, "miss"],
    ["fwd=miss; fwd-status=200; stored; collapsed", 200, "collapsed"],
    [null, 200, "miss"],
    ["fwd=miss", 404, "error"],
    ["fwd=miss", 502, "error"],
  ] as const)("%s with %i as %s", (cache, status, outcome) => {
    const counters = createCounters();
    counters.answered(answered({ cache, status }), 1);
    expect(counters.mirrors().get("m")?.requests[outcome]).toBe(1);
    expect(counters.mirrors().get("m")?.bytes[outcome]).toBe(100);
  });

  it("tell those kept out from those that failed, and let no flood of them hide a trouble", async () => {
    const counters = createCounters();
    counters.trouble({ at: 1, where: "m/x", kind: "refused", cause: "short" }, "m");
    for (let times = 0; times < 100; times++) counters.answered(answered({ status: 503, cache: null, bytes: 0, turnedAway: true }), 1);
    expect((await gatherStatus(sources(counters))).mirrors[0]).toMatchObject({ requests: 100, turnedAway: 100 });
    expect(counters.troubles.groups()).toHaveLength(1);
    expect(await formatMetrics(sources(counters))).toContain('lazy_mirror_requests_total{mirror="m",result="turned-away"} 100\n');
  });

  it.each([
    ["hit", 200, { served: 100, saved: 100, fetched: 0 }],
    ["fwd=miss; fwd-status=200; stored; collapsed", 200, { served: 100, saved: 100, fetched: 0 }],
    // What is stored is counted when it is: for one client as for a hundred.
    ["fwd=miss; fwd-status=200; stored", 200, { served: 100, saved: 0, fetched: 0 }],
    ["fwd=bypass; fwd-status=200", 200, { served: 100, saved: 0, fetched: 100 }],
    ["fwd=miss", 404, { served: 100, saved: 0, fetched: 0 }],
  ] as const)("%s with %i add to the day", (cache, status, wanted) => {
    expect(tallyOf(answered({ cache, status }))).toMatchObject({ requests: 1, cut: 0, turnedAway: 0, ...wanted });
  });

  it("leave out what led to no mirror: names that clients make up would fill the memory", () => {
    const counters = createCounters();
    counters.answered(answered({ mirror: null }), 1);
    expect(counters.mirrors().size).toBe(0);
  });

  it("keep the most wanted however many paths there are", () => {
    const counters = createCounters();
    for (let path = 0; path < 10_000; path++) {
      counters.answered(answered({ path: "wanted" }), 1);
      counters.answered(answered({ path: String(path) }), 1);
    }
    expect(counters.top(1)).toEqual([{ mirror: "m", path: "wanted", requests: 10_000, bytes: 1_000_000 }]);
    expect(counters.top(1e9).length).toBeLessThanOrEqual(2_000);
  });

  it("keep the latest troubles, and count every one", async () => {
    const counters = createCounters();
    for (let at = 0; at < 100; at++) counters.trouble({ at, where: "m/some.deb", kind: "refused", cause: `reason ${"x".repeat(at)}` }, "m");
    expect(counters.troubles.groups().map(({ at }) => at)).toEqual(Array.from({ length: 30 }, (_, index) => 99 - index));
    expect((await gatherStatus(sources(counters))).mirrors[0]).toMatchObject({ refused: 100, objects: 2, held: 450 });
  });
});

describe("metrics", () => {
  it("escape what labels may not hold, and leave out what is not known", async () => {
    const text = await formatMetrics(sources(createCounters()));
    expect(text).toContain(String.raw`lazy_mirror_upstream_ready{upstream="http://a\"b\\c"} 0`);
    expect(text).not.toContain("upstream_bytes_per_second");
    expect(text).toContain('lazy_mirror_storage_bytes{mirror="m",state="dead"} 50\n');
  });

  it("are cumulative by duration, as a histogram is", async () => {
    const counters = createCounters();
    for (const ms of [1, 50, 3_000, 100_000]) counters.answered(answered({ ms }), 1);
    const text = await formatMetrics(sources(counters));
    const buckets = [...text.matchAll(/_bucket\{mirror="m",le="([^"]+)"\} (\d+)/g)].map(([, le, count]) => `${le}: ${count}`);
    expect(buckets).toEqual(["0.005: 1", "0.02: 1", "0.1: 2", "0.5: 2", "2: 2", "10: 3", "60: 3", "+Inf: 4"]);
    expect(text).toContain('_seconds_count{mirror="m"} 4\n');
  });

  it("tell how far behind a repository is", async () => {
    const hold = { kind: "needed", upstream: "http://one.test", reason: "not there", since: 2_000, until: 9_000 } as const;
    const holes = [{ path: "dists/a/x", reason: "not there", since: 1 }];
    const roots = [
      { mirror: "m", root: "dists/a", adoptedAt: 1, confirmedAt: 1, behindSince: 2_000, trouble: "half-way", hold, holes },
      { mirror: "m", root: "dists/b", adoptedAt: 1, confirmedAt: 1, behindSince: null, trouble: null, hold: null, holes: [] },
    ];
    const text = await formatMetrics({ ...sources(createCounters()), history: async () => ({ days: [], roots }) });
    expect(text).toContain('lazy_mirror_repository_behind_seconds{mirror="m",root="dists/a"} 3\n');
    expect(text).toContain('lazy_mirror_repository_behind_seconds{mirror="m",root="dists/b"} 0\n');
    expect(text).toContain('lazy_mirror_repository_confirmed{mirror="m",root="dists/a"} 0\n');
    expect(text).toContain('lazy_mirror_repository_held_until_seconds{mirror="m",root="dists/a",kind="needed"} 9\n');
    expect(text).toContain('lazy_mirror_repository_missing_files{mirror="m",root="dists/a"} 1\n');
    expect(text).toContain('lazy_mirror_repository_missing_files{mirror="m",root="dists/b"} 0\n');
  });

  it("tell what changed at rest, and how far the scrub is", async () => {
    const counters = createCounters();
    for (const key of ["m/a.deb", "m/b.deb"]) counters.rotten("m", key, "its sha256 is other", 4_000);
    const scrub = {
      began: 1_000,
      ended: 4_000,
      objects: 7,
      bytes: 700,
      unknown: 1,
      rotten: 2,
      last: [{ at: 4_000, key: "m/b.deb", reason: "x" }],
    };
    const scrubbed = { ...sources(counters), storage: async () => ({ ...(await sources(counters).storage()), scrub }) };
    const text = await formatMetrics(scrubbed);
    expect(text).toContain('lazy_mirror_rotten_objects_total{mirror="m"} 2\n');
    expect(text).toContain("lazy_mirror_scrub_bytes 700\n");
    const status = await gatherStatus(scrubbed);
    expect(status).toMatchObject({ scrub, troubleGroups: [{ where: "m/b.deb", kind: "rotten", count: 2 }] });
    expect(await formatMetrics(sources(createCounters()))).not.toContain("scrub");
    expect((await gatherStatus(sources(createCounters()))).scrub).toBeNull();
  });

  it("tell what a mirror may take, where it has a limit of its own", async () => {
    const quotas = new Map([["m", 600]]);
    expect(await formatMetrics({ ...sources(createCounters()), quotas })).toContain('lazy_mirror_storage_quota_bytes{mirror="m"} 600\n');
    expect(await formatMetrics(sources(createCounters()))).not.toContain("quota");
    expect((await gatherStatus({ ...sources(createCounters()), quotas })).mirrors).toMatchObject([{ name: "m", held: 450, quota: 600 }]);
    expect((await gatherStatus(sources(createCounters()))).mirrors).toMatchObject([{ name: "m", quota: null }]);
  });

  it("are there without the ledger too", async () => {
    const text = await formatMetrics({ ...sources(createCounters()), storage: () => Promise.reject(new Error("away")) });
    expect(text).toContain("lazy_mirror_storage_budget_bytes 1000\n");
  });
});
