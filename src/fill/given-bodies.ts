import type { EnsureStoredAnswer } from "../metadata/ports/ensure-stored.ts";
import type { Target } from "../route/target.ts";
import { contentKey } from "../store/keys.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { SourceError, type ByteSource, type UpstreamFailure, type UpstreamRequest, type Upstreams } from "../upstream/upstream.ts";
import type { Expected, NamedDigest } from "../verify/expectation.ts";
import { createEnsureStored, NO_ROOM, readThrough } from "./ensure-stored.ts";
import { createFills } from "./fills.ts";
import type { PumpDependencies } from "./pump/dependencies.ts";

/** A file that the operator sends. */
export interface GivenBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** Bytes. */
  readonly size: number;
  readonly contentType: string | undefined;
  /** As a header of HTTP writes it. */
  readonly lastModified: string | undefined;
}

/** What became of a given file. `refused`: nothing is stored; `reason` is the end of a sentence about the file. */
export type Given =
  | { readonly kind: "stored" | "present"; readonly object: StoredObject }
  | { readonly kind: "refused"; readonly reason: string };

/** The name that stands in the place of an upstream's URL. It is none, so that no upstream is asked by the validators that came with the file. */
const GIVEN = "import";

/** What is to be stored under its path, by what the indexes say of it; or under a digest. */
export type GivenPlace =
  | { readonly target: Target; readonly expected: (waitMs: number, maxAgeMs?: number) => Promise<Expected> }
  | { readonly mirror: Target["mirror"]; readonly digest: NamedDigest };

interface Coming {
  readonly body: GivenBody;
  /** Whether a run has begun to read it: it cannot be read again. */
  taken: boolean;
  /** Why it was refused, or not stored. */
  reason: string | null;
}

/**
 * Stores files that the operator sends: by the same fill as a client's miss, whose only upstream is the body of the request. No upstream of the mirror is
 * asked, so that a body that is broken or ends early leaves nothing behind.
 */
export function createGivenBodies(deps: PumpDependencies) {
  /** Bodies that come now, by `nameOf`. */
  const coming = new Map<string, Coming>();
  const { store } = deps;
  const upstreams: Upstreams = {
    async open(request) {
      const given = coming.get(nameOf(request));
      if (given === undefined || given.taken) return refusal(given?.reason ?? "its body was not sent whole");
      given.taken = true;
      const { size, contentType, lastModified } = given.body;
      const representation = { size, contentType, lastModified, etag: undefined, contentEncoding: undefined, upstream: GIVEN };
      return { kind: "body", representation, first: 0, source: sourceOf(given.body) };
    },
  };
  const fills = createFills({
    ...deps,
    upstreams,
    // The platform moves no body of the operator past the pump.
    maxPumpBytes: Infinity,
    onBroken: (target, _upstream, reason) => note(nameOf(target), reason),
    onUnstored: (key, reason) => {
      note(key, reason);
      deps.onUnstored(key, reason);
    },
  });

  function note(name: string, reason: string): void {
    const given = coming.get(name);
    if (given !== undefined) given.reason = reason;
  }

  /** Leaves of the stream what it did not need. `waitUntil` keeps the request alive that carries the body. Never rejects but for a failure of the store. */
  return async function giveBody(place: GivenPlace, body: GivenBody, waitUntil: (work: Promise<unknown>) => void): Promise<Given> {
    const key = "target" in place ? place.target.key : contentKey(place.mirror, place.digest);
    const path = "target" in place ? place.target.path : key;
    const mirror = "target" in place ? place.target.mirror : place.mirror;
    const present = await store.head(key);
    if (present !== null) return { kind: "present", object: present };
    const name = nameOf({ mirror, path, query: "" });
    if (coming.has(name)) return { kind: "refused", reason: "another request sends it just now" };
    const given: Coming = { body, taken: false, reason: null };
    coming.set(name, given);
    try {
      return "target" in place ? await storeByPath(place) : await storeByDigest(place);
    } finally {
      coming.delete(name);
    }

    async function storeByPath({ target, expected }: Extract<GivenPlace, { target: Target }>): Promise<Given> {
      const open = (recheck: boolean) => fills.open({ target, first: 0, recheck, waitUntil, expected, isAhead: true });
      let opened = await open(true);
      // Another request stored it within these seconds; what was purged since is not there.
      if (opened.kind === "stored" && (await store.head(target.key)) === null) opened = await open(false);
      const end = opened.kind === "reading" ? await readThrough(opened.reading, true) : opened;
      if (end === NO_ROOM) return { kind: "refused", reason: given.reason ?? "there is no room for it" };
      if (end !== null && end.kind !== "stored")
        return { kind: "refused", reason: given.reason ?? (end.kind === "failure" ? end.detail : `it is ${end.kind}`) };
      const object = await store.head(target.key);
      if (object === null) return { kind: "refused", reason: given.reason ?? "the store did not take it" };
      return { kind: end === null ? "stored" : "present", object };
    }

    async function storeByDigest({ digest }: Extract<GivenPlace, { digest: NamedDigest }>): Promise<Given> {
      const expectation = { ...digest, size: body.size, source: "name" } as const;
      const answer = await createEnsureStored(fills, store, waitUntil)({ mirror, candidates: [path], key, expectation, isAhead: true });
      if (answer.kind === "stored") return { kind: "stored", object: answer.object };
      return { kind: "refused", reason: given.reason ?? reasonOf(answer) };
    }
  };
}

function reasonOf(answer: Exclude<EnsureStoredAnswer, { kind: "stored" }>): string {
  switch (answer.kind) {
    case "failure":
      return answer.detail;
    case "unkept":
      return answer.reason;
    case "no-room":
      return "there is no room for it";
    case "mismatch":
    case "absent":
      return "its bytes are not those of its digest";
  }
}

function nameOf({ mirror, path, query }: Pick<UpstreamRequest, "mirror" | "path" | "query">): string {
  return `${mirror.name}/${path}${query}`;
}

function refusal(reason: string): UpstreamFailure {
  return { kind: "failure", status: 502, detail: reason };
}

/** The body of a request, which cannot be asked for again. */
function sourceOf({ stream }: GivenBody): ByteSource {
  const reader = stream.getReader();
  return {
    async read() {
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return null;
          if (value.length > 0) return value;
        }
      } catch (error) {
        throw new SourceError(refusal(`its body was not sent whole: ${error instanceof Error ? error.message : String(error)}`));
      }
    },
    // The rest is passed over once the verdict is there.
    cancel: () => reader.releaseLock(),
  };
}
