import type { ByteSource } from "../../upstream/upstream.ts";
import { lastSlice, UNKNOWN_SIZE, type Run, type SliceBuffer } from "../shared/fill.ts";
import { endBuffer, shrinkSlices, takeBuffer, widenBuffer } from "../shared/slice-buffers.ts";
import { restSlice } from "./at-rest.ts";
import { declaredLength, namedLength, type BodyLength } from "./body-length.ts";
import { type CheckResult, createCheck } from "./check.ts";
import type { AskExpected, PumpDependencies } from "./dependencies.ts";
import { type BodyOptions, describe, grow } from "./describe.ts";
import { commit, finish } from "./finish.ts";
import { judgeByIndex } from "./index-verdict.ts";

const PROGRESS_REPORT_MS = 2_000;
/** A body without a length may never end: it is let go of this long after its last reader has left. */
const DESERTED_MS = 30_000;

/** `done`: all that was wanted is at rest, or passed on; `broken`: the bytes are not the file's. */
export type Cut =
  | { readonly kind: "done" | "no-memory" }
  | { readonly kind: "short"; readonly at: number; readonly size: number }
  | { readonly kind: "broken"; readonly reason: string }
  /** The body has another length than its beginning or an index let expect. */
  | { readonly kind: "misjudged"; readonly length: number };

export interface CutOptions extends BodyOptions {
  readonly run: Run;
  readonly source: ByteSource;
  /** The slice that was asked for: where the upstream ignores Range, the body begins before it. */
  readonly asked: number;
  /** Called before the first byte, and again at the end. */
  readonly expected: AskExpected;
}

/**
 * Cuts one body into slices: every byte of a miss goes through this loop. Where the upstream states no length, an index or the file's beginning may; until
 * then, or to its end, the object is `growing`. Throws `SourceError` where the body cannot be completed.
 */
