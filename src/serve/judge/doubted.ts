import { createStreamDigest } from "../../fill/pump/check.ts";
import type { Sink } from "../../fill/delivery.ts";
import { asksAnew } from "../../http/cache-control.ts";
import type { Target } from "../../route/target.ts";
import { keyAtRest } from "../../store/keys.ts";
import { knownDigest, type KnownDigest } from "../../store/known-digest.ts";
import { readStream } from "../../store/read-object.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { createProof } from "../../verify/proof.ts";
import type { OpenedSource } from "../answer/answer.ts";
import { type Deliver, readInto } from "../answer/body.ts";
import type { AnswerWithBody } from "../answer/choose-answer.ts";
import type { Client } from "../shared/client.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";
import { BadBytes } from "./checked-sink.ts";

/** For a part of a file all of it is read, if it is no longer than this: a client that asks for a byte is to cost no more. */
const MAX_READ_FOR_PART = 1024 * 1024;
/** On the free plan the runtime moves longer bodies: their bytes would take more than the CPU time of a request. */
const FREE_PLAN_BYTES = 1024 * 1024;
/** A body up to this long goes to the runtime as one chunk. A longer one is written by us, so that we know when its memory is free again. */
const AS_ONE_BYTES = 128 * 1024;

/** A stored file that a client doubts, with the digest that its bytes must have. */
export interface Doubted {
  readonly target: Target;
  /** Where it lies. */
  readonly key: string;
  readonly object: StoredObject;
  readonly known: KnownDigest;
}

/**
 * Whether the bytes of this answer are hashed again as they are sent: the client says `no-cache`, a digest is known, and the answer is the whole file, or a
 * part of one that is short. Null: they are not.
 */
export function doubted(
  client: Client,
  target: Target,
  object: StoredObject,
  answered: AnswerWithBody,
  { native }: Pick<ServeDependencies, "native">,
): Doubted | null {
  if (object.size === 0 || !asksAnew(client.headers)) return null;
  const isPart = answered.kind !== "full";
  if (isPart && (object.sliceBytes !== undefined || object.size > MAX_READ_FOR_PART)) return null;
  if (native !== null && object.size > FREE_PLAN_BYTES) return null;
  const key = keyAtRest(target, object);
  const known = knownDigest(key, object);
  return known === null ? null : { target, key, object, known };
}

/**
 * Answers from all bytes of an object that is stored as one, which `read` opens. A short one is read and compared before the answer begins: if it is rotten,
 * it is deleted and `gone`, and the same request fetches it. A long one, or one for which memory has no room, is compared as it goes out. Null: memory has no
 * room, and only a part is wanted: nothing is compared.
 */
export async function openDoubted(
  one: Doubted,
  answered: AnswerWithBody,
  read: () => Promise<ReadableStream<Uint8Array> | null>,
  deps: ServeDependencies,
): Promise<OpenedSource | null> {
  const { size } = one.object;
  const isWhole = answered.kind === "full";
  const free = !isWhole || size <= deps.config.holdBytes ? deps.room.take(size) : null;
  if (free === null && !isWhole) return null;
  const stream = await read();
  if (stream === null) {
    free?.();
    return { kind: "gone" };
  }
  if (free === null) {
    const deliver: Deliver = (_offset, _length, sink) => deliverDoubted(one, (checked) => checked.pipe(stream, size), sink, deps);
    return { kind: "deliver", deliver, isInDoubt: true, close() {} };
  }
  const bytes = await readWhole(one, stream, deps).catch((error: unknown) => {
    deps.log(`Cannot read the stored ${one.key}: ${String(error)}`);
    return null;
  });
  if (bytes === null || (answered.kind !== "multipart" && size <= AS_ONE_BYTES)) free();
  if (bytes === null) return { kind: "gone" };
  if (answered.kind !== "multipart" && size <= AS_ONE_BYTES) {
    const { offset, length } = isWhole ? { offset: 0, length: size } : answered.span;
    return { kind: "body", body: bytes.subarray(offset, offset + length) };
  }
  return { kind: "deliver", deliver: (offset, length, sink) => sink.write(bytes.subarray(offset, offset + length)), close: free };
}

/** All bytes, if they are those of the digest; else the object is deleted, and null. */
async function readWhole(
  one: Doubted,
  whole: ReadableStream<Uint8Array>,
  deps: ServeDependencies,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const { object, known } = one;
  const bytes = await readStream(whole);
  if (bytes.length !== object.size) throw new Error(`the store gave ${bytes.length} bytes of ${object.size}`);
  const proof = createProof(known, createStreamDigest);
  await proof.update(bytes);
  const reason = await proof.finish();
  if (reason === null) return bytes;
  await drop(one, reason, deps);
  return null;
}

async function drop(
  { target, key, object }: Doubted,
  reason: string,
  { condemn, taint }: Pick<ServeDependencies, "condemn" | "taint">,
): Promise<void> {
  // What all mirrors share is fetched again under the mirror's own key.
  if (target.key !== key) await taint(target.key, object.version);
  await condemn(key, object, reason);
}

/**
 * Sends a whole object, which `send` writes in order, and compares it as it goes by. The last chunk waits for the comparison; where that fails the object is
 * deleted, and `BadBytes` is thrown, which aborts the body.
 */
export async function deliverDoubted(
  one: Doubted,
  send: (sink: Sink) => Promise<void>,
  sink: Sink,
  deps: Pick<ServeDependencies, "condemn" | "taint">,
): Promise<void> {
  const { object, known } = one;
  const proof = createProof(known, createStreamDigest);
  let held: Uint8Array | null = null;
  let length = 0;
  const write = async (bytes: Uint8Array): Promise<void> => {
    if (held !== null) await sink.write(held);
    held = bytes;
    length += bytes.length;
    await proof.update(bytes);
  };
  await send({ write, pipe: (stream) => readInto(stream, write) });
  // A store that fails half-way says nothing of the bytes that are there.
  if (length !== object.size) throw new Error(`the store gave ${length} bytes of ${object.size}`);
  const reason = await proof.finish();
  if (reason !== null) {
    await drop(one, reason, deps);
    throw new BadBytes(`the stored copy changed at rest: ${reason}`);
  }
  if (held !== null) await sink.write(held);
}
