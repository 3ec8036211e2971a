import type { EnsureStored } from "../metadata/ports/ensure-stored.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { UpstreamFailure } from "../upstream/upstream.ts";
import type { FillEnd } from "./shared/fill.ts";
import type { Fills } from "./fills.ts";
import { DeliveryError, type Sink } from "./delivery.ts";
import type { Reading } from "./reading.ts";

/** Stores files of known digest without a client, by the same fill that clients' requests go through. */
export function createEnsureStored(fills: Fills, store: ObjectStore, waitUntil: (work: Promise<unknown>) => void): EnsureStored {
  return async ({ mirror, candidates, key, expectation, isAhead = false }) => {
    let isMismatch = false;
    let failure: UpstreamFailure | null = null;
    for (const path of candidates) {
      const stored = await store.head(key);
      if (stored?.verified === "digest") return { kind: "stored", object: stored };
      const target = { mirror, path, query: "", key, class: "member", rule: "generation", repository: null } as const;
      const expected = async () => ({ kind: "known", expectations: [expectation] }) as const;
      const opened = await fills.open({ target, first: 0, recheck: false, waitUntil, expected, head: stored, isAhead });
      const end = opened.kind === "reading" ? await readThrough(opened.reading, isAhead) : opened;
      if (end === NO_ROOM) return { kind: "no-room" };
      if (end === null) {
        const object = await store.head(key);
        return object === null
          ? { kind: "failure", status: 503, detail: `The store did not take ${key}` }
          : { kind: "stored", object, isFetched: true };
      }
      if (end.kind === "failure" && end.isRefused !== true) {
        // A server may fail at one path and have the file at another, such as one that rewrites by-hash paths. One that is busy or silent is so for all.
        if (end.status !== 502) return end;
        failure ??= end;
      } else if (end.kind === "failure") isMismatch = true;
      else if (end.kind !== "absent") return { kind: "failure", status: 502, detail: `The upstream's ${path} is ${end.kind}` };
    }
    return failure ?? { kind: isMismatch ? "mismatch" : "absent" };
  };
}

/** Until then a broken file is fetched from another upstream, unseen; after it, the reader must keep up with what cannot be stored. */
const HOLD_MS = 8_000;

/** What is fetched ahead cannot be stored: to fetch the rest of it would serve no client. */
const NO_ROOM = "no-room";

/** Goes through the whole object as a client would, without the bytes. */
async function readThrough(reading: Reading, isAhead: boolean): Promise<FillEnd | typeof NO_ROOM | null> {
  const isInVain = (): boolean => isAhead && !reading.isStorable;
  const sink: Sink = {
    async write() {
      if (isInVain()) throw new NoRoomError();
    },
    pipe: (stream) => stream.cancel(),
  };
  try {
    if (isInVain()) return NO_ROOM;
    const end = await reading.hold(HOLD_MS);
    if (end !== null) return end;
    if (reading.growing !== null) await reading.deliverGrowing(sink);
    else await reading.deliver(0, reading.promise().size, sink);
    await reading.settled();
    return null;
  } catch (error) {
    if (error instanceof DeliveryError) return error.end;
    if (error instanceof NoRoomError) return NO_ROOM;
    throw error;
  } finally {
    reading.close();
  }
}

class NoRoomError extends Error {}
