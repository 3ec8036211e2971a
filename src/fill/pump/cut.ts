import { newVersion } from "../../store/keys.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Representation } from "../../upstream/upstream.ts";
import type { DeclaredLength } from "../../verify/verifier.ts";
import { restSlice, restVerdict, restWhole, type RestDependencies } from "./at-rest.ts";
import { createCheck, type Check, type CheckResult } from "./check.ts";
import { lastSlice, type Fill, type Run, type SliceBuffer } from "../shared/fill.ts";
import type { SliceLease } from "../flight/leases.ts";
import type { Expected, PumpDependencies } from "./pump.ts";
import { takeBuffer } from "../shared/slice-buffers.ts";
import type { SizedSource } from "./sized-source.ts";

const PROGRESS_REPORT_MS = 2_000;
const INDEX_WAIT_MS = 5_000;

/** What became of a body: all that was wanted is at rest (or passed on), it broke off, no memory, or its bytes are not what they should be. */
export type Cut =
  | { readonly kind: "done" }
  | { readonly kind: "short"; readonly at: number }
  | { readonly kind: "no-memory" }
  | { readonly kind: "broken"; readonly reason: string };

export interface CutOptions {
  readonly fill: Fill;
  readonly run: Run;
  readonly lease: SliceLease;
  readonly representation: Representation;
  readonly body: SizedSource;
  /** The slice that was asked for: the body begins before it where the upstream ignores Range. */
  readonly asked: number;
  /** Asked before the first byte, and again at the end while an index is still being read. */
  readonly expected: (waitMs: number) => Promise<Expected>;
}

/** Cuts one body into slices: the loop that every byte of a miss goes through. Throws `SourceError` where the body cannot be completed. */
export async function cut(options: CutOptions, deps: PumpDependencies & RestDependencies): Promise<Cut> {
  const { fill, run, lease, representation, body } = options;
  const { sliceBytes } = fill;
  const { size } = body;
  const fromStart = run.slice === 0;
  // What is known of the file is looked up while its first bytes come.
  let reading = body.source.read();
  reading.catch(() => {});
  const expected = fromStart ? await options.expected(0) : NOTHING_EXPECTED;
  const check = fromStart ? createCheckFor(fill, representation, size, expected, deps) : null;
  const final = lastSlice(size, sliceBytes);
  const room = () => takeBuffer(fill, deps, run, run.slice * sliceBytes, Math.min(sliceBytes, size - run.slice * sliceBytes));

  if (fill.object === null && fill.storable) fill.storable = await deps.admit(fill.key, size);
  let buffer = await room();
  if (buffer === null) return { kind: "no-memory" };
  let position = buffer.start;
  let resting: Promise<void> = Promise.resolve();
  let reportedAt = deps.now();
  const describe = () => describeFill(fill, lease, representation, size, sliceBytes, deps.now());
  if (check === null) describe();

  for (;;) {
    const chunk = await reading;
    if (chunk === null) break;
    if (position + chunk.length > size) return { kind: "broken", reason: `it goes on past its length of ${size} bytes` };
    await check?.feed(chunk);
    const reason = check === null ? null : (check.broken() ?? contradiction(check.declared(), size));
    if (reason !== null) return { kind: "broken", reason };
    for (let rest = chunk; rest.length > 0;) {
      const part = rest.subarray(0, buffer.bytes.length - buffer.filled);
      buffer.bytes.set(part, buffer.filled);
      buffer.filled += part.length;
      position += part.length;
      rest = rest.subarray(part.length);
      if (buffer.index === final || buffer.filled < buffer.bytes.length) continue;
      const object = describe();
      fill.changed.notify();
      await resting;
      resting = restAndCommit(fill, lease, object, buffer, deps);
      const next = await nextSlice(options, buffer, deps);
      if (next === null) {
        await resting;
        return { kind: "done" };
      }
      run.slice = next;
      const taken = await room();
      if (taken === null) {
        await resting;
        return { kind: "no-memory" };
      }
      buffer = taken;
    }
    if (fill.object === null && check?.declared().kind !== "pending") describe();
    run.progressAt = deps.now();
    if (run.progressAt - reportedAt >= PROGRESS_REPORT_MS) {
      lease.progress(buffer.filled);
      reportedAt = run.progressAt;
    }
    fill.changed.notify();
    reading = body.source.read();
  }
  await resting;
  if (position < size) return { kind: "short", at: position };
  return finish(options, buffer, check, expected, describe(), deps);
}

const NOTHING_EXPECTED: Expected = { known: [], provisional: false };

