import { newVersion } from "../../store/keys.ts";
import { describeObject, type StoredObject } from "../../store/stored-object.ts";
import type { Representation } from "../../upstream/upstream.ts";
import type { SliceLease } from "../flight/leases.ts";
import { lastSlice, type Fill, type Run, type SliceBuffer } from "../shared/fill.ts";
import { takeBuffer } from "../shared/slice-buffers.ts";
import { restSlice, restVerdict } from "./at-rest.ts";
import { createCheck } from "./check.ts";
import type { AskExpected, PumpDependencies } from "./dependencies.ts";
import { type IndexVerdict, judgeByIndex } from "./index-verdict.ts";
import type { SizedSource } from "./sized-source.ts";

const PROGRESS_REPORT_MS = 2_000;

/** `done`: all that was wanted is at rest, or passed on; `broken`: the bytes are not the file's. */
export type Cut =
  | { readonly kind: "done" | "no-memory" }
  | { readonly kind: "short"; readonly at: number }
  | { readonly kind: "broken"; readonly reason: string };

export interface CutOptions {
  readonly fill: Fill;
  readonly run: Run;
  readonly lease: SliceLease;
  readonly representation: Representation;
  /** See `ByteSource`. */
  readonly version: (() => Representation) | undefined;
  readonly body: SizedSource;
  /** The slice that was asked for: where the upstream ignores Range, the body begins before it. */
  readonly asked: number;
  /** Called before the first byte, and again at the end. */
  readonly expected: AskExpected;
}

/** Cuts one body into slices: every byte of a miss goes through this loop. Throws `SourceError` where the body cannot be completed. */
export async function cut(options: CutOptions, deps: PumpDependencies): Promise<Cut> {
  const { fill, run, lease, representation, body } = options;
  const { size } = body;
  // The first bytes come while the index is asked.
  let coming = body.source.read();
  coming.catch(() => {});
  const expected = run.slice === 0 ? await options.expected(0) : null;
  const { contentType } = representation;
  const { config, createDigest } = deps;
  const about = { target: fill.target, contentType, contentLength: size, deep: config.verify === "index" };
  const check = expected && createCheck({ ...about, expected, createDigest });
  const final = lastSlice(size, fill.sliceBytes);
  const room = () => takeBuffer(fill, run, size, deps);

  if (fill.object === null && fill.storable) fill.storable = await deps.admit(fill.key, size);
  // Other isolates cannot read what is not stored: they need not wait for it.
  if (!fill.storable) void lease.tell({ kind: "release" });
  let buffer = await room();
  if (buffer === null) return { kind: "no-memory" };
  let position = buffer.start;
  let resting: Promise<void> = Promise.resolve();
  let reportedAt = deps.now();
  if (check === null) describe(options, deps);

  for (;;) {
    const chunk = await coming;
    if (chunk === null) break;
    if (position + chunk.length > size) return { kind: "broken", reason: `it goes on past its length of ${size} bytes` };
    await check?.feed(chunk);
    const reason = check?.broken();
    if (reason != null) return { kind: "broken", reason };
    for (let rest = chunk; rest.length > 0;) {
      const part = rest.subarray(0, buffer.bytes.length - buffer.filled);
      buffer.bytes.set(part, buffer.filled);
      buffer.filled += part.length;
      position += part.length;
      rest = rest.subarray(part.length);
      if (buffer.index === final || buffer.filled < buffer.bytes.length) continue;
      const object = describe(options, deps);
      fill.changed.notify();
      await resting;
      const full = buffer;
      resting = restSlice(fill, object, full, deps).then(() => commit(lease, full));
      const next = await nextSlice(options, full, deps);
      if (next !== null) run.slice = next;
      const taken = next === null ? null : await room();
      if (taken === null) {
        await resting;
        return { kind: next === null ? "done" : "no-memory" };
      }
      buffer = taken;
    }
    if (fill.object === null && check?.declared().kind !== "pending") describe(options, deps);
    run.progressAt = deps.now();
    if (run.progressAt - reportedAt >= PROGRESS_REPORT_MS) {
      void lease.tell({ kind: "progress" });
      reportedAt = run.progressAt;
    }
    fill.changed.notify();
    coming = body.source.read();
  }
  await resting;
  if (position < size) return { kind: "short", at: position };
  // Requests are answered from here on: the index may keep the verdict waiting.
  describe(options, deps);
  const verdict: IndexVerdict =
    check === null || expected === null
      ? { ok: true, verified: "none" }
      : await judgeByIndex(expected, await check.finish(), check.measured(), options.expected);
  return finish(options, buffer, verdict, deps);
}

