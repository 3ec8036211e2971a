import { createCheck, createStreamDigest, type Passed } from "../../fill/pump/check.ts";
import type { Sink } from "../../fill/delivery.ts";
import { judgeByIndex } from "../../fill/pump/index-verdict.ts";
import type { Target } from "../../route/target.ts";
import type { Expected } from "../../verify/expectation.ts";
import { readInto } from "../answer/body.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";

/** The bytes are not what they should be. */
export class BadBytes extends Error {
  override readonly name = "BadBytes";
}

/** A sink that judges what goes through it, in order, and keeps the last chunk back until `finish`. Both throw `BadBytes`. */
export interface CheckedSink extends Sink {
  /** The verdict; the last chunk goes out with it. */
  finish(): Promise<Passed>;
}

/** What is to be checked of a body that was not judged as it was fetched. */
export interface Checkable {
  readonly size: number | undefined;
  readonly contentType: string | undefined;
  /** Whether the verdict is noted in a stored head. */
  readonly isKept: boolean;
}

/** Checks what goes into `sink`; a body that can never be whole is refused as soon as that shows. */
export async function createCheckedSink(
  target: Target,
  { size, contentType, isKept }: Checkable,
  deps: ServeDependencies,
  sink: Sink,
): Promise<CheckedSink> {
  const ask = (_waitMs: number, maxAgeMs?: number): Promise<Expected> => deps.repositories.expected(target, { maxAgeMs });
  const expected = await ask(0);
  const deep = deps.config.verify === "index";
  const check = createCheck({ target, contentType, contentLength: size, expected, deep, isKept, createDigest: createStreamDigest });
  let held: Uint8Array | null = null;

  async function write(bytes: Uint8Array): Promise<void> {
    if (held !== null) await sink.write(held);
    held = bytes;
    await check.feed(bytes);
    const reason = check.broken();
    if (reason !== null) throw new BadBytes(`Refused ${target.key}: ${reason}`);
  }

  return {
    write,
    pipe: (stream) => readInto(stream, write),
    async finish() {
      const verdict = await judgeByIndex(expected, await check.finish(), check.measured(), ask);
      if (!verdict.ok) throw new BadBytes(`Refused ${target.key}: ${verdict.reason}`);
      if (held !== null) await sink.write(held);
      return verdict;
    },
  };
}
