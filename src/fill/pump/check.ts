import type { PathClass } from "../../config/config.ts";
import type { Target } from "../../route/target.ts";
import type { Verified } from "../../store/stored-object.ts";
import { createVerifier } from "../../verify/create-verifier.ts";
import type { CreateDigest } from "../../verify/digest-ranges.ts";
import { toHex, type Expected } from "../../verify/expectation.ts";
import { HTML_SNIFF_BYTES, isHtmlBody } from "../../verify/html.ts";
import type { DeclaredLength } from "../../verify/walk.ts";

export type Check = ReturnType<typeof createCheck>;

export interface Passed {
  readonly ok: true;
  readonly verified: Verified;
  readonly sha256?: string;
}
export type CheckResult = Passed | { readonly ok: false; readonly reason: string };

export interface CheckOptions {
  readonly target: Pick<Target, "path" | "class">;
  readonly contentType: string | undefined;
  readonly contentLength: number | undefined;
  /** Where the index that will name the file is `building`, its SHA-256 is computed for a later comparison. */
  readonly expected: Expected;
  /** Whether to compare the digests inside an rpm, which costs CPU. */
  readonly deep: boolean;
  readonly createDigest: CreateDigest;
}

const WEBCRYPTO_NAME = { md5: "MD5", sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" } as const;
const PACKAGE_CLASSES: ReadonlySet<PathClass> = new Set(["package", "unstable-package", "pass"]);

/** Judges the bytes of one file from the first to the last, in constant memory. */
export function createCheck({ target, contentType, contentLength, expected, deep, createDigest }: CheckOptions) {
  const named = expected.kind === "known" ? expected.expectation : null;
  const isPackage = PACKAGE_CLASSES.has(target.class);
  const digests = deep && named === null ? createDigest : undefined;
  const verifier = isPackage ? createVerifier(target.path, { contentLength, createDigest: digests }) : null;
  const algorithm = named?.algorithm ?? (expected.kind === "building" ? "sha256" : undefined);
  const digest = algorithm === undefined ? null : createDigest(WEBCRYPTO_NAME[algorithm]);
  /** The first bytes, until there are enough to recognise an HTML page. */
  const head = new Uint8Array(isPackage ? HTML_SNIFF_BYTES : 0);
  let html: string | null = null;
  let seen = 0;

  function sniff(length: number): void {
    if (isPackage && isHtmlBody(head.subarray(0, length), contentType)) html = "the upstream sent an HTML page instead of a package";
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
      await digest?.update(chunk);
    },
    /** The length that the file itself declares, settled within the first MiB. */
    declared: (): DeclaredLength => (seen < head.length ? { kind: "pending" } : (verifier?.declared() ?? { kind: "unknown" })),
    /** Why the bytes so far can never be whole; null as long as they can. */
    broken: () => html ?? verifier?.broken() ?? null,
    async finish(): Promise<CheckResult> {
      if (seen < head.length) sniff(seen);
      const reason = html ?? verifier?.broken();
      if (reason != null) return { ok: false, reason };
      const verdict = (await verifier?.finish()) ?? { kind: "unknown" };
      if (verdict.kind === "broken") return { ok: false, reason: verdict.reason };
      const hex = digest === null ? undefined : toHex(await digest.digest());
      const sha256 = algorithm === "sha256" && hex !== undefined ? { sha256: hex } : {};
      if (named === null) return { ok: true, verified: verdict.kind === "whole" ? "structure" : "length", ...sha256 };
      if (named.digest === hex && (named.size ?? seen) === seen) return { ok: true, verified: "digest", ...sha256 };
      return { ok: false, reason: `its ${algorithm} is ${hex} at ${seen} bytes, not the ${named.digest} that its ${named.source} names` };
    },
  };
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
