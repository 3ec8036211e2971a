import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isHeld,
  NO_LEASES,
  reduceLeases,
  takeoverIn,
  TAKEOVER_MS,
  type LeaseEvent,
  type LeaseState,
} from "../../../../src/fill/flight/lease-state.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";
import type { UpstreamFailure } from "../../../../src/upstream/upstream.ts";

const OBJECT: StoredObject = {
  version: "0".repeat(32),
  size: 100,
  sliceBytes: 10,
  contentType: "application/x-rpm",
  upstream: "http://origin.test",
  storedAt: 0,
  verified: "none",
};
const FAILURE: UpstreamFailure = { kind: "failure", status: 502, detail: "it is down" };

const holder = fc.constantFrom("a", "b", "c", "d");
const slice = fc.integer({ min: 0, max: 3 });
const event: fc.Arbitrary<LeaseEvent> = fc.oneof(
  fc.record({ kind: fc.constant("claim"), slice }),
  fc.record({ kind: fc.constant("describe"), object: fc.constant(OBJECT) }),
  fc.record({ kind: fc.constant("progress") }),
  fc.record({ kind: fc.constant("commit"), slice }),
  fc.record({ kind: fc.constant("fail"), failure: fc.constant(FAILURE) }),
  fc.record({ kind: fc.constant("release") }),
);
const history = fc.array(fc.record({ event, holder, wait: fc.integer({ min: 0, max: TAKEOVER_MS * 1.5 }) }), { maxLength: 60 });

/** Runs `steps`, with a look at each one. */
function play(
  steps: readonly { event: LeaseEvent; holder: string; wait: number }[],
  look: (before: LeaseState, after: LeaseState, did: LeaseEvent & { holder: string }, now: number) => void,
): { state: LeaseState; now: number } {
  let state = NO_LEASES;
  let now = 1_000_000;
  for (const step of steps) {
    now += step.wait;
    const after = reduceLeases(state, step.holder, step.event, now);
    look(state, after, { ...step.event, holder: step.holder }, now);
    state = after;
  }
  return { state, now };
}

const holds = (state: LeaseState, name: string): boolean => [...state.leases.values()].some((lease) => lease.holder === name);

describe("leases, whatever the order of events", () => {
  it("never pass from a holder that makes progress to another", () => {
    fc.assert(
      fc.property(history, (steps) => {
        play(steps, (before, after, did, now) => {
          for (const [at, lease] of before.leases) {
            const next = after.leases.get(at);
            if (!isHeld(before, at, now) || next?.holder === lease.holder) continue;
            // Only its own holder ends a live lease.
            expect(did.holder).toBe(lease.holder);
            expect(next).toBeUndefined();
          }
        });
      }),
    );
  });

  it("are granted to a claim of a slice that no holder has, and kept by a holder that claims again", () => {
    fc.assert(
      fc.property(history, (steps) => {
        play(steps, (before, after, did, now) => {
          if (did.kind !== "claim") return;
          const isOthers = isHeld(before, did.slice, now) && before.leases.get(did.slice)?.holder !== did.holder;
          expect(after.leases.get(did.slice)?.holder === did.holder).toBe(!isOthers);
        });
      }),
    );
  });

  it("let no request wait longer than the takeover limit, and not at all where the slice is free", () => {
    fc.assert(
      fc.property(history, slice, (steps, at) => {
        const { state, now } = play(steps, () => {});
        const wait = takeoverIn(state, at, now);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(TAKEOVER_MS);
        expect(isHeld(state, at, now)).toBe(wait > 0);
        expect(isHeld(state, at, now + wait)).toBe(false);
      }),
    );
  });

  it("change nothing for others by the events of a holder that has none, but for the mark of a commit", () => {
    fc.assert(
      fc.property(history, (steps) => {
        play(steps, (before, after, did) => {
          if (did.kind === "claim" || holds(before, did.holder)) return;
          expect([...after.leases]).toEqual([...before.leases]);
          expect(after.failures).toBe(before.failures);
          if (after.leases.size > 0) expect(after.object).toEqual(before.object);
        });
      }),
    );
  });

  it("count each failure of a live holder once, and end all its leases", () => {
    fc.assert(
      fc.property(history, (steps) => {
        play(steps, (before, after, did) => {
          expect(after.failures - before.failures).toBe(did.kind === "fail" && holds(before, did.holder) ? 1 : 0);
          if (did.kind === "fail" || did.kind === "release") expect(holds(after, did.holder)).toBe(false);
        });
      }),
    );
  });

  it("describe no object once the last holder has let go", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { state, now } = play(steps, () => {});
        const all = ["a", "b", "c", "d"].reduce((left, name) => reduceLeases(left, name, { kind: "release" }, now), state);
        expect(all.leases.size).toBe(0);
        expect(all.object).toBeNull();
      }),
    );
  });
});
