import type { Config, PathClass } from "../../config/config.ts";
import type { Target } from "../../route/target.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { isImmutable } from "../../upstream/classify-response.ts";
import { SourceError, type UpstreamAnswer, type UpstreamFailure, type UpstreamRequest, type Upstreams } from "../../upstream/upstream.ts";
import type { Expectation } from "../../verify/expectation.ts";
import type { CreateDigest } from "../../verify/create-verifier.ts";
import type { RestDependencies } from "./at-rest.ts";
import { cut } from "./cut.ts";
import { endFill, type Fill, type Run } from "../shared/fill.ts";
import { createKnownBytes } from "./known-bytes.ts";
import type { Leases, SliceLease } from "../flight/leases.ts";
import type { Memory } from "../shared/memory.ts";
import { dropBuffers } from "../shared/slice-buffers.ts";
import { sizeSource } from "./sized-source.ts";

/** Times that one file is begun anew (on another upstream, if there is one) while no client has seen a byte of it. */
const MAX_TRIES = 3;

/** Of metadata a repository needs the bytes themselves. */
const PUMPED_OR_PASSED: ReadonlySet<PathClass> = new Set<PathClass>(["package", "unstable-package", "volatile", "pass"]);

export interface PumpDependencies extends RestDependencies {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly upstreams: Upstreams;
  readonly leases: Leases;
  readonly memory: Memory;
  readonly now: () => number;
  readonly createDigest: CreateDigest;
  /** Whether an object of this size may be stored; may take a while where room must be made. Never rejects. */
  readonly admit: (key: string, size: number) => Promise<boolean>;
  /** Longer packages are not pumped: everyone gets them as the platform moves them. */
  readonly maxPumpBytes: number;
  /** A file arrived whole and was stored. */
  readonly onStored: (target: Target, object: StoredObject) => void;
  /** An upstream sent bytes that are not what they should be. */
  readonly onBroken: (target: Target, upstream: string, reason: string) => void;
}

/** What is known of the content before it comes. `provisional`: an index that may name it is still being read. */
export interface Expected {
  readonly known: readonly Expectation[];
  readonly provisional: boolean;
}

export interface PumpOptions {
  readonly run: Run;
  readonly lease: SliceLease;
  /** An answer already at hand (a revalidation that found another version); only for a run from slice 0. */
  readonly opened?: UpstreamAnswer;
  readonly expected: (waitMs: number) => Promise<Expected>;
}

/**
 * Fetches slices of `fill` from `run.slice` on, one upstream body in order, until the run's last slice, the end of the object, a slice that
 * somebody else holds or has stored, or the loss of its client. Settles everything in `fill`; never throws.
 */
export async function pump(fill: Fill, options: PumpOptions, deps: PumpDependencies): Promise<void> {
  const { run, lease } = options;
  const firstSlice = run.slice;
  const avoid: string[] = [];
  let opened = options.opened;
  try {
    for (let tries = 1; ; tries++) {
      const failed = await tryOnce(fill, options, opened, avoid, deps);
      if (failed === null) return;
      if (failed.again === null || firstSlice > 0 || fill.promised || tries === MAX_TRIES) {
        if (failed.spoils && fill.promised) await spoil(fill, deps);
        await settle(failed.failure);
        return;
      }
      avoid.push(failed.again);
      opened = undefined;
      const { object } = fill;
      fill.object = null;
      await unpublish(fill, object, deps);
      dropBuffers(fill);
      run.slice = firstSlice;
    }
  } catch (error) {
    await settle({ kind: "failure", status: 502, detail: `Cannot fetch ${fill.key}: ${String(error)}` });
  } finally {
    fill.runs.delete(run);
    fill.begun = true;
    lease.end();
    fill.changed.notify();
  }

  async function settle(failure: UpstreamFailure): Promise<void> {
    endFill(fill, failure);
    await lease.fail(failure);
  }
}

interface Failed {
  readonly failure: UpstreamFailure;
  /** The upstream to avoid on the next try; null where another try is of no use. */
  readonly again: string | null;
  /** Bytes of this version are bad, not only missing. */
  readonly spoils: boolean;
}