/** The last byte has come: the verdict, the last write, and the release of the tail. */
async function finish(
  options: CutOptions,
  buffer: SliceBuffer,
  check: Check | null,
  before: Expected,
  described: StoredObject,
  deps: PumpDependencies & RestDependencies,
): Promise<Cut> {
  const { fill, lease, body } = options;
  const verdict: CheckResult = check === null ? { ok: true, verified: "none" } : await check.finish();
  if (!verdict.ok) return { kind: "broken", reason: verdict.reason };
  const late = before.provisional ? await awaitIndex(options, verdict) : null;
  if (late !== null && !late.ok) return { kind: "broken", reason: late.reason };
  const provisional = before.provisional && late === null;
  const object: StoredObject = {
    ...described,
    verified: late?.verified ?? verdict.verified,
    ...(verdict.sha256 === undefined ? {} : { sha256: verdict.sha256 }),
    ...(provisional ? { provisional: true } : {}),
  };
  if (!body.proven && object.verified === "length") fill.storable = false;
  fill.object = object;
  // Clients that wait for the whole have it as soon as it is judged. Where one is being sent it already, its end means that it is stored; and
  // where an older version is stored, nobody may meet that again.
  const isHeld = object.sliceBytes === undefined && object.size <= deps.config.holdBytes && !fill.promised;
  options.run.progressAt = deps.now();
  if (isHeld && !fill.replaces) release(fill, buffer);
  if (object.sliceBytes === undefined) await restWhole(fill, object, buffer, deps);
  else await restSlice(fill, object, buffer, true, deps);
  release(fill, buffer);
  if (fill.storable) deps.onStored(fill.target, object);
  if (object.sliceBytes !== undefined && check !== null) await restVerdict(fill, object, deps);
  if (buffer.atRest) lease.commit(buffer.index);
  return { kind: "done" };
}

function release(fill: Fill, buffer: SliceBuffer): void {
  buffer.released = true;
  fill.changed.notify();
}

/** While the index is being read, the last bytes can wait for it a little. Null: not known in time. */
async function awaitIndex({ expected }: CutOptions, verdict: CheckResult & { ok: true }): Promise<CheckResult | null> {
  const { known, provisional } = await expected(INDEX_WAIT_MS);
  if (provisional) return null;
  const named = known.filter((expectation) => expectation.algorithm === "sha256");
  if (named.length === 0) return verdict;
  if (named.some((expectation) => expectation.digest === verdict.sha256)) return { ...verdict, verified: "digest" };
  return { ok: false, reason: `its sha256 is ${verdict.sha256}, not the ${named[0]?.digest} that its index names` };
}

/** The slice to go on with, or null where this run ends: wanted no further, at rest already, or held by another. */
async function nextSlice({ fill, run, lease, asked }: CutOptions, done: SliceBuffer, { store }: PumpDependencies): Promise<number | null> {
  const next = done.index + 1;
  // What is not stored cannot be taken up by another request: its readers need this run to the end.
  const isAbandoned = run.abandoned && (fill.storable || fill.readers.size === 0);
  // Whoever else has them: a body that begins too early only gets there through the slices before.
  if (next <= asked && !isAbandoned) {
    await lease.take(next);
    return next;
  }
  let wanted = (run.last === null || next <= run.last) && !isAbandoned;
  // Only an object that was begun before this run can have later slices at rest.
  if (wanted && fill.object !== null && fill.begun) {
    // A store that cannot say is asked again by the write, which changes nothing where the slice is there.
    const stored = await store.getSlice(fill.object.version, next, 0, 1).catch(() => null);
    await stored?.cancel();
    wanted = stored === null;
  }
  return wanted && (await lease.take(next)) ? next : null;
}

/** Others are told of a slice once it is there to be read. */
async function restAndCommit(
  fill: Fill,
  lease: SliceLease,
  object: StoredObject,
  buffer: SliceBuffer,
  deps: RestDependencies,
): Promise<void> {
  await restSlice(fill, object, buffer, false, deps);
  if (buffer.atRest) lease.commit(buffer.index);
}

function describeFill(
  fill: Fill,
  lease: SliceLease,
  representation: Representation,
  size: number,
  sliceBytes: number,
  now: number,
): StoredObject {
  if (fill.object !== null) return fill.object;
  const { etag, lastModified, contentType, upstream } = representation;
  fill.object = {
    version: newVersion(),
    size,
    ...(size > sliceBytes ? { sliceBytes } : {}),
    contentType: contentType ?? "application/octet-stream",
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
    upstream,
    storedAt: now,
    verified: "none",
    ...(fill.tainted ? { tainted: true } : {}),
  };
  lease.describe(fill.object);
  fill.changed.notify();
  return fill.object;
}

function createCheckFor(fill: Fill, representation: Representation, size: number, expected: Expected, deps: PumpDependencies): Check {
  return createCheck({
    path: fill.target.path,
    class: fill.target.class,
    contentType: representation.contentType,
    contentLength: size,
    expected: expected.known,
    deep: deps.config.verify === "index",
    fingerprint: expected.provisional,
    createDigest: deps.createDigest,
  });
}

/** Rule: the length that the file declares against the one that the upstream says, before a client gets headers. */
function contradiction(declared: DeclaredLength, size: number): string | null {
  if (declared.kind === "exact" && declared.bytes !== size)
    return `the file says that it is ${declared.bytes} bytes long, the upstream says ${size}`;
  if (declared.kind === "at-least" && declared.bytes > size)
    return `the file says that it is at least ${declared.bytes} bytes long, the upstream says ${size}`;
  return null;
}
