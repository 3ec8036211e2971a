import { describe, expect, test } from "vitest";
import { createLeases, FillCoordinator } from "../../../../src/fill/flight/fill-coordinator.ts";
import { coordinatorName, type Region, regionOf, REGIONS } from "../../../../src/fill/flight/regions.ts";
import { createNamespace, type Storages } from "../../../chaos/objects.ts";

const KEY = "any/a.rpm";
const VERSION = "a".repeat(32);
const FRESH = { recheck: false };

describe("the region of an isolate", () => {
  test.each([
    ["San Francisco", { continent: "NA", longitude: "-122.4" }, "wnam"],
    ["New York", { continent: "NA", longitude: "-74.0" }, "enam"],
    ["São Paulo", { continent: "SA", longitude: "-46.6" }, "sam"],
    ["London", { continent: "EU", longitude: "-0.1" }, "weur"],
    ["Berlin", { continent: "EU", longitude: "13.4" }, "weur"],
    ["Warsaw", { continent: "EU", longitude: "21.0" }, "eeur"],
    ["Dubai", { continent: "AS", longitude: "55.3" }, "me"],
    ["Tokyo", { continent: "AS", longitude: "139.7" }, "apac"],
    ["Sydney", { continent: "OC", longitude: "151.2" }, "oc"],
    ["Nairobi", { continent: "AF", longitude: "36.8" }, "afr"],
    ["North America, somewhere", { continent: "NA" }, "enam"],
    ["Antarctica", { continent: "AN", longitude: "0" }, null],
    ["Tor, or a place that Cloudflare does not know", { continent: null }, null],
    ["no Cloudflare in front", undefined, null],
    ["a name of Object.prototype", { continent: "constructor" }, null],
  ])("of a client in %s", (_place, client, region) => {
    expect(regionOf(client)).toBe(region);
  });
});

/** The coordinators, and isolates that call them from their regions. */
function createWorld() {
  const hints = new Map<string, string | null>();
  const errors: unknown[] = [];
  const storages: Storages = new Map();
  const broken = new Set<string>();
  const hanging = new Set<string>();
  const begin = () => {
    const objects = createNamespace(storages, (ctx) => new FillCoordinator(ctx, {}));
    const namespace: unknown = {
      ...objects,
      jurisdiction: () => namespace,
      get(id: { readonly name: string }, options?: { readonly locationHint?: string }) {
        if (broken.has(id.name)) throw new Error(`${id.name} is away`);
        if (hanging.has(id.name)) return { taint: () => new Promise(() => {}) };
        hints.set(id.name, options?.locationHint ?? null);
        return objects.get(id);
      },
    };
    return namespace as DurableObjectNamespace<FillCoordinator>;
  };
  let namespace = begin();
  return {
    hints,
    errors,
    broken,
    hanging,
    restart: () => void (namespace = begin()),
    isolate: (region: Region, jurisdiction?: "eu") =>
      createLeases(namespace, {
        onError: (error) => errors.push(error),
        region: () => region,
        jurisdiction,
        // Every limit is over as soon as all that can go on has gone on.
        timer: (_ms, run) => {
          const id = setImmediate(run);
          return () => clearImmediate(id);
        },
      }),
  };
}

describe("coordinators of regions", () => {
  test("lie in their region, and let one isolate of it lead", async () => {
    const { hints, isolate } = createWorld();
    expect(await isolate("apac").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "lead" });
    expect(await isolate("apac").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "follow" });
    expect([...hints]).toEqual([[coordinatorName(KEY, "apac"), "apac"]]);
  });

  test("know nothing of another region's leader: it fetches the file once as well", async () => {
    const { isolate } = createWorld();
    expect(await isolate("apac").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "lead" });
    expect(await isolate("weur").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "lead" });
  });

  test("keep their old names where no region is known", () => {
    expect(coordinatorName(KEY)).toMatch(/^flights-\d+$/);
    expect(coordinatorName(KEY, "weur")).toBe(coordinatorName(KEY).replace("-", "-weur-"));
  });

  test("all learn of a version that went bad in one, also those that have fetched nothing yet, and remember the file after a restart", async () => {
    const { hints, isolate, restart } = createWorld();
    await isolate("apac").taint(KEY, VERSION);
    expect([...hints]).toEqual(REGIONS.map((region) => [coordinatorName(KEY, region), region]));
    for (const region of REGIONS) {
      expect(await isolate(region).claimSlice(KEY, 0, { ...FRESH, version: VERSION })).toEqual({ kind: "spoiled" });
      expect(await isolate(region).claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "lead", tainted: true });
    }
    restart();
    for (const region of REGIONS) expect(await isolate(region).claimSlice(KEY, 0, FRESH)).toMatchObject({ tainted: true });
  });

  test("learn of it where one of them is away", async () => {
    const { broken, errors, isolate } = createWorld();
    broken.add(coordinatorName(KEY, "sam"));
    await isolate(null).taint(KEY, VERSION);
    expect(errors).toHaveLength(1);
    expect(await isolate("weur").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "lead", tainted: true });
  });

  test("do not have a client wait for one of them that never answers", async () => {
    const { errors, hanging, isolate } = createWorld();
    hanging.add(coordinatorName(KEY, "sam"));
    await isolate(null).taint(KEY, VERSION);
    expect(String(errors)).toContain("has not noted within 5000 ms");
    expect(await isolate("weur").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "lead", tainted: true });
  });

  test("are one set in a jurisdiction, whatever the region", async () => {
    const { hints, isolate } = createWorld();
    expect(await isolate("apac", "eu").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "lead" });
    expect(await isolate("weur", "eu").claimSlice(KEY, 0, FRESH)).toMatchObject({ kind: "follow" });
    await isolate("weur", "eu").taint(KEY, VERSION);
    expect([...hints]).toEqual([[coordinatorName(KEY), null]]);
  });
});