async function tryOnce(
  fill: Fill,
  options: PumpOptions,
  opened: UpstreamAnswer | undefined,
  avoid: readonly string[],
  deps: PumpDependencies,
): Promise<Failed | null> {
  const { sliceBytes } = fill;
  const { run, lease, expected } = options;
  const answer = opened ?? (await deps.upstreams.open(requestFor(fill, run, avoid, deps)));
  if (answer.kind === "failure") return { failure: answer, again: null, spoils: false };
  if (answer.kind === "not-modified" || answer.kind === "head") throw new Error(`the upstream's answer was ${answer.kind}, unasked for`);
  if (answer.kind === "absent" && avoid.length > 0) {
    const detail = `Cannot fetch ${fill.key}: ${avoid.join(", ")} sent a broken one, and nobody else has it`;
    return { failure: { kind: "failure", status: 502, detail }, again: null, spoils: false };
  }
  if (answer.kind === "changed") await abandonVersion(fill, deps);
  if (answer.kind !== "body") {
    endFill(fill, answer);
    return null;
  }
  const { representation, source, first } = answer;
  const { upstream } = representation;
  try {
    const size = representation.size;
    const body = size === undefined ? await sizeSource(source, fill.target.path, sliceBytes) : { size, proven: true, source };
    const isTooLong = fill.object === null && PUMPED_OR_PASSED.has(fill.target.class) && (size ?? 0) > deps.maxPumpBytes;
    if (body === null || representation.contentEncoding !== undefined || isTooLong) {
      endFill(fill, { kind: "unshared" });
      return null;
    }
    // An upstream that ignores Range starts at 0: what comes first is filled on the way.
    const asked = run.slice;
    run.slice = Math.floor(first / sliceBytes);
    const result = await cut({ fill, run, lease, representation, body, asked, expected }, deps);
    switch (result.kind) {
      case "done":
        return null;
      case "no-memory":
        return {
          failure: { kind: "failure", status: 503, detail: "Too much is being fetched at once", retryAfterSeconds: 5 },
          again: null,
          spoils: false,
        };
      case "short":
        return {
          failure: { kind: "failure", status: 502, detail: `${upstream} ended ${fill.key} after ${result.at} of ${body.size} bytes` },
          again: upstream,
          spoils: false,
        };
      case "broken":
        deps.onBroken(fill.target, upstream, result.reason);
        return {
          failure: { kind: "failure", status: 502, detail: `Refused ${fill.key} from ${upstream}: ${result.reason}`, isRefused: true },
          again: upstream,
          spoils: true,
        };
    }
  } catch (error) {
    if (error instanceof SourceError) return { failure: error.failure, again: upstream, spoils: false };
    throw error;
  } finally {
    source.cancel("this fetch has ended");
  }
}

/** Bytes went out, or were stored, that turned out bad: nothing may ever be resumed onto them. */
async function spoil(fill: Fill, deps: PumpDependencies): Promise<void> {
  fill.storable = false;
  // Before any reader learns of it: its client may come back at once, and must not be believed by its date.
  if (fill.object !== null) await deps.leases.taint(fill.key, fill.object.version);
  fill.spoiled = true;
  await unpublish(fill, fill.object, deps);
}

/** What is stored of this version can never be completed: its head would make every reader fail at the same byte. */
async function abandonVersion(fill: Fill, deps: PumpDependencies): Promise<void> {
  // Whoever has a part of it must not go on with the new one by its date, which may be the same.
  if (fill.object !== null && fill.promised && isImmutable(fill.target.class)) await deps.leases.taint(fill.key, fill.object.version);
  await unpublish(fill, fill.object, deps);
}

/** Takes the head of a version that is not to be gone on with out of the store. */
async function unpublish(fill: Fill, object: StoredObject | null, { store, onUnstored }: PumpDependencies): Promise<void> {
  if (!fill.published || object === null) return;
  fill.published = false;
  try {
    const head = await store.head(fill.key);
    if (head?.version === object.version) await store.delete([fill.key]);
  } catch (error) {
    onUnstored(fill.key, `the head of a bad version may be left: ${String(error)}`);
  }
}

function requestFor(fill: Fill, run: Run, avoid: readonly string[], deps: PumpDependencies): UpstreamRequest {
  const { sliceBytes } = fill;
  const { mirror, path, query, class: pathClass } = fill.target;
  const { object } = fill;
  const ranged = run.slice > 0 || run.last !== null;
  return {
    mirror,
    path,
    query,
    class: pathClass,
    avoid,
    ...(ranged
      ? { range: { first: run.slice * sliceBytes, ...(run.last === null ? {} : { last: (run.last + 1) * sliceBytes - 1 }) } }
      : {}),
    ...(object === null
      ? {}
      : {
          sameAs: {
            size: object.size,
            etag: object.etag,
            lastModified: object.lastModified,
            contentType: object.contentType,
            contentEncoding: undefined,
            upstream: object.upstream,
          },
        }),
    known: createKnownBytes(fill, deps.store),
  };
}
