import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { DAY_MS } from "../../http/units.ts";
import { done, refused, type Step } from "../step.ts";

/** The files of `--certificate` and `--key`, in PEM. */
export interface KeyPairFiles {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate with those of its authorities, and its private key; the texts of both files, in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
  /** Whether all its certificates are valid now: clients refuse others. */
  readonly isCurrent: boolean;
  /** What the operator should mend. */
  readonly warnings: readonly string[];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Renewal programs are early by a month, or by a third of a short life. */
const SOON_MS = 7 * DAY_MS;
/** Others of the machine: the group may be that of a renewal program. */
const READABLE_BY_ALL = 0o004;

/**
 * Reads both files, and checks that the server can use them. Refuses with every problem. What clients will refuse at `now` (milliseconds since the epoch) is a warning:
 * a certificate that expired unseen is not to end plain HTTP at the next restart as well, nor is an old one of an authority that clients no longer need.
 */
export function readKeyPair(files: KeyPairFiles, now = Date.now()): Step<KeyPair> {
  const [certificate, key] = [readText("--certificate", files.certificate), readText("--key", files.key)];
  if (!certificate.ok || !key.ok) return refused(...[certificate, key].flatMap((step) => (step.ok ? [] : step.problems)));
  const chain = parseChain(files.certificate, certificate.value);
  if (!chain.ok) return chain;
  const [own] = chain.value;
  if (own === undefined)
    return refused(
      `Cannot use --certificate "${files.certificate}": it holds no certificate; it must be PEM, -----BEGIN CERTIFICATE-----.`,
    );
  let isMatch: (one: X509Certificate) => boolean;
  try {
    const privateKey = createPrivateKey(key.value);
    isMatch = (one) => one.checkPrivateKey(privateKey);
  } catch (error) {
    const wanted = /ENCRYPTED/.test(key.value)
      ? "it is encrypted; write one without a passphrase, for example by openssl pkey"
      : `it is no private key in PEM (${(error as Error).message})`;
    return refused(`Cannot use --key "${files.key}": ${wanted}.`);
  }
  if (!isMatch(own)) {
    const wanted = chain.value.some(isMatch)
      ? `the server's own certificate must be the first in "${files.certificate}"`
      : `it is not the key of the certificate in "${files.certificate}"; give the pair that was issued together`;
    return refused(`Cannot use --key "${files.key}": ${wanted}.`);
  }
  const untimely = chain.value.flatMap((one) => describeTime(files.certificate, one, now));
  const isOpen = (statSync(files.key, { throwIfNoEntry: false })?.mode ?? 0) & READABLE_BY_ALL;
  const endsAt = Math.min(...chain.value.map((one) => one.validToDate.getTime()));
  const warnings = [
    ...(isOpen === 0 ? [] : [`Every user of this machine can read the private key: chmod o= "${files.key}".`]),
    ...untimely,
    ...(untimely.length > 0 || endsAt - now > SOON_MS
      ? []
      : [`The certificate in "${files.certificate}" expires on ${new Date(endsAt).toISOString()}.`]),
  ];
  return done({ certificate: certificate.value, key: key.value, isCurrent: untimely.length === 0, warnings });
}

function readText(option: string, path: string): Step<string> {
  try {
    return done(readFileSync(path, "utf8"));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: "there is no such file",
      EACCES: "permission denied: the user who runs the server must be able to read it",
      EISDIR: "it is a folder; name a file",
    };
    return refused(`Cannot read ${option} "${path}": ${reasons[code ?? ""] ?? message}.`);
  }
}

function parseChain(path: string, pem: string): Step<readonly X509Certificate[]> {
  try {
    return done((pem.match(CERTIFICATE) ?? []).map((one) => new X509Certificate(one)));
  } catch (error) {
    return refused(`Cannot use --certificate "${path}": a certificate in it is damaged (${(error as Error).message}).`);
  }
}

function describeTime(path: string, { subject, validFromDate, validToDate }: X509Certificate, now: number): readonly string[] {
  const name = subject.split("\n").at(-1) ?? "";
  if (validToDate.getTime() <= now) {
    return [`Clients refuse the certificate in "${path}": ${name} expired on ${validToDate.toISOString()}; have it renewed.`];
  }
  if (validFromDate.getTime() > now) {
    return [
      `Clients refuse the certificate in "${path}": ${name} is valid only from ${validFromDate.toISOString()} on; check this machine's clock.`,
    ];
  }
  return [];
}
