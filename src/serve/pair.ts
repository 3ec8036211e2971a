import { elapsedMs } from "../clock/elapsed.ts";
import { placeOf } from "../route/place.ts";
import type { Target } from "../route/target.ts";
import { StoreError } from "../store/object-store.ts";
import type { Signed } from "./freshness.ts";
import type { ServeDependencies } from "./shared/dependencies.ts";

/** Ends of names of detached signatures. */
const SIGNATURE_END = /\.(?:asc|gpg|sig|sign|minisig)$/;
/** A file that was confirmed less than this ago is not doubted because of its signature: files without validators would be fetched at each request. */
const DOUBT_AFTER_MS = 10_000;

export interface SignedFile extends Signed {
  readonly key: string;
}

/**
 * The stored file that a signature signs, where both go by their own names and may change (a pair that a repository holds has one life there already); null
 * for anything else. Costs one look at the store, for signatures alone.
 */
export async function signedFileOf(target: Target, deps: ServeDependencies): Promise<SignedFile | null> {
  const { class: pathClass, mirror, path, query } = target;
  if (pathClass !== "volatile" || !SIGNATURE_END.test(path)) return null;
  const signed = path.replace(SIGNATURE_END, "");
  if (placeOf(mirror, signed).class !== "volatile") return null;
  const key = `${mirror.name}/${signed}${query}`;
  try {
    const object = await deps.store.head(key);
    return object === null ? null : { key, storedAt: object.storedAt, answeredAt: deps.confirmations.at(key) };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return null;
  }
}

/** The signature is asked for: if it changed, the file did too. */
export function doubtSigned({ key, storedAt, answeredAt }: SignedFile, { confirmations, now }: ServeDependencies): void {
  if (elapsedMs(Math.max(storedAt, answeredAt), now()) >= DOUBT_AFTER_MS) confirmations.noteDoubt(key, now());
}