/** From here on requests can be answered with what the upstream says of the object. */
function describe({ fill, lease, representation, version, body: { size } }: CutOptions, { now }: PumpDependencies): StoredObject {
  if (fill.object !== null) return fill.object;
  const { sliceBytes } = fill;
  const object = describeObject(version?.() ?? representation, {
    version: newVersion(),
    size,
    ...(size > sliceBytes ? { sliceBytes } : {}),
    storedAt: now(),
    verified: "none",
    ...(fill.tainted ? { tainted: true } : {}),
  });
  fill.object = object;
  void lease.tell({ kind: "describe", object });
  fill.changed.notify();
  return object;
}

/** The last byte has come, and the verdict: the last write, and the release of the bytes held back. */
async function finish(options: CutOptions, last: SliceBuffer, verdict: IndexVerdict, deps: PumpDependencies): Promise<Cut> {
  const { fill, lease, body, run } = options;
  if (!verdict.ok) return { kind: "broken", reason: verdict.reason };
  const object: StoredObject = { ...describe(options, deps), ...provenFacts(verdict) };
  if (!body.proven && object.verified === "length") fill.storable = false;
  fill.object = object;
  run.progressAt = deps.now();
  // Clients that wait for the whole get it as soon as it is judged. Where a client gets it already, its last byte means that it is stored; and
  // where an older version is stored, no client may meet that again.
  const isHeld = object.sliceBytes === undefined && object.size <= deps.config.holdBytes && !fill.promised;
  if (isHeld && !fill.replaces) releaseBuffer(fill, last);
  await restSlice(fill, object, last, deps);
  releaseBuffer(fill, last);
  if (fill.storable) deps.onStored(fill.target, fill.object);
  if (object.sliceBytes !== undefined && object.verified !== "none") await restVerdict(fill, object, deps);
  commit(lease, last);
  return { kind: "done" };
}

/** What is kept of a verdict beside the bytes. */
function provenFacts({ verified, sha256, digest, isOpen }: Extract<IndexVerdict, { ok: true }>): Partial<StoredObject> {
  return {
    verified,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(digest === undefined ? {} : { digest }),
    ...(isOpen === true ? { provisional: true } : {}),
  };
}

function releaseBuffer(fill: Fill, buffer: SliceBuffer): void {
  buffer.released = true;
  fill.changed.notify();
}

/** The slice to go on with, or null where this run ends: no more is wanted, or the slice is at rest or another request fetches it. */
async function nextSlice({ fill, run, lease, asked }: CutOptions, done: SliceBuffer, { store }: PumpDependencies): Promise<number | null> {
  const next = done.index + 1;
  // Another request could not take up what is not stored: its readers need this run to the end.
  const isAbandoned = run.abandoned && (fill.storable || fill.readers.size === 0);
  // A body that begins too early only gets to the slice that was asked for through those before it, even where others have them.
  if (next <= asked && !isAbandoned) {
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

/** Followers hear of a slice once they can read it from the store. */
function commit(lease: SliceLease, { atRest, index }: SliceBuffer): void {
  if (atRest) void lease.tell({ kind: "commit", slice: index });
}
