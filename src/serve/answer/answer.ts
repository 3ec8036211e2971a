import type { Sink } from "../../fill/delivery.ts";
import type { FillEnd } from "../../fill/shared/fill.ts";
import { type CacheStatus, formatCacheStatus } from "../../http/cache-status.ts";
import type { Target } from "../../route/target.ts";
import { keyAtRest } from "../../store/keys.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { explainDoubt, isGone } from "../shared/absent.ts";
import { type Client, isLengthBlind } from "../shared/client.ts";
import type { Outcome, ServeDependencies } from "../shared/dependencies.ts";
import { deleteVersion } from "../../store/delete-version.ts";
import { type Deliver, deliverAnswer, streamBody } from "./body.ts";
import { type Answer, answerHead, type AnswerWithBody, chooseAnswer, hasBody, lengthOf } from "./choose-answer.ts";
import { refuse, refuseFailure } from "./failure.ts";

/** Where the bytes of an answer come from: they lie in the store, or are just coming. */
export interface Source {
  readonly object: StoredObject;
  /** Makes the bytes of an answer ready, up to the first one: what goes wrong until then is an answer of its own, and no broken body. */
  open(answered: AnswerWithBody): Promise<OpenedSource>;
  /** Called in place of `open`: the answer has no body. */
  close(): Promise<void> | void;
}

export type OpenedSource =
  /** Exactly the bytes to send. */
  | { readonly kind: "body"; readonly body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> }
  /** A writer of any part of the object; `close` is called when the body has ended, however it did. */
  | {
      readonly kind: "deliver";
      readonly deliver: Deliver;
      readonly close: () => void;
      /** The bytes are judged as they go out, and the body may be broken off. */
      readonly isInDoubt?: true;
    }
  /** The store does not have it any more. */
  | { readonly kind: "gone" }
  | FillEnd;

/** What an answer says of how the cache came by it. */
export interface Provenance {
  readonly cacheStatus: CacheStatus;
  /** Since an upstream last gave or confirmed it. */
  readonly ageSeconds: number;
}

/** The one way of answering (RFC 9110 §13.2.2, §14.2): conditions and ranges first, then the bytes, wherever they come from. */
export async function answer(
  client: Client,
  target: Target,
  source: Source,
  { cacheStatus, ageSeconds }: Provenance,
  deps: ServeDependencies,
): Promise<Outcome> {
  const { object } = source;
  const answered = chooseAnswer(object, client);
  const cache = formatCacheStatus(cacheStatus);
  // The headers of a whole object are ready, and shared by its answers: they are taken when nothing is waited for any more.
  const respond = (body: BodyInit | null, isChunked = false): Response => {
    const { status, headers } = headOf(target, object, answered, cache, ageSeconds, deps);
    if (answered.kind === "full") client.onHead(cache);
    return new Response(body, { status, headers: isChunked ? withoutLength(headers) : headers });
  };
  if (client.method === "HEAD" || !hasBody(answered)) {
    await source.close();
    client.onBody(0, null);
    return respond(null);
  }
  const length = lengthOf(answered, object.size);
  const opened = await source.open(answered);
  const key = keyAtRest(target, object);
  switch (opened.kind) {
    case "body":
      deps.onUse(key, length);
      client.onBody(length, null);
      return respond(opened.body);
    case "deliver": {
      deps.onUse(key, length);
      // In chunks where the client would take a short body for whole.
      const isChunked = isLengthBlind(client) && (object.verified === "none" || opened.isInDoubt === true);
      const write = (sink: Sink): Promise<void> => deliverAnswer(answered, object.size, opened.deliver, sink).finally(opened.close);
      return respond(streamBody(client, length, isChunked, write), isChunked);
    }
    case "gone":
      return { kind: "look-again" };
    case "failure":
      return refuseFailure(opened);
    case "unproven":
      return { kind: "look-again", isApart: true };
    case "folder":
      return refuse(502, `Cannot complete ${target.key}: the upstream has a folder of that name`);
    default:
      // What is stored of it can be completed when the upstreams that may have it answer again.
      if (opened.kind === "absent" && !isGone(opened)) return refuse(502, `Cannot complete ${target.key}: ${explainDoubt(opened)}`);
      // The upstream has another version than the one begun here: what is stored of it can never be completed.
      await deleteVersion(deps.store, key, object.version).catch((error: unknown) => deps.log(`Cannot delete ${key}: ${String(error)}`));
      return { kind: "look-again" };
  }
}

/** Status and headers of an answer; those of whole objects are ready. */
function headOf(
  target: Target,
  object: StoredObject,
  answered: Answer,
  cache: string,
  ageSeconds: number,
  { heads }: ServeDependencies,
): { readonly status: number; readonly headers: Headers } {
  if (answered.kind === "full") return { status: 200, headers: heads.of(object, target, cache, ageSeconds) };
  const head = answerHead(object, answered);
  head.headers.set("Age", String(Math.floor(ageSeconds)));
  head.headers.set("Cache-Status", cache);
  return head;
}

function withoutLength(headers: Headers): Headers {
  const rest = new Headers(headers);
  rest.delete("Content-Length");
  return rest;
}
