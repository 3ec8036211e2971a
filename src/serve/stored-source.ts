import type { Target } from "../route/target.ts";
import { keyAtRest } from "../store/keys.ts";
import type { StoredBody } from "../store/object-store.ts";
import { openPart } from "../store/read-object.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { OpenedSource, Source } from "./answer/answer.ts";
import type { AnswerWithBody } from "./answer/choose-answer.ts";
import { BadBytes } from "./judge/checked-sink.ts";
import { deliverDoubted, doubted, openDoubted } from "./judge/doubted.ts";
import { type Client, wantedOf } from "./shared/client.ts";
import type { ServeDependencies } from "./shared/dependencies.ts";
import { fillRequest, readingSource, spanOf } from "./reading-source.ts";

/**
 * What a look found. An object stored as one goes out as the store gave it; of a sliced one each slice is read, and fetched where it is missing. Where the
 * client doubts the file, its bytes are compared with the digest that is known of them.
 */
export function storedSource(client: Client, target: Target, found: StoredBody, deps: ServeDependencies): Source {
  const { object, body } = found;
  const close = async (): Promise<void> => body?.cancel();
  if (object.sliceBytes !== undefined) return { object, close, open: (answered) => openSliced(client, target, object, answered, deps) };
  return {
    object,
    close,
    async open(answered) {
      const one = doubted(client, target, object, answered, deps);
      const read = async (): Promise<ReadableStream<Uint8Array> | null> => {
        // The look read all of it, unless the client asks for a part.
        if (wantedOf(client) === undefined) return body;
        await body?.cancel();
        return openPart(deps.store, keyAtRest(target, object), object, 0, object.size, { isCompared: true });
      };
      const opened = one === null ? null : await openDoubted(one, answered, read, deps);
      return opened ?? openInline(client, target, found, answered, deps);
    },
  };
}

async function openSliced(
  client: Client,
  target: Target,
  object: StoredObject,
  answered: AnswerWithBody,
  deps: ServeDependencies,
): Promise<OpenedSource> {
  const { offset, length } = spanOf(answered, object.size);
  const request = { head: object, first: offset, last: offset + length - 1, recheck: false };
  const filling = await deps.fills.open(fillRequest(client, target, deps, request));
  if (filling.kind !== "reading") return filling;
  const { reading } = filling;
  const opened = await readingSource(client, target, reading, deps).open(answered);
  const one = doubted(client, target, object, answered, deps);
  if (one === null || opened.kind !== "deliver") return opened;
  return {
    ...opened,
    isInDoubt: true,
    async deliver(from, bytes, sink) {
      try {
        await deliverDoubted(one, (checked) => opened.deliver(from, bytes, checked), sink, deps);
      } catch (error) {
        // Its other readers stop as well, and the next request begins anew.
        if (error instanceof BadBytes) reading.spoil();
        throw error;
      }
    },
  };
}

/** The look asked for what the client asks for; where its conditions made another answer of that, the store is read once more. */
async function openInline(
  client: Client,
  target: Target,
  { object, body }: StoredBody,
  answered: AnswerWithBody,
  { store }: ServeDependencies,
): Promise<OpenedSource> {
  if (answered.kind === (wantedOf(client) === undefined ? "full" : "partial") && object.size > 0) {
    return body === null ? { kind: "gone" } : { kind: "body", body };
  }
  await body?.cancel();
  const key = keyAtRest(target, object);
  if (object.size === 0) return { kind: "body", body: new Uint8Array(0) };
  if (answered.kind !== "multipart") {
    const { offset, length } = spanOf(answered, object.size);
    const again = await openPart(store, key, object, offset, length);
    return again === null ? { kind: "gone" } : { kind: "body", body: again };
  }
  return {
    kind: "deliver",
    close() {},
    async deliver(offset, length, sink) {
      const part = await openPart(store, key, object, offset, length, { known: object });
      if (part === null) throw new Error("the object was replaced while it was being sent");
      return sink.pipe(part, length);
    },
  };
}
