import type { EnsureStored, EnsureStoredAnswer } from "../metadata/ports/ensure-stored.ts";
import type { Target } from "../route/target.ts";
import { deleteVersion } from "../store/delete-version.ts";
import { keysOf } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { putVerdict } from "../store/put-verdict.ts";
import { readObject } from "../store/read-object.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamFailure } from "../upstream/upstream.ts";
import type { Known } from "../verify/expectation.ts";
import { createCheck, createStreamDigest } from "./pump/check.ts";
import type { FillEnd } from "./shared/fill.ts";
import type { Fills } from "./fills.ts";
import { DeliveryError, type Sink } from "./delivery.ts";
import type { Reading } from "./reading.ts";

/** Stores files of known digest without a client, by the same fill that clients' requests go through. */
export function createEnsureStored(fills: Fills, store: ObjectStore, waitUntil: (work: Promise<unknown>) => void): EnsureStored {
  return async ({ mirror, candidates, key, expectation, isAhead = false }) => {
    const keys = keysOf(mirror, key);
    const expected = { kind: "known", expectations: [expectation] } as const;
    let isMismatch = false;
    let failure: UpstreamFailure | null = null;
    for (const path of candidates) {
      const target = { mirror, path, query: "", ...keys, class: "member", rule: "generation", repository: null } as const;
      let fetched = await fetch(target, expected, isAhead);
      // Parts that were stored before had other bytes, and are deleted now.
      if (fetched.kind === "other") fetched = await fetch(target, expected, isAhead);
      if (fetched.kind === "stored" || fetched.kind === "no-room" || fetched.kind === "unkept") return fetched;
      if (fetched.kind === "failure" && fetched.isRefused !== true) {
        // A server may fail at one path and have the file at another, such as one that rewrites by-hash paths. One that is busy or silent is so for all.
        if (fetched.status !== 502) return fetched;
        failure ??= fetched;
      } else if (fetched.kind === "failure" || fetched.kind === "other") isMismatch = true;
      else if (fetched.kind !== "absent") return { kind: "failure", status: 502, detail: `The upstream's ${path} is ${fetched.kind}` };
    }
    return failure ?? { kind: isMismatch ? "mismatch" : "absent" };
  };

  async function fetch(
    target: Target,
    expected: Known,
    isAhead: boolean,
  ): Promise<Stored | Unkept | Exclude<FillEnd, { kind: "stored" }> | { readonly kind: "other" } | { readonly kind: "no-room" }> {
    const atRest = target.sharedKey ?? target.key;
    const stored = await store.head(atRest);
    if (stored?.verified === "digest") return { kind: "stored", object: stored };
    const head = target.sharedKey === undefined ? stored : await store.head(target.key);
    const opened = await fills.open({ target, first: 0, recheck: false, waitUntil, expected: async () => expected, head, isAhead });
    const end = opened.kind === "reading" ? await readThrough(opened.reading, isAhead) : opened;
    if (end === NO_ROOM) return { kind: "no-room" };
    if (end !== null && end.kind !== "stored") return end;
    const object = await findProven(target, expected);
    if (object === "other") return { kind: "other" };
    if (object === null) return { kind: "unkept", reason: `the store did not take ${atRest}` };
    return { kind: "stored", object, isFetched: true };
  }

  /** The stored object of a file that has been read to its end. No run judged what was pieced together: this function does. Null: the store has none. */
  async function findProven(target: Target, expected: Known): Promise<StoredObject | "other" | null> {
    const proven = await store.head(target.sharedKey ?? target.key);
    if (proven?.verified === "digest") return proven;
    const object = await store.head(target.key);
    if (object === null) return null;
    const about = { target, contentType: undefined, contentLength: object.size, deep: true, isKept: true };
    const check = createCheck({ ...about, expected, createDigest: createStreamDigest });
    for await (const chunk of readObject(store, target.key)) await check.feed(chunk);
    const { ok, ...facts } = await check.finish();
    if (!ok) {
      await deleteVersion(store, target.key, object.version);
      return "other";
    }
    const judged = { ...object, ...facts };
    await putVerdict(store, target, judged, object.size);
    return judged;
  }
}

type Stored = Extract<EnsureStoredAnswer, { kind: "stored" }>;
type Unkept = Extract<EnsureStoredAnswer, { kind: "unkept" }>;

/** Until then a broken file is fetched from another upstream, unseen; after it, the reader must keep up with what cannot be stored. */
const HOLD_MS = 8_000;

/** What is fetched ahead cannot be stored: to fetch the rest of it would serve no client. */
export const NO_ROOM = "no-room";

/** Goes through the whole object as a client would, without the bytes. */
export async function readThrough(reading: Reading, isAhead: boolean): Promise<FillEnd | typeof NO_ROOM | null> {
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
