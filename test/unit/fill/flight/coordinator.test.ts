import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Coordinator } from "../../../../src/fill/flight/coordinator.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";

const OBJECT: StoredObject = {
  version: "a".repeat(32),
  size: 30,
  sliceBytes: 10,
  contentType: "application/x-rpm",
  upstream: "http://origin.test",
  storedAt: 0,
  verified: "none",
};
const KEY = "any/a.rpm";
const HOUR_MS = 3_600_000;

describe("a version that was given up", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function giveUpWhileLed() {
    const coordinator = new Coordinator();
    const leader = coordinator.claimSlice(KEY, 0, { recheck: false });
    if (leader.kind !== "lead") throw new Error("the first one leads");
    await leader.lease.tell({ kind: "describe", object: OBJECT });
    coordinator.taint(KEY, OBJECT.version);
    return { coordinator, leader };
  }

  it("is neither joined nor waited for by the next request, whose new version leads", async () => {
    const { coordinator } = await giveUpWhileLed();
    expect(coordinator.claimSlice(KEY, 0, { recheck: false })).toMatchObject({ kind: "lead", tainted: true, isShared: false });
  });

  it("claims no more slices: its leader does not hold up the new one", async () => {
    const { coordinator, leader } = await giveUpWhileLed();
    expect(await leader.lease.tell({ kind: "claim", slice: 1 })).toBe(false);
    expect(coordinator.claimSlice(KEY, 1, { recheck: false }).kind).toBe("lead");
  });

  it("stops its readers in other isolates for an hour, and is forgotten then", async () => {
    const { coordinator } = await giveUpWhileLed();
    const claim = () => coordinator.claimSlice(KEY, 2, { recheck: false, version: OBJECT.version }).kind;
    expect(claim()).toBe("spoiled");
    vi.advanceTimersByTime(HOUR_MS + 1);
    expect(claim()).toBe("lead");
  });
});
