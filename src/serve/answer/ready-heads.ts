import type { StoredObject } from "../../store/stored-object.ts";
import type { Heads } from "../shared/dependencies.ts";
import { answerHead } from "./choose-answer.ts";
import { contain } from "./contain.ts";

/** What an answer says beside the object: the value of Cache-Status, and whole seconds for Age. */
interface Said {
  readonly path: string;
  readonly cache: string;
  readonly age: number;
  /** When it was said, in whole seconds since the epoch. */
  readonly second: number;
}

/**
 * The headers of answers with a whole object. On one machine each stored object that memory knows has them ready, and what changes with time is set once a
 * second: to build the ten of them anew took a seventh of a hit. At the edge each request reads an object of its own, so that none is worth keeping. `now`:
 * milliseconds since the epoch.
 */
export function createReadyHeads({ isLocal, now }: { readonly isLocal: boolean; readonly now: () => number }): Heads {
  const ready = new WeakMap<StoredObject, Said & { readonly headers: Headers }>();

  /** RFC 9110 §6.6.1: a server with a clock sends Date. At the edge Cloudflare adds it; on one machine workerd does not. */
  function say(headers: Headers, { cache, age, second }: Said): void {
    headers.set("Age", String(age));
    headers.set("Cache-Status", cache);
    if (isLocal) headers.set("Date", new Date(second * 1_000).toUTCString());
  }

  return {
    of(object, { path }, cache, ageSeconds) {
      const said = { path, cache, age: Math.floor(ageSeconds), second: Math.floor(now() / 1_000) };
      const before = ready.get(object);
      // What all mirrors share has another path in each of them.
      const isSame = before?.path === path;
      if (isSame && before.second === said.second && before.age === said.age && before.cache === cache) return before.headers;
      const headers = isSame ? before.headers : answerHead(object, { kind: "full" }).headers;
      if (!isSame) contain(headers, said);
      say(headers, said);
      if (isLocal) ready.set(object, { ...said, headers });
      return headers;
    },
  };
}
