import type { PathClass } from "../../config/config.ts";
import type { Target } from "../../route/target.ts";
import type { Verified } from "../../store/stored-object.ts";
import { createApkDigest } from "../../verify/apk.ts";
import { compare, type Measured } from "../../verify/compare.ts";
import { createVerifier } from "../../verify/create-verifier.ts";
import type { CreateDigest } from "../../verify/digest-ranges.ts";
import { APK_CONTROL_SHA1, toHex, type Expected, type Known } from "../../verify/expectation.ts";
import { HTML_SNIFF_BYTES, isPageInPlaceOf } from "../../verify/html.ts";
import { WEBCRYPTO_NAME } from "../../verify/proof.ts";
import type { DeclaredLength } from "../../verify/walk.ts";

export interface Passed {
  readonly ok: true;
  readonly verified: Verified;
  readonly sha256?: string;
  /** As in StoredObject. */
  readonly digest?: string;
}
/** `isMismatch`: nothing is wrong with the bytes, but that they are not those that `expected` names. */
export type CheckResult = Passed | { readonly ok: false; readonly reason: string; readonly isMismatch?: true };

export interface CheckOptions {
  readonly target: Pick<Target, "path" | "class">;
  readonly contentType: string | undefined;
  readonly contentLength: number | undefined;
  readonly expected: Expected;
  /** Whether to compare the digests inside an rpm, and to compute the SHA-256 of each kept file for a later comparison, which costs CPU. */
  readonly deep: boolean;
  /** False where nothing is stored that could be compared later. */
  readonly isKept: boolean;
  readonly createDigest: CreateDigest;
}

const PACKAGE_CLASSES: ReadonlySet<PathClass> = new Set(["package", "unstable-package", "pass"]);

/** Judges the bytes of one file from the first to the last, in constant memory. */
export function createCheck({ target, contentType, contentLength, expected, deep, isKept, createDigest }: CheckOptions) {
  const named = expected.kind === "known" ? expected.expectations : null;
  const isPackage = PACKAGE_CLASSES.has(target.class);
  const digests = deep && named === null ? createDigest : undefined;
  const verifier = isPackage ? createVerifier(target.path, { contentLength, createDigest: digests }) : null;
  // Where digests name the bytes, they alone decide: the file may be a page, or of a structure that only this program takes for broken.
  const mayBeNamed = named?.some(({ size }) => size === undefined || contentLength === undefined || size === contentLength) === true;
  const algorithms = new Set(named?.flatMap(({ algorithm }) => (algorithm === "size" ? [] : [algorithm])));
  // An index that lands later is compared with it.
  if ((deep && isKept) || expected.kind === "building") algorithms.add("sha256");
  const running = [...algorithms].map((algorithm) => ({
    algorithm,
    digest: algorithm === APK_CONTROL_SHA1 ? createApkDigest(createDigest) : createDigest(WEBCRYPTO_NAME[algorithm]),
  }));
  /** The first bytes, until there are enough to recognise an HTML page. */
  const head = new Uint8Array(isPackage ? HTML_SNIFF_BYTES : 0);
  let html: string | null = null;
  let seen = 0;
  const digestsOf = new Map<string, string>();

  function sniff(length: number): void {
    if (isPackage && isPageInPlaceOf(target.path, head.subarray(0, length), contentType))
      html = "the upstream sent an HTML page instead of a package";
  }

  function broken(): string | null {
    return html ?? verifier?.broken() ?? null;
  }

  return {
    /** Resolves when the chunk may be reused. */
    async feed(chunk: Uint8Array): Promise<void> {
      const missing = head.length - seen;
      if (missing > 0) {
        head.set(chunk.subarray(0, missing), seen);
        if (chunk.length >= missing) sniff(head.length);
      }
      seen += chunk.length;
      await verifier?.feed(chunk);
      for (const { digest } of running) await digest.update(chunk);
    },
    /** The length that the file itself declares, settled within the first MiB. */
    declared: (): DeclaredLength => (seen < head.length ? { kind: "pending" } : (verifier?.declared() ?? { kind: "unknown" })),
    /** Why the bytes so far can never be whole; null as long as they can. */
    broken: () => (mayBeNamed ? null : broken()),
    async finish(): Promise<CheckResult> {
      if (seen < head.length) sniff(seen);
      const verdict = (await verifier?.finish()) ?? { kind: "unknown" };
      const reason = broken();
      if (reason !== null && !mayBeNamed) return { ok: false, reason };
      for (const { algorithm, digest } of running) digestsOf.set(algorithm, toHex(await digest.digest()));
      const hex = digestsOf.get("sha256");
      const passed: Passed = {
        ok: true,
        verified: verdict.kind === "whole" ? "structure" : "length",
        ...(hex === undefined ? {} : { sha256: hex }),
      };
      const judged = named === null ? passed : judgeByExpectations(named, passed, { size: seen, digests: digestsOf });
      const isProven = judged.ok && judged.verified === "digest";
      return reason === null || isProven ? judged : { ok: false, reason };
    },
    /** What `finish` computed. */
    measured: (): Measured => ({ size: seen, digests: digestsOf }),
  };
}

/** Compares bytes that are whole with what an index, a root or a name states of them. Bytes of which the stated digest was not computed pass. */
export function judgeByExpectations(named: Known["expectations"], passed: Passed, measured: Measured): CheckResult {
  const comparison = compare(named, measured);
  // A size that fits proves no more than the length does.
  const isDigest = named.some(({ algorithm }) => algorithm !== "size");
  const [algorithm, digest] = [...measured.digests].find(([one]) => one !== "sha256") ?? [];
  const other = digest === undefined ? {} : { digest: `${algorithm}:${digest}` };
  if (comparison === "same") return isDigest ? { ...passed, ...other, verified: "digest" } : passed;
  if (comparison === "unknown") return passed;
  const [first, ...others] = named;
  const more = others.length === 0 ? "" : ` (or one of ${others.length} others)`;
  const ofIt = measured.digests.get(first.algorithm);
  const actual = first.algorithm === "size" ? `size is ${measured.size}` : `${first.algorithm} is ${ofIt} at ${measured.size} bytes`;
  return { ok: false, isMismatch: true, reason: `its ${actual}, not the ${first.digest}${more} that its ${first.source} names` };
}

/** Incremental digests by workerd's `crypto.DigestStream`, which Node lacks. */
export const createStreamDigest: CreateDigest = (algorithm) => {
  const stream = new crypto.DigestStream(algorithm);
  const writer = stream.getWriter();
  return {
    update: (chunk) => writer.write(chunk),
    async digest() {
      await writer.close();
      return new Uint8Array(await stream.digest);
    },
  };
};
