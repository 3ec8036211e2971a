import type { PathClass } from "../../config/config.ts";
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
import { giveUp, spoil, unpublish } from "./give-up.ts";
import { createKnownBytes, createNearbyBytes } from "./known-bytes.ts";
import { sizeSource } from "./sized-source.ts";

/** How often one file is begun (on another upstream, if there is one) while no client has seen a byte of it. */
const MAX_TRIES = 3;

/** Classes that may pass by the pump where they are long: of metadata a repository needs the bytes themselves. */
const PUMPED_OR_PASSED: ReadonlySet<PathClass> = new Set<PathClass>(["package", "unstable-package", "volatile", "pass"]);

export interface PumpOptions extends Pick<CutOptions, "run" | "lease" | "expected"> {
  /** Requests of other isolates are fetching the object too. */
  readonly isShared: boolean;
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
        if (failure.isRefused) await (fill.promised ? spoil : giveUp)(fill, deps);
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
  { run, lease, expected, isShared }: PumpOptions,
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
  if (answer.kind === "changed" && answer.isUnproven === true && (isShared || fill.readers.size > 1)) {
    run.isUnproven = true;
    return null;
  }
  if (answer.kind === "changed") await giveUp(fill, deps);
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
    const result = await cut({ fill, run, lease, representation, version: source.version, body, asked, expected }, deps);
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

function requestFor(fill: Fill, run: Run, avoid: readonly string[], deps: PumpDependencies): UpstreamRequest {
  const { sliceBytes, object, target } = fill;
  return {
    mirror: target.mirror,
    path: target.path,
    query: target.query,
    class: target.class,
    avoid,
    range: { first: run.slice * sliceBytes, last: run.last === null ? undefined : (run.last + 1) * sliceBytes - 1 },
    sameAs: object === null ? undefined : representationOf(object),
    known: createKnownBytes(fill, run, deps),
    nearby: createNearbyBytes(fill, run, deps),
  };
}

function representationOf({ size, etag, lastModified, contentType, upstream }: StoredObject): Representation {
  return { size, etag, lastModified, contentType, contentEncoding: undefined, upstream };
}
