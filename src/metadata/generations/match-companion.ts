import { breathe } from "../../clock/timer.ts";
import { readStream } from "../../store/read-object.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { matchSignature } from "../formats/match-signature.ts";
import { parseRelease } from "../formats/parse-release.ts";
import type { ParsedRoot } from "../formats/parsed-root.ts";
import type { Generation } from "../members/generation.ts";
import { signedFile } from "./root-files.ts";

/** The content of a root or companion by its path; null: there is none, or it is too long for memory. */
export type Document = (path: string) => Promise<Uint8Array | null>;

/**
 * Why a companion belongs to another version of the root, as a sentence; null: it belongs to this one, or that cannot be seen without keys.
 * `bytes`: null where it lies in slices.
 */
export async function findMismatch(
  path: string,
  bytes: Uint8Array | null,
  document: Document,
  parsed: ParsedRoot | null,
): Promise<string | null> {
  if (bytes === null) return null;
  const signed = signedFile(path);
  const content = signed === null ? null : await document(signed);
  if (content !== null)
    return (await matchSignature(content, bytes, breathe)) === "differs" ? `${path} signs another version of its file` : null;
  if (!/(?:^|\/)Release$/.test(path)) return null;
  const twin = await parseRelease(bytes, "", breathe);
  return twin.kind === "parsed" && twin.root.timestamp === parsed?.timestamp ? null : `${path} is of another date than InRelease`;
}

/** Whether a companion is a signature that certainly belongs to what it signs. */
export async function belongsTo(path: string, bytes: Uint8Array | null, document: Document): Promise<boolean> {
  const signed = signedFile(path);
  const content = signed === null || bytes === null ? null : await document(signed);
  return content !== null && bytes !== null && (await matchSignature(content, bytes, breathe)) === "matches";
}

/** The files of a published generation by their paths, those in `newer` first. */
export function storedDocuments(
  store: Pick<ObjectStore, "get">,
  { root, companions }: Generation,
  newer: ReadonlyMap<string, Uint8Array | null> = new Map(),
): Document {
  return async (path) => {
    const fetched = newer.get(path);
    if (fetched !== undefined) return fetched;
    const file = [root, ...companions].find((one) => one.path === path);
    if (file === undefined || file.object.sliceBytes !== undefined) return null;
    const body = (await store.get(file.key))?.body ?? null;
    return body === null ? null : readStream(body);
  };
}
