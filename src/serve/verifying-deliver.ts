import type { Reading, Sink } from "../fill/reading.ts";
import { DeliveryError } from "../fill/reading.ts";
import { createCheck } from "../fill/check.ts";
import { createStreamDigest } from "../fill/stream-digest.ts";
import { deliverFrom, type Deliver } from "./body.ts";
import type { Client } from "./client.ts";
import { expectedOf } from "./expected.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { forget, type StoredAnswer } from "./stored-answer.ts";

/** A reader's chunk of a stored slice: large reads cost a sixth of the default ones' CPU. */
const READ_BYTES = 512 * 1024;

/**
 * The first complete read of an object that was fetched in pieces is where it can be judged: its bytes go by in order for the first time.
 * The last chunk waits for the verdict; a bad one deletes the head. Objects judged before are delivered without a look.
 */
export function verifyingDeliver(client: Client, stored: StoredAnswer, reading: Reading, deps: ServeDependencies): Deliver {
  const { object } = stored.found;
  const { target, key } = stored;
  const isPackage = target.class === "package" || target.class === "unstable-package" || target.class === "hashed";
  if (object.verified !== "none" || !isPackage) return deliverFrom(reading);
  return async (offset, length, sink) => {
    const expected = await expectedOf(target, deps.repositories, 0);
    const check = createCheck({
      path: target.path,
      class: target.class,
      contentType: object.contentType,
      contentLength: object.size,
      expected: expected.known,
      deep: deps.config.verify === "index",
      fingerprint: expected.provisional,
      createDigest: createStreamDigest,
    });
    let held: Uint8Array | null = null;
    const write = async (bytes: Uint8Array) => {
      if (held !== null) await sink.write(held);
      await check.feed(bytes);
      held = bytes;
    };
    const checked: Sink = { write, pipe: (stream) => readInto(stream, write) };
    await deliverFrom(reading)(offset, length, checked);
    const verdict = await check.finish();
    if (!verdict.ok) {
      deps.log(`Deleted ${key}: ${verdict.reason}`);
      await forget(key, object, deps);
      await deps.taint(key);
      throw new DeliveryError({ kind: "failure", status: 502, detail: `the stored ${key} proved bad: ${verdict.reason}` });
    }
    if (held !== null) await sink.write(held);
    client.waitUntil(
      noteVerdict(
        stored,
        { ...object, verified: verdict.verified, ...(verdict.sha256 === undefined ? {} : { sha256: verdict.sha256 }) },
        deps,
      ),
    );
  };
}

async function noteVerdict(
  { key }: StoredAnswer,
  object: StoredAnswer["found"]["object"],
  { store, log }: ServeDependencies,
): Promise<void> {
  try {
    const head = await store.head(key);
    if (head?.version === object.version) await store.put(key, object, new Uint8Array(0));
  } catch (error) {
    log(`Cannot note the verdict on ${key}: ${String(error)}`);
  }
}

async function readInto(stream: ReadableStream<Uint8Array>, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const reader = stream.getReader({ mode: "byob" });
  for (;;) {
    const { value, done } = await reader.readAtLeast(READ_BYTES, new Uint8Array(READ_BYTES));
    if (value !== undefined && value.length > 0) await write(value);
    if (done) return;
  }
}
