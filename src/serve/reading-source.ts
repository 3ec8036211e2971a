import type { FillRequest } from "../fill/fills.ts";
import type { Reading } from "../fill/reading.ts";
import type { ByteSpan } from "../http/byte-ranges.ts";
import type { Target } from "../route/target.ts";
import type { Source } from "./answer/answer.ts";
import type { Deliver } from "./answer/body.ts";
import type { AnswerWithBody } from "./answer/choose-answer.ts";
import type { Client } from "./shared/client.ts";
import type { ServeDependencies } from "./shared/dependencies.ts";
import { judgedDeliver } from "./judge/first-read.ts";

/** What a fill brings: from its memory, from the store, or as it comes. From here on the object stays this version. */
export function readingSource(client: Client, target: Target, reading: Reading, deps: ServeDependencies): Source {
  const object = reading.promise();
  const close = (): void => reading.close();
  return {
    object,
    close,
    async open(answered) {
      // Several ranges are fetched one by one.
      if (answered.kind === "multipart") {
        const deliver: Deliver = (offset, length, sink, next) => reading.deliver(offset, offset + length, sink, offset + length, next);
        return { kind: "deliver", deliver, close };
      }
      const { offset, length } = spanOf(answered, object.size);
      const whole = reading.whole();
      const end = whole === null ? await reading.prime(offset, offset + length) : null;
      if (whole !== null || end !== null) close();
      if (whole !== null) return { kind: "body", body: whole.subarray(offset, offset + length) };
      return end ?? { kind: "deliver", deliver: judgedDeliver({ client, target, reading, object }, deps), close };
    },
  };
}

/** What a client's request for a target asks of a fill. */
export function fillRequest(
  client: Client,
  target: Target,
  { repositories }: ServeDependencies,
  rest: Omit<FillRequest, "target" | "waitUntil" | "expected">,
): FillRequest {
  return {
    target,
    waitUntil: client.waitUntil,
    expected: (waitMs, maxAgeMs) => repositories.expected(target, { waitMs, maxAgeMs }),
    ...rest,
  };
}

/** The part of the object that an answer needs; all of it for several ranges. */
export function spanOf(answered: AnswerWithBody, size: number): ByteSpan {
  return answered.kind === "partial" ? answered.span : { offset: 0, length: size };
}
