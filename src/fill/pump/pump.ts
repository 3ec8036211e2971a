import { isImmutable, type PathClass } from "../../config/config.ts";
import { deleteVersion } from "../../store/delete-version.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import {
  SourceError,
  type Representation,
  type UpstreamAnswer,
  type UpstreamFailure,
  type UpstreamRequest,
} from "../../upstream/upstream.ts";
import { endFill, type Fill, type Run } from "../shared/fill.ts";
import { dropBuffers } from "../shared/slice-buffers.ts";
import { cut, type CutOptions } from "./cut.ts";
import type { PumpDependencies } from "./dependencies.ts";
import { createKnownBytes } from "./known-bytes.ts";
import { sizeSource } from "./sized-source.ts";

/** How often one file is begun (on another upstream, if there is one) while no client has seen a byte of it. */
const MAX_TRIES = 3;

/** Classes that may pass by the pump where they are long: of metadata a repository needs the bytes themselves. */
const PUMPED_OR_PASSED: ReadonlySet<PathClass> = new Set<PathClass>(["package", "unstable-package", "volatile", "pass"]);

export interface PumpOptions extends Pick<CutOptions, "run" | "lease" | "expected"> {
  /** An answer that a revalidation already has, of another version; only for a run from slice 0. */
  readonly opened?: UpstreamAnswer | undefined;
}

/**
 * Fetches slices of `fill` from `run.slice` on, one upstream body in order, until the run's last slice, the end of the object, a slice that another
 * request fetches or has stored, or the loss of its client. Settles everything in `fill`; never throws.
 */
export async function pump(fill: Fill, options: PumpOptions, deps: PumpDependencies): Promise<void> {
  const { run, lease } = options;
  const firstSlice = run.slice;
  const avoid: string[] = [];
  let { opened } = options;
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
    lease[Symbol.dispose]();
    fill.changed.notify();
  }

  async function settle(failure: UpstreamFailure): Promise<void> {
    endFill(fill, failure);
    await lease.tell({ kind: "fail", failure });
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
  { run, lease, expected }: PumpOptions,
  opened: UpstreamAnswer | undefined,
  avoid: readonly string[],
  deps: PumpDependencies,
): Promise<Failed | null> {
  const { sliceBytes, key } = fill;
  const answer = opened ?? (await deps.upstreams.open(requestFor(fill, run, avoid, deps)));
  if (answer.kind === "failure") return { failure: answer, again: null, spoils: false };
  if (answer.kind === "not-modified" || answer.kind === "head") {
    throw new Error(`the upstream's answer to a plain GET was "${answer.kind}"`);
  }
  if (answer.kind === "absent" && avoid.length > 0) {
    return fail(502, `Cannot fetch ${key}: ${avoid.join(", ")} sent a broken one, and no other upstream has it`);
  }
  if (answer.kind === "changed") await abandonVersion(fill, deps);
  if (answer.kind !== "body") {
    endFill(fill, answer);
    return null;
  }
  const { representation, source, first } = answer;
  const { upstream, size } = representation;
  try {
    const body = size === undefined ? await sizeSource(source, fill.target.path, sliceBytes) : { size, proven: true, source };
    const isTooLong = fill.object === null && PUMPED_OR_PASSED.has(fill.target.class) && (size ?? 0) > deps.maxPumpBytes;
    if (body === null || representation.contentEncoding !== undefined || isTooLong) {
      endFill(fill, { kind: "unshared" });
      return null;
    }
    // An upstream that ignores Range starts at 0: the slices before the one that was asked for are filled on the way.
    const asked = run.slice;
    run.slice = Math.floor(first / sliceBytes);
    const result = await cut({ fill, run, lease, representation, body, asked, expected }, deps);
    switch (result.kind) {
      case "done":
        return null;
      case "no-memory":
        return fail(503, "Too many files are being fetched at once", { retryAfterSeconds: 5 });
      case "short":
        return { ...fail(502, `${upstream} ended ${key} after ${result.at} of ${body.size} bytes`), again: upstream };
      case "broken":
        deps.onBroken(fill.target, upstream, result.reason);
        return { ...fail(502, `Refused ${key} from ${upstream}: ${result.reason}`, { isRefused: true }), again: upstream, spoils: true };
    }
  } catch (error) {
    if (error instanceof SourceError) return { failure: error.failure, again: upstream, spoils: false };
    throw error;
  } finally {
    source.cancel("this fetch has ended");
  }
}

function fail(status: 502 | 503, detail: string, rest: Pick<UpstreamFailure, "retryAfterSeconds" | "isRefused"> = {}): Failed {
  return { failure: { kind: "failure", status, detail, ...rest }, again: null, spoils: false };
}

/** Bytes that went out, or were stored, turned out bad: no client may resume onto them. */
async function spoil(fill: Fill, deps: PumpDependencies): Promise<void> {
  fill.storable = false;
  // Before any reader learns of it: its client may come back at once, and its date must not be believed then.
  if (fill.object !== null) await deps.leases.taint(fill.key, fill.object.version);
  fill.spoiled = true;
  await unpublish(fill, fill.object, deps);
}

/** What is stored of this version can never be completed: its head would make every reader fail at the same byte. */
async function abandonVersion(fill: Fill, deps: PumpDependencies): Promise<void> {
  // A client that has a part of it must not resume with the new version by its date, which may be the same.
  if (fill.object !== null && fill.promised && isImmutable(fill.target.class)) await deps.leases.taint(fill.key, fill.object.version);
  await unpublish(fill, fill.object, deps);
}

/** Takes the head of a version that will not be completed out of the store. */
async function unpublish(fill: Fill, object: StoredObject | null, { store, onUnstored }: PumpDependencies): Promise<void> {
  if (!fill.published || object === null) return;
  fill.published = false;
  try {
    await deleteVersion(store, fill.key, object.version);
  } catch (error) {
    onUnstored(fill.key, `the head of a bad version may be left: ${String(error)}`);
  }
}

function requestFor(fill: Fill, run: Run, avoid: readonly string[], { store }: PumpDependencies): UpstreamRequest {
  const { sliceBytes, object } = fill;
  const { mirror, path, query, class: pathClass } = fill.target;
  const isRanged = run.slice > 0 || run.last !== null;
  const range = { first: run.slice * sliceBytes, last: run.last === null ? undefined : (run.last + 1) * sliceBytes - 1 };
  return {
    mirror,
    path,
    query,
    class: pathClass,
    avoid,
    range: isRanged ? range : undefined,
    sameAs: object === null ? undefined : representationOf(object),
    known: createKnownBytes(fill, store),
  };
}

function representationOf({ size, etag, lastModified, contentType, upstream }: StoredObject): Representation {
  return { size, etag, lastModified, contentType, contentEncoding: undefined, upstream };
}
