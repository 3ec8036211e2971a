import { newVersion, ownContentKey } from "../../store/keys.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { describeObject, type StoredObject } from "../../store/stored-object.ts";
import {
  type ByteSource,
  type Representation,
  SourceError,
  type UpstreamAnswer,
  type UpstreamFailure,
  type UpstreamRequest,
  type Upstreams,
} from "../../upstream/upstream.ts";
import { identityBody } from "../../upstream/identity-body.ts";
import type { CreateDigest } from "../../verify/digest-ranges.ts";
import { toHex } from "../../verify/expectation.ts";
import { concatBytes } from "../../verify/concat-bytes.ts";
import { HTML_SNIFF_BYTES, isHtmlBody } from "../../verify/html.ts";
import type { StoredFile } from "../members/generation.ts";

/** Roots that are parsed, and signatures, are held whole in memory. Debian sid's InRelease has 400 KB. */
const MAX_WHOLE_BYTES = 8 * 1024 * 1024;

/** `conditional`: validators of the held copy. */
interface FetchFileRequest extends Pick<UpstreamRequest, "mirror" | "path" | "conditional" | "avoid"> {
  /** Longest length in bytes of a file that may lie in slices. Absent: the file must fit in memory, in one slice and in 8 MiB. */
  readonly slicedUpTo?: number | undefined;
}

export interface FetchedFile {
  readonly kind: "fetched";
  readonly representation: Representation;
  /** The whole content; null where it lies in slices, being too long for memory. */
  readonly bytes: Uint8Array | null;
  readonly file: StoredFile;
}

export type FetchFileAnswer =
  | FetchedFile
  | Extract<UpstreamAnswer, { kind: "not-modified" | "absent" | "failure" }>
  /** Longer than the limit, or (`isPage`) an HTML page: no generation can hold it. `upstream`: the configured URL of the one that sent it. */
  | { readonly kind: "unfit"; readonly reason: string; readonly upstream: string; readonly isPage: boolean };

export interface FileFetcher {
  readonly upstreams: Upstreams;
  readonly store: ObjectStore;
  readonly sliceBytes: number;
  readonly now: () => number;
  readonly createDigest: CreateDigest;
}

/**
 * Fetches a root or companion and stores it: where it is held whole, under its SHA-256 in the mirror's own name, since its date and type are those of the
 * mirror's upstream; else in slices under a new version. Nothing names it there yet. Where an upstream breaks its body off and no other can continue it, since
 * each has another version, it is begun anew at those that are left. Throws StoreError.
 */
export async function fetchFile(fetcher: FileFetcher, request: FetchFileRequest): Promise<FetchFileAnswer> {
  const { mirror, avoid = [] } = request;
  const answer = await fetchOnce(fetcher, request);
  if (answer.kind !== "broken") return answer;
  const left = mirror.upstreams.filter(({ url }) => url !== answer.upstream && !avoid.includes(url));
  if (left.length === 0) return answer.failure;
  const other = await fetchFile(fetcher, { ...request, avoid: [...avoid, answer.upstream] });
  // That others do not have it says nothing of the one that began to send it.
  return other.kind === "absent" || other.kind === "failure" ? answer.failure : other;
}

/** `broken`: the body of `upstream`, a configured URL, ended early, and nothing could continue it. */
type Broken = { readonly kind: "broken"; readonly upstream: string; readonly failure: UpstreamFailure };

async function fetchOnce(fetcher: FileFetcher, request: FetchFileRequest): Promise<FetchFileAnswer | Broken> {
  const { mirror, path, conditional, avoid, slicedUpTo } = request;
  const { now, sliceBytes, store, upstreams } = fetcher;
  const answer = await upstreams.open({ mirror, path, query: "", class: "root", avoid, conditional });
  if (answer.kind === "not-modified" || answer.kind === "absent" || answer.kind === "failure") return answer;
  if (answer.kind !== "body")
    return { kind: "failure", status: 502, detail: `Cannot fetch ${path}: the answer to a plain GET was "${answer.kind}"` };
  const { representation } = answer;
  const unfit = (reason: string, isPage = false): FetchFileAnswer => {
    return { kind: "unfit", reason: `${path} ${reason}`, upstream: representation.upstream, isPage };
  };
  const wholeLimit = Math.min(sliceBytes, MAX_WHOLE_BYTES);
  let { source } = answer;
  let size: number | undefined;
  try {
    // Some CDNs encode although identity was asked for, and some servers only say so: no client must get other bytes than the file's own.
    ({ source, size } = await identityBody(source, { path, representation }));
    const start = await readUpTo(source, wholeLimit + 1);
    // Some servers answer 200 with a page that says "not found". The body decides: others send their signatures as `text/html`.
    if (isHtmlBody(start.subarray(0, HTML_SNIFF_BYTES), representation.contentType)) return unfit("is malformed: it is HTML", true);
    if (start.length <= wholeLimit) {
      const sha256 = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", start)));
      const key = ownContentKey(mirror, { algorithm: "sha256", digest: sha256 });
      return await put(key, { version: sha256.slice(0, 32), size: start.length, sha256 }, start);
    }
    if (slicedUpTo === undefined) return unfit(`is longer than ${wholeLimit} bytes`);
    const sliced = await storeSlices(fetcher, start, source, slicedUpTo);
    return sliced === null ? unfit(`is longer than ${slicedUpTo} bytes`) : await put(`-/root/${sliced.version}`, sliced, null);
  } catch (error) {
    if (error instanceof SourceError) return { kind: "broken", upstream: representation.upstream, failure: error.failure };
    throw error;
  } finally {
    source.cancel("done");
  }

  /** Stores the object; `bytes: null`: its slices are stored already. */
  async function put(key: string, facts: Facts, bytes: Uint8Array | null): Promise<FetchedFile> {
    const verified = size === facts.size ? "length" : "none";
    const object = describeObject(representation, { ...facts, storedAt: now(), verified });
    await store.put(key, object, bytes ?? new Uint8Array());
    return { kind: "fetched", representation, bytes, file: { path, key, object } };
  }
}

type Facts = Pick<StoredObject, "version" | "size" | "sliceBytes" | "sha256">;

/** Null where the file is longer than `limit` bytes. */
async function storeSlices(
  { sliceBytes, store, createDigest }: FileFetcher,
  start: Uint8Array,
  source: ByteSource,
  limit: number,
): Promise<Facts | null> {
  const version = newVersion();
  const digest = createDigest("SHA-256");
  let [pending, total, index] = [start, start.length, 0];
  while (total <= limit) {
    const next = await readUpTo(source, sliceBytes, pending.length);
    total += next.length;
    const all = concatBytes(pending, next);
    const slice = all.subarray(0, sliceBytes);
    await digest.update(slice);
    if (slice.length > 0) await store.putSlice(version, index++, slice);
    if (all.length < sliceBytes) break;
    pending = all.slice(sliceBytes);
  }
  return total > limit ? null : { version, size: total, sliceBytes, sha256: toHex(await digest.digest()) };
}

/** Reads from the source until there are `wanted` bytes, `have` of which the caller has already, or the source ends: the bytes that were read. */
async function readUpTo(source: ByteSource, wanted: number, have = 0): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  while (have + total < wanted) {
    const chunk = await source.read();
    if (chunk === null) break;
    // The view is the source's own until its next read.
    parts.push(chunk.slice());
    total += chunk.length;
  }
  return concatBytes(...parts);
}
