import { APK_CONTROL_SHA1, type PackageDigest, parseDigest } from "../../verify/expectation.ts";

/** A package (of deb also a source file) as an index names it. */
export interface NamedPackage {
  /** Where it lies, as the index writes it: `resolveLocation` says which path of the mirror that is. Not empty. */
  readonly location: string;
  /** The `xml:base` that the location is relative to, as primary.xml writes it. */
  readonly base?: string;
  /** Bytes; absent where the index does not say it, or not as a number. */
  readonly size?: number;
  /** All that the entry states and that is known here, strongest first; none where it states only the size. */
  readonly digests: readonly PackageDigest[];
  readonly name?: string;
  /** rpm: `epoch:version-release`, the epoch only where it is not 0; the others: as the index writes it. */
  readonly version?: string;
  readonly architecture?: string;
}

/** What a parser of an index read, once it came to its end. */
export interface IndexReport {
  /** Packages that were passed on. */
  readonly found: number;
  /** Entries that say where a package lies, and could not be used: without a size and a digest that is known here, or with a malformed location. */
  readonly skipped: number;
  /** One of the skipped entries and what is wrong with it, as a phrase for the log; null where none was. */
  readonly example: string | null;
}

/** What a parser has read of one entry. */
export interface WrittenPackage {
  readonly location: string | undefined;
  readonly base?: string | undefined;
  readonly size?: string | undefined;
  /** Algorithm (as the index calls it) and hex digits. */
  readonly digests: readonly (readonly [algorithm: string, hex: string])[];
  /** The SHA-1 of an apk's control segment. */
  readonly apkControl?: string | undefined;
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly architecture?: string | undefined;
}

/** RFC 2396 knows no limit; no file system has longer paths. */
const MAX_LOCATION_CHARACTERS = 4096;
/** Longer names, versions and architectures are left out: they only describe. */
const MAX_WORD_CHARACTERS = 256;
const MAX_EXAMPLE_CHARACTERS = 120;

const STRONGEST_FIRST = ["sha512", "sha384", "sha256", APK_CONTROL_SHA1, "sha1", "md5"];

/** Passes on what can be used, and counts what cannot. */
export function createReporter(found: (named: NamedPackage) => void) {
  let [count, skipped] = [0, 0];
  let example: string | null = null;
  const skip = (written: string, why: string): void => {
    skipped++;
    example ??= `${JSON.stringify(written.slice(0, MAX_EXAMPLE_CHARACTERS))}: ${why}`;
  };
  return {
    /** Takes one entry. An entry without a location names no package, and is not counted. */
    add({ location, base, size, digests, apkControl, name, version, architecture }: WrittenPackage): void {
      if (location === undefined || location === "") return;
      if (location.length > MAX_LOCATION_CHARACTERS) return skip(location, "its location is too long");
      const known: PackageDigest[] = digests.map(([algorithm, hex]) => parseDigest(algorithm, hex)).filter((digest) => digest !== null);
      if (apkControl !== undefined) known.push({ algorithm: APK_CONTROL_SHA1, digest: apkControl });
      const isSized = size !== undefined && isCount(size);
      if (known.length === 0 && !isSized) return skip(location, "it states no digest that is known here, and no size");
      known.sort((one, other) => STRONGEST_FIRST.indexOf(one.algorithm) - STRONGEST_FIRST.indexOf(other.algorithm));
      count++;
      found({
        location,
        ...(base === undefined || base === "" ? {} : { base }),
        ...(isSized ? { size: Number(size) } : {}),
        digests: known,
        ...word("name", name),
        ...word("version", version),
        ...word("architecture", architecture),
      });
    },
    skip,
    report: (): IndexReport => ({ found: count, skipped, example }),
  };
}

export type Reporter = ReturnType<typeof createReporter>;

/** At most 15 digits, which a number can hold. */
function isCount(text: string): boolean {
  return text.length <= 15 && /^\d+$/.test(text);
}

function word<Key extends string>(key: Key, value: string | undefined): { readonly [K in Key]?: string } {
  return value === undefined || value === "" || value.length > MAX_WORD_CHARACTERS ? {} : ({ [key]: value } as { [K in Key]: string });
}
