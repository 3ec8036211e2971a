import type { PathClass } from "../../config/config.ts";
import type { Verified } from "../../store/stored-object.ts";
import type { Expectation } from "../../verify/expectation.ts";
import { HTML_SNIFF_BYTES, isHtmlBody } from "../../verify/html.ts";
import { createVerifier } from "../../verify/create-verifier.ts";
import type { CreateDigest } from "../../verify/digest-ranges.ts";
import { toHex } from "../../verify/expectation.ts";
import type { DeclaredLength } from "../../verify/walk.ts";

/** Judges the bytes of one fill from the first to the last, in constant memory. */
export interface Check {
  /** Resolves when the chunk may be reused. */
  feed(chunk: Uint8Array): Promise<void>;
  /** The length that the file itself declares, settled within the first MiB. */
  declared(): DeclaredLength;
  /** Why the bytes so far can never be whole; null as long as they can. */
  broken(): string | null;
  finish(): Promise<CheckResult>;
}

export type CheckResult =
  | { readonly ok: true; readonly verified: Verified; readonly sha256?: string }
  | { readonly ok: false; readonly reason: string };

export interface CheckOptions {
  readonly path: string;
  readonly class: PathClass;
  readonly contentType: string | undefined;
  readonly contentLength: number | undefined;
  /** Digests of which the content must have one; empty where none is known. */
  readonly expected: readonly Expectation[];
  /** Whether to compare the digests inside an rpm, which costs CPU. */
  readonly deep: boolean;
  /** Whether to compute the SHA-256 though no digest is known: an index that will name it is being read. */
  readonly fingerprint: boolean;
  readonly createDigest: CreateDigest;
}

const WEBCRYPTO_NAME = { md5: "MD5", sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" } as const;
const PACKAGE_CLASSES: ReadonlySet<PathClass> = new Set(["package", "unstable-package", "pass"]);

export function createCheck(options: CheckOptions): Check {
  const isPackage = PACKAGE_CLASSES.has(options.class);
  const { expected } = options;
  const verifier = isPackage
    ? createVerifier(options.path, {
        ...(options.contentLength === undefined ? {} : { contentLength: options.contentLength }),
        ...(options.deep && expected.length === 0 ? { createDigest: options.createDigest } : {}),
      })
    : null;
  const algorithm = expected[0]?.algorithm ?? (options.fingerprint ? "sha256" : undefined);
  const digest = algorithm === undefined ? null : options.createDigest(WEBCRYPTO_NAME[algorithm]);
  /** The first bytes, until there are enough to recognise an HTML page. */
  const head = new Uint8Array(isPackage ? HTML_SNIFF_BYTES : 0);
  let html: string | null = null;
  let seen = 0;

  function sniff(length: number): void {
    if (isPackage && isHtmlBody(head.subarray(0, length), options.contentType))
      html = "the upstream sent an HTML page instead of a package";
  }

  return {
    async feed(chunk) {
      const missing = head.length - seen;
      if (missing > 0) {
        head.set(chunk.subarray(0, missing), seen);
        if (chunk.length >= missing) sniff(head.length);
      }
      seen += chunk.length;
      await verifier?.feed(chunk);
      await digest?.update(chunk);
    },
    declared: () => (seen < head.length ? { kind: "pending" } : (verifier?.declared() ?? { kind: "unknown" })),
    broken: () => html ?? verifier?.broken() ?? null,
    async finish() {
      if (seen < head.length) sniff(seen);
      const reason = html ?? verifier?.broken();
      if (reason != null) return { ok: false, reason };
      const verdict = (await verifier?.finish()) ?? { kind: "unknown" };
      if (verdict.kind === "broken") return { ok: false, reason: verdict.reason };
      const hex = digest === null ? undefined : toHex(await digest.digest());
      const sha256 = algorithm === "sha256" && hex !== undefined ? { sha256: hex } : {};
      if (expected.length > 0) {
        const match = expected.find((e) => e.digest === hex && (e.size === undefined || e.size === seen));
        if (match === undefined) {
          return {
            ok: false,
            reason: `its ${algorithm} is ${hex} at ${seen} bytes, not the ${expected[0]?.digest} that its ${expected[0]?.source} names`,
          };
        }
        return { ok: true, verified: "digest", ...sha256 };
      }
      return { ok: true, verified: verdict.kind === "whole" ? "structure" : "length", ...sha256 };
    },
  };
}
