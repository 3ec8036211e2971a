import { TAIL_BYTES } from "../fill/fill.ts";
import { DeliveryError, type Reading, type Sink } from "../fill/reading.ts";
import type { Target } from "../route/target.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { deliverFrom, type Deliver } from "./body.ts";
import { BadBytes, createCheckedSink } from "./checked-sink.ts";
import type { Client } from "./client.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { forget } from "./stored-answer.ts";

/** Delivers the whole of an object, for the first time in order. */
export interface Unjudged {
  readonly client: Client;
  readonly target: Target;
  readonly reading: Reading;
  readonly object: StoredObject;
}

/**
 * The first complete read of an object that was fetched in pieces is where it can be judged: its bytes go by in order for the first time.
 * The last chunk waits for the verdict; a bad one deletes the head. Objects judged before are delivered without a look.
 */
export function verifyingDeliver(unjudged: Unjudged, deps: ServeDependencies): Deliver {
  const { reading, object, target } = unjudged;
  if (reading.isBeingJudged) return fillingDeliver(unjudged, deps);
  if (object.verified !== "none" || !isJudgeable(target)) return deliverFrom(reading);
  return (_offset, _length, sink) => judge(unjudged, 0, sink, deps);
}

/**
 * The whole of an object that is being fetched: judged by who fetches it, if that is one body from the beginning to the end. Where it was
 * pieced together, with a part that somebody else had asked for, it is read once more before the tail goes out.
 */
export function fillingDeliver(unjudged: Unjudged, deps: ServeDependencies): Deliver {
  const { reading, object, target } = unjudged;
  if (object.sliceBytes === undefined || !isJudgeable(target)) return deliverFrom(reading);
  return async (offset, length, sink) => {
    const tail = Math.max(offset, offset + length - TAIL_BYTES);
    await reading.deliver(offset, tail, sink);
    const failed = await reading.prime(tail, offset + length);
    if (failed !== null) throw new DeliveryError(failed);
    if (reading.object?.verified !== "none") return reading.deliver(tail, offset + length, sink);
    return judge(unjudged, tail, sink, deps);
  };
}

function isJudgeable(target: Target): boolean {
  return target.class === "package" || target.class === "unstable-package" || target.class === "hashed";
}

/** Reads the object from its beginning; the bytes from `from` on go out, the last of them only after the verdict. */
async function judge({ client, target, reading, object }: Unjudged, from: number, sink: Sink, deps: ServeDependencies): Promise<void> {
  const { key } = target;
  const checked = await createCheckedSink(target, object, deps, skipping(sink, from));
  try {
    await reading.deliver(0, object.size, checked);
    const { verified, sha256 } = await checked.finish();
    client.waitUntil(noteVerdict(key, { ...object, verified, ...(sha256 === undefined ? {} : { sha256 }) }, deps));
  } catch (error) {
    if (!(error instanceof BadBytes)) throw error;
    deps.log(error.message);
    reading.spoil();
    await deps.taint(key);
    await forget(key, object, deps);
    throw error;
  }
}

/** Lets only the bytes from `from` on through. */
function skipping(sink: Sink, from: number): Sink {
  let position = 0;
  return {
    async write(bytes) {
      const wanted = bytes.subarray(Math.max(0, from - position));
      position += bytes.length;
      if (wanted.length > 0) await sink.write(wanted);
    },
    pipe: (stream, length) => sink.pipe(stream, length),
  };
}

async function noteVerdict(key: string, object: StoredObject, { store, log }: ServeDependencies): Promise<void> {
  try {
    const head = await store.head(key);
    // Whoever reads at the same time comes to the same verdict: one write is enough.
    if (head?.version === object.version && head.verified === "none") await store.put(key, object, new Uint8Array(0));
  } catch (error) {
    log(`Cannot note the verdict on ${key}: ${String(error)}`);
  }
}
