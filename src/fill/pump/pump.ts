import { isImmutable, type PathClass } from "../../config/config.ts";
import { deleteVersion } from "../../store/delete-version.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { readPart } from "../../store/read-object.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import {
  SourceError,
  type KnownBytes,
  type Representation,
  type UpstreamAnswer,
  type UpstreamFailure,
  type UpstreamRequest,
} from "../../upstream/upstream.ts";
import { endFill, type Fill, type Run } from "../shared/fill.ts";
import { dropBuffers } from "../shared/slice-buffers.ts";
import { cut, type CutOptions } from "./cut.ts";
import type { PumpDependencies } from "./dependencies.ts";
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
      const tried = await tryOnce(fill, options, opened, avoid, deps);
      if (tried === null) return;
      const { failure, again } = tried;
      if (again === undefined || firstSlice > 0 || fill.promised || tries === MAX_TRIES) {
        if (failure.isRefused && fill.promised) await spoil(fill, deps);
        return await settle(failure);
      }
      avoid.push(again);
      opened = undefined;
      const { object } = fill;
      fill.object = null;
      await unpublish(fill, object, deps);
      dropBuffers(fill);
      run.slice = firstSlice;
    }
  } catch (error) {
    await settle(failed(502, `Cannot fetch ${fill.key}: ${String(error)}`));
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
  /** The upstream to avoid on the next try; undefined where another try is of no use. */
  readonly again?: string;
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
  if (answer.kind === "failure") return { failure: answer };
  if (answer.kind === "not-modified" || answer.kind === "head")
    throw new Error(`the upstream's answer to a plain GET was "${answer.kind}"`);
  if (answer.kind === "absent" && avoid.length > 0)
    return { failure: failed(502, `Cannot fetch ${key}: ${avoid.join(", ")} sent a broken one, and no other upstream has it`) };
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
        return { failure: { ...failed(503, "Too many files are being fetched at once"), retryAfterSeconds: 5 } };
      case "short":
        return { failure: failed(502, `${upstream} ended ${key} after ${result.at} of ${body.size} bytes`), again: upstream };
      case "broken":
        deps.onBroken(fill.target, upstream, result.reason);
        return { failure: { ...failed(502, `Refused ${key} from ${upstream}: ${result.reason}`), isRefused: true }, again: upstream };
    }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return { failure: error.failure, again: upstream };
  } finally {
    source.cancel("this fetch has ended");
  }
}

const failed = (status: 502 | 503, detail: string): UpstreamFailure => ({ kind: "failure", status, detail });

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
  const { sliceBytes, object, target } = fill;
  return {
    mirror: target.mirror,
    path: target.path,
    query: target.query,
    class: target.class,
    avoid,
    range: { first: run.slice * sliceBytes, last: run.last === null ? undefined : (run.last + 1) * sliceBytes - 1 },
    sameAs: object === null ? undefined : representationOf(object),
    known: createKnownBytes(fill, store),
  };
}

function representationOf({ size, etag, lastModified, contentType, upstream }: StoredObject): Representation {
  return { size, etag, lastModified, contentType, contentEncoding: undefined, upstream };
}

/** Bytes of the fill's version, from memory or the store: another upstream's copy is compared with them. */
function createKnownBytes(fill: Fill, store: ObjectStore): KnownBytes {
  return async (from, to) => {
    const { object, sliceBytes, key } = fill;
    if (object === null) return null;
    const bytes = new Uint8Array(to - from);
    for (let position = from; position < to;) {
      const index = Math.floor(position / sliceBytes);
      const end = Math.min(to, (index + 1) * sliceBytes);
      const buffer = fill.buffers.get(index);
      const isInMemory = buffer !== undefined && buffer.start + buffer.filled >= end;
      const part = isInMemory
        ? buffer.bytes.subarray(position - buffer.start, end - buffer.start)
        : await readPart(store, key, object, position, end - position);
      if (part === null) return null;
      bytes.set(part, position - from);
      position = end;
    }
    return bytes;
  };
}