export async function cut(options: CutOptions, deps: PumpDependencies): Promise<Cut> {
  const { fill, run, lease, representation, source } = options;
  // The first bytes come while the index is asked.
  let coming = source.read();
  coming.catch(() => {});
  const expected = run.slice === 0 ? await options.expected(0) : null;
  const { contentType } = representation;
  const { config, createDigest } = deps;
  // What an upstream does not state, an index may: its last table is a minute old at most, and was wrong where an earlier try had another length.
  const named = representation.size === undefined && !fill.tainted ? namedLength(expected) : undefined;
  const stated = representation.size ?? named;
  let length: BodyLength = { bytes: stated ?? UNKNOWN_SIZE, isGuess: named !== undefined };

  if (fill.object === null && stated !== undefined) await admit(stated);
  else if (!fill.storable) release();
  // A short one is held whole until it is judged.
  const parts = (stated ?? 0) > config.holdBytes ? shrinkSlices(fill, run) : 1;
  const asked = options.asked * parts;
  const about = { target: fill.target, contentType, contentLength: stated, deep: config.verify === "index", isKept: fill.storable };
  const check = expected && createCheck({ ...about, expected, createDigest });
  let buffer = await takeBuffer(fill, run, length.bytes, deps);
  if (buffer === null) return { kind: "no-memory" };
  let position = buffer.start;
  let resting: Promise<void> = Promise.resolve();
  const startedAt = deps.now();
  let reportedAt = startedAt;
  let isAnnounced = false;
  let readAt = startedAt;
  if (check === null) describe(options, length.bytes, deps);

  for (;;) {
    const chunk = await coming;
    if (chunk === null) break;
    await check?.feed(chunk);
    const reason = check?.broken();
    if (reason != null) return { kind: "broken", reason };
    if (length.bytes === UNKNOWN_SIZE && check !== null) {
      length = declaredLength(check.declared(), !fill.tainted) ?? length;
      if (length.bytes < UNKNOWN_SIZE) await admit(length.bytes);
    }
    if (position + chunk.length > length.bytes) {
      if (length.isGuess) return { kind: "misjudged", length: length.bytes };
      return { kind: "broken", reason: `it goes on past its length of ${length.bytes} bytes` };
    }
    for (let rest = chunk; rest.length > 0;) {
      if (buffer.filled === buffer.bytes.length) {
        const next: SliceBuffer | Cut = await roomAfter(buffer);
        if ("kind" in next) return next;
        buffer = next;
      }
      const part = rest.subarray(0, buffer.bytes.length - buffer.filled);
      buffer.bytes.set(part, buffer.filled);
      buffer.filled += part.length;
      position += part.length;
      rest = rest.subarray(part.length);
      // Where the length is not known, the slice may be the last one: it is kept until more comes.
      if (length.bytes === UNKNOWN_SIZE || buffer.index === lastSlice(length.bytes, fill.sliceBytes)) continue;
      if (buffer.filled < sliceLength(buffer)) continue;
      const next: SliceBuffer | Cut = await roomAfter(buffer);
      if ("kind" in next) return next;
      buffer = next;
    }
    if (check === null || check.declared().kind !== "pending") {
      if (length.bytes < UNKNOWN_SIZE) describe(options, length.bytes, deps);
      else grow(options, position, deps);
    }
    run.progressAt = deps.now();
    if (run.progressAt - reportedAt >= PROGRESS_REPORT_MS) {
      void lease.tell({ kind: "progress" });
      reportedAt = run.progressAt;
    }
    if (fill.readers.size > 0) readAt = run.progressAt;
    // No other request could go on with it, and it would hold a connection and a slot of its upstream for as long as that sends anything.
    if (length.bytes === UNKNOWN_SIZE && run.progressAt - readAt >= DESERTED_MS) return { kind: "done" };
    // Short bodies end before that: then followers in other isolates find them stored.
    if (fill.object === null && fill.growing !== null && !isAnnounced && run.progressAt - startedAt >= config.holdMs) {
      void lease.tell({ kind: "describe", object: fill.growing.object });
      isAnnounced = true;
    }
    fill.changed.notify();
    coming = source.read();
  }
  await resting;
  if (length.bytes < UNKNOWN_SIZE && position < length.bytes) {
    if (length.isGuess && source.isEndProven?.() !== false) return { kind: "misjudged", length: length.bytes };
    return { kind: "short", at: position, size: length.bytes };
  }
  if (length.bytes === UNKNOWN_SIZE) {
    buffer = endBuffer(fill, buffer);
    if (buffer.index === 0) await admit(position);
  }
  const isProven = length.bytes < UNKNOWN_SIZE || (source.isEndProven?.() ?? true);
  const verdict: CheckResult = check === null ? { ok: true, verified: "none" } : await check.finish();
  if (!verdict.ok && verdict.isMismatch !== true) return { kind: "broken", reason: verdict.reason };
  // Requests are answered from here on: the index may keep the verdict waiting.
  const described = describe(options, position, deps);
  const judged = check === null || expected === null ? verdict : await judgeByIndex(expected, verdict, check.measured(), options.expected);
  if (!judged.ok) return { kind: "broken", reason: judged.reason };
  await finish(options, described, buffer, judged, isProven, deps);
  return { kind: "done" };

  async function admit(bytes: number): Promise<void> {
    // Under the key at which it will be reported as stored: of a long one the head comes before the proof.
    const key = bytes > fill.sliceBytes ? fill.key : (fill.target.sharedKey ?? fill.key);
    if (fill.storable) fill.storable = await deps.admit(key, bytes, fill.aheadFor);
    if (!fill.storable) release();
  }

  /** Other isolates cannot read what is not stored: they need not wait for it. */
  function release(): void {
    void lease.tell({ kind: "release" });
  }

  function sliceLength({ start }: SliceBuffer): number {
    return Math.min(fill.sliceBytes, length.bytes - start);
  }

  /** Room for the bytes behind those of a full buffer: a wider one for the same slice, or one for the next. Else what this run comes to. */
  async function roomAfter(full: SliceBuffer): Promise<SliceBuffer | Cut> {
    const wanted = sliceLength(full);
    if (full.bytes.length < wanted) {
      const wider = await widenBuffer(fill, full, Math.min(wanted, full.bytes.length * 4), deps.memory);
      return wider ?? { kind: "no-memory" };
    }
    const isOpen = length.bytes === UNKNOWN_SIZE;
    const object = isOpen ? grow(options, position, deps).object : describe(options, length.bytes, deps);
    if (isOpen && fill.storable) {
      const slices = full.index + 1;
      // What no framing proves is not kept beyond one slice. Room is asked for in doublings.
      if (source.isEndProven?.() === false) {
        fill.storable = false;
        release();
      } else if ((slices & (slices - 1)) === 0) await admit(2 * slices * fill.sliceBytes);
    }
    fill.changed.notify();
    await resting;
    resting = restSlice(fill, object, full, deps).then(() => (isOpen ? undefined : commit(lease, full)));
    const next = await nextSlice({ ...options, asked }, full, isOpen, deps);
    if (next !== null) run.slice = next;
    const taken = next === null ? null : await takeBuffer(fill, run, length.bytes, deps);
    if (taken !== null) return taken;
    await resting;
    return { kind: next === null ? "done" : "no-memory" };
  }
}

/** The slice to go on with, or null where this run ends: no more is wanted, or the slice is at rest or another request fetches it. */
async function nextSlice(
  { fill, run, lease, asked }: CutOptions,
  done: SliceBuffer,
  isOpen: boolean,
  { store }: PumpDependencies,
): Promise<number | null> {
  const next = done.index + 1;
  // Without a length no other request can take up what comes: it goes on to its end for those who read it.
  if (isOpen && fill.readers.size === 0 && run.abandoned) return null;
  // Another request could not take up what is not stored: its readers need this run to the end.
  const isAbandoned = run.abandoned && (fill.storable || fill.readers.size === 0);
  // A body that begins too early only gets to the slice that was asked for through those before it, even where others have them.
  if (isOpen || (next <= asked && !isAbandoned)) {
    if (fill.storable) await lease.tell({ kind: "claim", slice: next });
    return next;
  }
  let wanted = (run.last === null || next <= run.last) && !isAbandoned;
  // Later slices can be at rest only where the object was begun before this run.
  if (wanted && fill.object !== null && fill.begun) {
    // Where the store fails to answer, the slice is fetched: the write changes nothing if it is there.
    const length = Math.min(fill.sliceBytes, fill.object.size - next * fill.sliceBytes);
    const stored = await store.getSlice(fill.object.version, next, length - 1, 1).catch(() => null);
    await stored?.cancel();
    wanted = stored === null;
  }
  return wanted && (!fill.storable || (await lease.tell({ kind: "claim", slice: next }))) ? next : null;
}
