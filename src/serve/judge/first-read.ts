import { isImmutable } from "../../config/config.ts";
import { DeliveryError, type Sink } from "../../fill/delivery.ts";
import type { Reading } from "../../fill/reading.ts";
import { HELD_BACK_BYTES, lastSlice } from "../../fill/shared/fill.ts";
import type { Target } from "../../route/target.ts";
import { SLICE_PREFIX } from "../../store/keys.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { putVerdict } from "../../store/put-verdict.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { judgesContent } from "../../verify/create-verifier.ts";
import { type Deliver, readInto } from "../answer/body.ts";
import type { Client } from "../shared/client.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";
import { deleteVersion } from "../../store/delete-version.ts";
import { BadBytes, createCheckedSink } from "./checked-sink.ts";

/** A body of an object of several slices, which may not have been judged yet. */
export interface Unjudged {
  readonly client: Client;
  readonly target: Target;
  readonly reading: Reading;
  readonly object: StoredObject;
}

/**
 * Bytes of an object, judged where no fill has judged it. The run that fetches one body from its beginning to its end judges it. An object that was pieced
 * together (a resumed download, a part that another request fetched) is judged by the first complete read, as its bytes go by in order; a read that got
 * its end only judges it once more from the store, if its contents can tell. The last bytes wait for the verdict, and a bad one deletes the head.
 */
export function judgedDeliver(unjudged: Unjudged, deps: ServeDependencies): Deliver {
  const { target, reading, object } = unjudged;
  const { size, sliceBytes } = object;
  return async (offset, length, sink) => {
    const end = offset + length;
    const isJudged = sliceBytes === undefined || object.verified !== "none";
    if (isJudged || end < size || !(await isJudgeable(target, deps))) return reading.deliver(offset, end, sink);
    if (offset === 0 && !reading.isBeingJudged) return judge(unjudged, 0, sink, deps);
    // Within the last slice, whose end is given out only when all of it is at rest.
    const tail = Math.max(offset, end - HELD_BACK_BYTES, lastSlice(size, sliceBytes) * sliceBytes);
    await reading.deliver(offset, tail, sink, end);
    const failed = await reading.prime(tail, end);
    if (failed !== null) throw new DeliveryError(failed);
    const isOpen = reading.object?.verified === "none" && (await canTell(target, deps)) && (await isComplete(object, deps));
    return isOpen ? judge(unjudged, tail, sink, deps) : reading.deliver(tail, end, sink);
  };
}

/** A file that may change is what the upstream had, in whatever parts it came; unless an index names it. */
async function isJudgeable(target: Target, { repositories }: ServeDependencies): Promise<boolean> {
  return isImmutable(target.class) || (target.class === "volatile" && (await repositories.expected(target)).kind === "known");
}

async function canTell(target: Target, { config, repositories }: ServeDependencies): Promise<boolean> {
  return judgesContent(target.path, config.verify === "index") || (await repositories.expected(target)).kind === "known";
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
  const checked = await createCheckedSink(target, { ...object, isKept: true }, deps, skipping(sink, from));
  try {
    await reading.deliver(0, object.size, checked);
    const { ok: _passed, ...proven } = await checked.finish();
    const judged = { ...object, ...proven };
    reading.noteVerdict(judged);
    client.waitUntil(noteVerdict(target, judged, deps));
  } catch (error) {
    if (!(error instanceof BadBytes)) throw error;
    deps.log(error.message);
    await deps.taint(target.key, object.version);
    reading.spoil();
    await deleteVersion(deps.store, target.key, object.version).catch((failure: unknown) =>
      deps.log(`Cannot delete ${target.key}: ${String(failure)}`),
    );
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

async function noteVerdict(target: Target, judged: StoredObject, { store, log }: ServeDependencies): Promise<void> {
  try {
    await putVerdict(store, target, judged, 0);
  } catch (error) {
    log(`Cannot note the verdict on ${target.key}: ${String(error)}`);
  }
}
