import { lastSlice, TAIL_BYTES } from "../../fill/shared/fill.ts";
import { DeliveryError, type Reading, type Sink } from "../../fill/reading.ts";
import type { Target } from "../../route/target.ts";
import { SLICE_PREFIX } from "../../store/keys.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { type Deliver, readInto } from "../answer/body.ts";
import { BadBytes, createCheckedSink } from "./checked-sink.ts";
import type { Client } from "../client.ts";
import type { ServeDependencies } from "../dependencies.ts";
import { expectedOf } from "../expected.ts";
import { forget } from "../stored-answer.ts";

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
  const isJudgedElsewhere = object.verified !== "none" || reading.isBeingJudged || !isJudgeable(target);
  return async (offset, length, sink) => {
    if (isJudgedElsewhere || offset > 0 || length < object.size) return fillingDeliver(unjudged, deps)(offset, length, sink);
    return judge(unjudged, 0, sink, deps);
  };
}

/**
 * Bytes of an object that is being fetched. Who fetches it judges it, if that is one body from the beginning to the end. Where it was pieced
 * together (a resumed download, a part that somebody else had asked for) and its contents can tell, it is read once more from the store
 * before its tail goes out.
 */
export function fillingDeliver({ client, target, reading, object }: Unjudged, deps: ServeDependencies): Deliver {
  return async (offset, length, sink) => {
    const end = offset + length;
    if (object.sliceBytes === undefined || object.verified !== "none" || end < object.size || !isJudgeable(target)) {
      return reading.deliver(offset, end, sink);
    }
    // Within the last slice, whose end is given out only when all of it is at rest.
    const tail = Math.max(offset, end - TAIL_BYTES, lastSlice(object.size, object.sliceBytes) * object.sliceBytes);
    await reading.deliver(offset, tail, sink, end);
    const failed = await reading.prime(tail, end);
    if (failed !== null) throw new DeliveryError(failed);
    const isOpen = reading.object?.verified === "none" && (await canTell(target, deps)) && (await isComplete(object, deps));
    if (isOpen) return judge({ client, target, reading, object }, tail, sink, deps);
    await reading.deliver(tail, end, sink);
  };
}

function isJudgeable(target: Target): boolean {
  return target.class === "package" || target.class === "unstable-package" || target.class === "hashed";
}

async function canTell(target: Target, { config, repositories }: ServeDependencies): Promise<boolean> {
  if (/\.u?deb$/.test(target.path) || (config.verify === "index" && /\.d?rpm$/.test(target.path))) return true;
  return (await expectedOf(target, repositories, 0)).known.length > 0;
}

/** Whether all of its slices are at rest: nothing is fetched only to be judged. */
async function isComplete({ version, size, sliceBytes = size }: StoredObject, { store, log }: ServeDependencies): Promise<boolean> {
  try {
    let count = 0;
    for (let cursor: string | undefined = ""; cursor !== undefined;) {
      const page: Awaited<ReturnType<ObjectStore["list"]>> = await store.list({
        prefix: `${SLICE_PREFIX}${version}/`,
        ...(cursor === "" ? {} : { cursor }),
      });
      count += page.objects.length;
      ({ cursor } = page);
    }
    return count > lastSlice(size, sliceBytes);
  } catch (error) {
    log(`Cannot list the slices of ${version}: ${String(error)}`);
    return false;
  }
}

/** Reads the object from its beginning; the bytes from `from` on go out, the last of them only after the verdict. */
async function judge({ client, target, reading, object }: Unjudged, from: number, sink: Sink, deps: ServeDependencies): Promise<void> {
  const { key } = target;
  const checked = await createCheckedSink(target, object, deps, skipping(sink, from));
  try {
    await reading.deliver(0, object.size, checked);
    const { verified, sha256 } = await checked.finish();
    const judged = { ...object, verified, ...(sha256 === undefined ? {} : { sha256 }) };
    reading.noteVerdict(judged);
    client.waitUntil(noteVerdict(key, judged, deps));
  } catch (error) {
    if (!(error instanceof BadBytes)) throw error;
    deps.log(error.message);
    await deps.taint(key, object.version);
    reading.spoil();
    await forget(key, object, deps);
    throw error;
  }
}

/** Lets only the bytes from `from` on through. */
function skipping(sink: Sink, from: number): Sink {
  let position = 0;
  const write = async (bytes: Uint8Array): Promise<void> => {
    const wanted = bytes.subarray(Math.max(0, from - position));
    position += bytes.length;
    if (wanted.length > 0) await sink.write(wanted);
  };
  return { write, pipe: (stream) => readInto(stream, write) };
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
