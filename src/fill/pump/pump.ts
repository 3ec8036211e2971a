import type { PathClass } from "../../config/config.ts";
import { sliceKey } from "../../store/keys.ts";
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
import { giveUp, giveUpEvicted, spoil, unpublish } from "./give-up.ts";
import { createKnownBytes, createNearbyBytes } from "./known-bytes.ts";
import { isLabelMistakenOf, isPartOfEncoded, plainBody } from "./plain-body.ts";

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
  const isResumed = fill.published;
  const avoid: string[] = [];
  let { opened } = options;
  let isAsSent = false;
  try {
    for (let tries = 1; ; tries++) {
      const tried = await tryOnce(fill, options, opened, { avoid, isAsSent }, deps);
      if (tried === null) return;
      const { failure, again } = tried;
      if (again === undefined || firstSlice > 0 || fill.promised || tries === MAX_TRIES) {
        if (failure.isRefused) await (fill.promised ? spoil : giveUp)(fill, deps);
        return await settle(failure);
      }
      if (again.avoid !== undefined) avoid.push(again.avoid);
      isAsSent = again.isAsSent === true;
      opened = undefined;
      const { object } = fill;
      fill.object = null;
      await unpublish(fill, object, deps);
      await dropGrowing(fill, deps);
      dropBuffers(fill);
      run.slice = firstSlice;
    }
  } catch (error) {
    await settle(failed(502, `Cannot fetch ${fill.key}: ${String(error)}`));
  } finally {
    // Given up before its end: no head will name its slices.
    if (fill.object === null) await dropGrowing(fill, deps);
    if (isResumed) await giveUpEvicted(fill, deps);
    fill.runs.delete(run);
    fill.begun = true;
    lease[Symbol.dispose]();
    fill.changed.notify();
  }

  async function settle(failure: UpstreamFailure): Promise<void> {
    endFill(fill, failure);
    // Requests that have not passed the same mirrors take over.
    if (failure.isRing !== true) await lease.tell({ kind: "fail", failure });
  }
}

interface Failed {
  readonly failure: UpstreamFailure;
  /** What the next try is to do otherwise; undefined where another try is of no use. `isAsSent`: take the bytes undecoded. */
  readonly again?: { readonly avoid?: string; readonly isAsSent?: true };
}

async function tryOnce(
  fill: Fill,
  { run, lease, expected, isShared }: PumpOptions,
  opened: UpstreamAnswer | undefined,
  { avoid, isAsSent }: { readonly avoid: readonly string[]; readonly isAsSent: boolean },
  deps: PumpDependencies,
): Promise<Failed | null> {
  const { sliceBytes, key } = fill;
  const request = requestFor(fill, run, avoid, deps);
  let answer = opened ?? (await deps.upstreams.open(request));
  let isFileItself = isAsSent;
  if (answer.kind === "body" && !isAsSent && isPartOfEncoded(answer, fill, run)) {
    isFileItself = run.slice > 0 && (await isLabelMistakenOf(answer, request, deps.upstreams));
    if (!isFileItself) {
      answer.source.cancel("a part of an encoded body cannot be decoded");
      answer = await deps.upstreams.open({ ...request, range: undefined });
    }
  }
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
  const { first, source } = answer;
  const { upstream } = answer.representation;
  try {
    const plain = await plainBody(answer, fill, expected, isFileItself);
    const { representation, contentType } = plain;
    const isLong = (representation.size ?? 0) > deps.maxPumpBytes;
    if (isLong && fill.object === null && PUMPED_OR_PASSED.has(fill.target.class)) {
      endFill(fill, { kind: "unshared" });
      return null;
    }
    // An upstream that ignores Range starts at 0: the slices before the one that was asked for are filled on the way.
    const asked = run.slice;
    run.slice = Math.floor(first / sliceBytes);
    const result = await cut(
      { fill, run, lease, representation, contentType, version: source.version, source: plain.source, asked, expected },
      deps,
    );
    switch (result.kind) {
      case "done":
        return null;
      case "no-memory":
        return { failure: { ...failed(503, "Too many files are being fetched at once"), retryAfterSeconds: 5 } };
      case "short":
        return { failure: failed(502, `${upstream} ended ${key} after ${result.at} of ${result.size} bytes`), again: { avoid: upstream } };
      case "misjudged": {
        // The coordinator remembers it, should a client have begun to read: its next try gets the whole.
        fill.tainted = true;
        const detail = `${upstream} sent ${key} in another length than the ${result.length} bytes that were to be expected`;
        return { failure: { ...failed(502, detail), isRefused: true }, again: {} };
      }
      case "broken":
        // A name without a suffix (by-hash) may be that of a packed file, which its server labels as a coding.
        if (plain.isDecoded && !isAsSent && (await expected(0)).kind === "known")
          return { failure: { ...failed(502, result.reason), isRefused: true }, again: { isAsSent: true } };
        deps.onBroken(fill.target, upstream, result.reason);
        return {
          failure: { ...failed(502, `Refused ${key} from ${upstream}: ${result.reason}`), isRefused: true },
          again: { avoid: upstream },
        };
    }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return { failure: error.failure, again: { avoid: upstream } };
  } finally {
    source.cancel("this fetch has ended");
  }
}

const failed = (status: 502 | 503, detail: string): UpstreamFailure => ({ kind: "failure", status, detail });

/** Deletes the slices of a body without a length that will not be completed. */
async function dropGrowing(fill: Fill, { store, onUnstored }: PumpDependencies): Promise<void> {
  const { growing } = fill;
  fill.growing = null;
  const count = growing === null ? 0 : Math.floor(growing.length / fill.sliceBytes);
  if (growing === null || count === 0) return;
  try {
    await store.delete(Array.from({ length: count }, (_, index) => sliceKey(growing.object.version, index)));
  } catch (error) {
    onUnstored(fill.key, `slices without a head may be left: ${String(error)}`);
  }
}

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
