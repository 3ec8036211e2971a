import type { FillRequest } from "../fill/fills.ts";
import { formatCacheStatus } from "../http/cache-status.ts";
import type { Target } from "../route/target.ts";
import { StoreError, type StoredBody } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { answer, answerHead, type Answer } from "./answer/answer.ts";
import { deliverAnswer, deliverFrom, streamBody, type Deliver } from "./answer/body.ts";
import { isLengthBlind, wantedOf, type Client } from "./client.ts";
import { expectedOf } from "./expected.ts";
import { refuseFailure } from "./answer/failure.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { forget, type StoredAnswer } from "./stored-answer.ts";
import { verifyingDeliver } from "./judge/verifying-deliver.ts";

/** The stored copy, with the bytes that the client asks for where one read gives them. A store that fails is a miss. */
export async function lookUp(client: Client, key: string, deps: ServeDependencies): Promise<StoredBody | null> {
  try {
    if (client.method !== "HEAD") return await deps.store.get(key, wantedOf(client));
    const object = await deps.store.head(key);
    return object === null ? null : { object, body: null };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    deps.log(`Cannot read ${key} from the store: ${error.message}`);
    return null;
  }
}

/** Answers from the store: one read for an inline object, the head and one read a slice for a sliced one. Null: it is gone by now. */
export async function answerStored(client: Client, stored: StoredAnswer, deps: ServeDependencies): Promise<Response | null> {
  const { object, body } = stored.found;
  const answered = answer(object, client);
  const head = answerHead(object, answered);
  head.headers.set("Age", String(Math.max(0, Math.floor(stored.ageSeconds))));
  head.headers.set("Cache-Status", formatCacheStatus(stored.status));
  if (!hasBody(client, answered)) {
    await body?.cancel();
    client.onBody(0, null);
    return new Response(null, head);
  }
  deps.onUse(stored.key, Number(head.headers.get("Content-Length")));
  if (object.sliceBytes !== undefined) return answerSliced(client, stored, answered, head, deps);
  const bytes = await inlineBody(client, stored, answered, deps);
  return bytes === null ? null : new Response(bytes, head);
}

/** Whether an answer to this client has a body. */
export function hasBody(client: Client, answered: Answer): boolean {
  return client.method !== "HEAD" && (answered.kind === "full" || answered.kind === "partial" || answered.kind === "multipart");
}

type AnswerHead = ReturnType<typeof answerHead>;

async function inlineBody(
  client: Client,
  { key, found }: StoredAnswer,
  answered: Answer,
  { store }: ServeDependencies,
): Promise<ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null> {
  const { object } = found;
  const isWanted = answered.kind === (wantedOf(client) === undefined ? "full" : "partial");
  if (!isWanted || object.size === 0) await found.body?.cancel();
  const read = async (range?: { offset: number; length: number }) => {
    const again = await store.get(key, range);
    if (again === null || again.object.version === object.version) return again?.body ?? null;
    await again.body?.cancel();
    return null;
  };
  switch (answered.kind) {
    case "full":
      client.onBody(object.size, null);
      if (object.size === 0) return new Uint8Array(0);
      return isWanted ? found.body : read();
    case "partial":
      client.onBody(answered.span.length, null);
      return isWanted ? found.body : read(answered.span);
    case "multipart": {
      const deliver: Deliver = async (offset, length, sink) => {
        const part = await read({ offset, length });
        if (part === null) throw new Error("the object was replaced while it was being sent");
        return sink.pipe(part, length);
      };
      return streamBody(client, { length: answered.layout.contentLength, isChunked: false }, (sink) =>
        deliverAnswer(answered, object.size, deliver, sink),
      );
    }
    default:
      return null;
  }
}

async function answerSliced(
  client: Client,
  stored: StoredAnswer,
  answered: Answer,
  head: AnswerHead,
  deps: ServeDependencies,
): Promise<Response | null> {
  const { object } = stored.found;
  const { offset, length } = answered.kind === "partial" ? answered.span : { offset: 0, length: object.size };
  const request = { key: stored.key, head: object, first: offset, last: offset + length - 1, recheck: false };
  const opened = await deps.fills.open(fillRequest(client, stored.target, deps, request));
  if (opened.kind === "reading") {
    const { reading } = opened;
    const end = answered.kind === "multipart" ? null : await reading.prime(offset, offset + length);
    if (end === null) {
      const deliver =
        answered.kind === "multipart" ? deliverFrom(reading) : verifyingDeliver({ client, target: stored.target, reading, object }, deps);
      return streamReading(client, { object, answered, head, close: () => reading.close() }, deliver);
    }
    reading.close();
    if (end.kind === "failure") return refuseFailure(end);
  }
  // The upstream has another version than the one begun here: what is stored of it can never be completed.
  await forget(stored.key, object, deps);
  return null;
}

/** Streams an answer from a fill; chunked where the client would take a short body for whole. */
export function streamReading(
  client: Client,
  { object, answered, head, close }: { object: StoredObject; answered: Answer; head: AnswerHead; close: () => void },
  deliver: Deliver,
): Response {
  const isChunked = isLengthBlind(client) && object.verified === "none";
  const body = streamBody(client, { length: Number(head.headers.get("Content-Length")), isChunked }, async (sink) => {
    try {
      await deliverAnswer(answered, object.size, deliver, sink);
    } finally {
      close();
    }
  });
  if (isChunked) head.headers.delete("Content-Length");
  return new Response(body, head);
}

/** What a client's request for a target asks of a fill. */
export function fillRequest(
  client: Client,
  target: Target,
  { repositories }: ServeDependencies,
  rest: Omit<FillRequest, "target" | "waitUntil" | "expected">,
): FillRequest {
  return { target, waitUntil: client.waitUntil, expected: (waitMs) => expectedOf(target, repositories, waitMs), ...rest };
}
