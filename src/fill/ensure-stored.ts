import type { EnsureStored } from "../metadata/ports.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { Fills } from "./fills.ts";

/** A file of a repository may be large, and nobody's request waits for it to the end. */
const LIMIT_MS = 600_000;

/** Stores files of known digest without a client, by the same fill that clients' requests go through. */
export function createEnsureStored(fills: Fills, store: ObjectStore, waitUntil: (work: Promise<unknown>) => void): EnsureStored {
  return async ({ mirror, candidates, key, expectation, class: pathClass }) => {
    for (const path of candidates) {
      const stored = await store.head(key);
      if (stored !== null && stored.verified === "digest") return { kind: "stored", object: stored };
      const target = { mirror, path, query: "", key, class: pathClass, rule: "generation" };
      const expected = async () => ({ known: [expectation], provisional: false });
      const opened = await fills.open({ target, first: 0, recheck: false, waitUntil, expected });
      const end = opened.kind === "reading" ? await opened.reading.hold(LIMIT_MS) : opened;
      if (opened.kind === "reading") opened.reading.close();
      if (end === null) {
        const object = await store.head(key);
        if (object !== null) return { kind: "stored", object };
        return { kind: "failure", status: 503, detail: `The store did not take ${key}` };
      }
      if (end.kind === "failure") return end.isRefused === true ? { kind: "mismatch" } : end;
      if (end.kind !== "absent") return { kind: "failure", status: 502, detail: `The upstream's ${path} is ${end.kind}` };
    }
    return { kind: "absent" };
  };
}
