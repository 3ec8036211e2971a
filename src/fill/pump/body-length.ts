import type { Expected } from "../../verify/expectation.ts";
import type { DeclaredLength } from "../../verify/walk.ts";

/** The length of a body in bytes. */
export interface BodyLength {
  readonly bytes: number;
  /** The body may have another length: only an index, or what is usual for files of its kind, lets expect this one. */
  readonly isGuess: boolean;
}

/** The length that an index or a root names for the file; undefined where it names none, or several. */
export function namedLength(expected: Expected | null): number | undefined {
  if (expected?.kind !== "known") return undefined;
  const [{ size }, ...others] = expected.expectations;
  return others.every((other) => other.size === size) ? size : undefined;
}

/**
 * The length that the beginning of a file declares, in place of the Content-Length that its upstream does not state. An iso may go on behind its last
 * block, and mostly does; a deb may behind its data.tar, and hardly ever does.
 * @param isUsualTrusted false where an earlier body of this name went on behind the usual end.
 */
export function declaredLength(declared: DeclaredLength, isUsualTrusted: boolean): BodyLength | null {
  if (!("bytes" in declared)) return null;
  if (declared.kind === "exact") return { bytes: declared.bytes, isGuess: false };
  return isUsualTrusted && declared.isUsual === true ? { bytes: declared.bytes, isGuess: true } : null;
}
