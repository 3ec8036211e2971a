import { ALGORITHMS, type NamedDigest, parseDigest } from "../../verify/expectation.ts";
import { signedText, splitClearsigned } from "./clearsigned.ts";
import { type Breathe, createPace } from "./pace.ts";
import {
  createEntryLimit,
  createSkipCounter,
  type Entry,
  MalformedError,
  type ParsedRoot,
  parsing,
  type RootParse,
  type SkipCounter,
  TOO_MANY_ENTRIES,
} from "./parsed-root.ts";
import { isContained, join } from "./repository-path.ts";

/** Longer names of fields are none that matter here. */
const MAX_NAME_CHARACTERS = 64;
/** A digest, a size and a path are shorter. */
const MAX_ENTRY_CHARACTERS = 2048;
const MAX_LINE_CHARACTERS = 64 * 1024;
const FIELDS: ReadonlySet<string> = new Set(["date", "valid-until", "acquire-by-hash"]);
/** A line costs as much as so many characters, however short it is. */
const UNITS_PER_LINE = 64;
/** What apt takes for yes (apt-pkg/contrib/strutl.cc). */
const YES: ReadonlySet<string> = new Set(["yes", "true", "with", "on", "enable", "1"]);

/**
 * Reads an InRelease or Release (https://wiki.debian.org/DebianRepository/Format) as leniently as apt (apt-pkg/tagfile.cc, deb/debmetaindex.cc): the first
 * stanza, field names in any case, continuation by blank or tab, any line end; a line that is no field, a date that is none and an entry that cannot be
 * used are passed over one by one. `folder` is where it lies, so that entries get paths below the mirror. Of several digests of one file the strongest is
 * kept. Each character is looked at a few times at most; `breathe` is awaited between turns.
 */
export function parseRelease(bytes: Uint8Array, folder: string, breathe?: Breathe): Promise<RootParse> {
  return parsing(async () => {
    const signed = splitClearsigned(bytes);
    if (signed.kind === "cut") throw new MalformedError("its signature is cut off");
    // Only names and digests matter, which are ASCII: bytes of another encoding spoil no more than the line that they stand in.
    const text = await decodeText(signed.kind === "clearsigned" ? await signedText(signed.body, breathe) : bytes, breathe);
    return readRelease(text, folder, breathe);
  });
}

/** What is decoded between two breaths: where it is no UTF-8, a megabyte takes some 5 ms. */
const BYTES_PER_TURN = 1024 * 1024;

async function decodeText(bytes: Uint8Array, breathe: Breathe | undefined): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (let at = 0; at < bytes.length; at += BYTES_PER_TURN) {
    if (at > 0) await breathe?.();
    text += decoder.decode(bytes.subarray(at, at + BYTES_PER_TURN), { stream: true });
  }
  return text + decoder.decode();
}

async function readRelease(text: string, folder: string, breathe: Breathe | undefined): Promise<ParsedRoot> {
  const pace = breathe === undefined ? () => undefined : createPace(breathe);
  const skipped = createSkipCounter();
  const fields = new Map<string, string>();
  const entries = new Map<string, Entry>();
  const isTaken = createEntryLimit();
  const add = (one: NamedDigest["algorithm"], line: string): void => addEntry(entries, folder, one, line, skipped, isTaken);
  let algorithm: NamedDigest["algorithm"] | null = null;
  let isListed = false;
  let isEmpty = true;
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at);
    // A longer line is no field and no entry, whatever it holds.
    const line = withoutReturns(text.slice(at, Math.min(end < 0 ? text.length : end, at + MAX_LINE_CHARACTERS)));
    at = end < 0 ? text.length : end + 1;
    const waiting = pace(line.length + UNITS_PER_LINE);
    if (waiting !== undefined) await waiting;
    if (line === "") {
      // apt reads the first stanza, and passes over empty lines before it.
      if (!isEmpty) break;
      continue;
    }
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (algorithm !== null) add(algorithm, line);
      continue;
    }
    const colon = line.indexOf(":");
    algorithm = null;
    if (colon < 1 || colon > MAX_NAME_CHARACTERS) {
      skipped.skip(line, "is no field");
      continue;
    }
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    algorithm = ALGORITHMS.find((one) => one === name || `${one}sum` === name) ?? null;
    isListed ||= algorithm !== null;
    if (algorithm !== null && value !== "") add(algorithm, value);
    isEmpty = false;
    if (FIELDS.has(name)) fields.set(name, value);
  }
  if (!isListed) throw new MalformedError("it lists no files by digest (MD5Sum, SHA1, SHA256 or SHA512)");
  const date = time(fields, "date", skipped);
  return {
    revision: undefined,
    timestamp: date === undefined ? undefined : date / 1000,
    validUntil: time(fields, "valid-until", skipped),
    byHash: YES.has((fields.get("acquire-by-hash") ?? "").toLowerCase()),
    entries: [...entries.values()],
    ...skipped.report(),
  };
}

function withoutReturns(line: string): string {
  let end = line.length;
  while (end > 0 && line.charCodeAt(end - 1) === 0x0d) end--;
  return line.slice(0, end);
}

/** Milliseconds since the epoch; undefined: there is no such field, or its value is no date. */
function time(fields: ReadonlyMap<string, string>, name: string, skipped: SkipCounter): number | undefined {
  const value = fields.get(name);
  if (value === undefined) return undefined;
  const ms = value.length > MAX_NAME_CHARACTERS ? Number.NaN : Date.parse(value);
  if (!Number.isNaN(ms)) return ms;
  skipped.skip(value, `is no date (${name})`);
  return undefined;
}

/** `<hex> <size> <path>` */
function addEntry(
  entries: Map<string, Entry>,
  folder: string,
  algorithm: NamedDigest["algorithm"],
  line: string,
  skipped: SkipCounter,
  isTaken: ReturnType<typeof createEntryLimit>,
): void {
  const [hex = "", size = "", ...rest] = line.length > MAX_ENTRY_CHARACTERS ? [] : line.trim().split(/\s+/);
  const digest = parseDigest(algorithm, hex);
  if (digest === null || !/^\d{1,15}$/.test(size)) return skipped.skip(line, `is not "digest size path" (${algorithm})`);
  const written = rest.join(" ").replace(/^(?:\.\/)+/, "");
  if (!isContained(written)) return skipped.skip(line, "leads out of the repository, or is no path");
  const path = join(folder, written);
  const known = entries.get(path);
  if (known !== undefined && !isStronger(digest, known)) return;
  const entry = { path, ...digest, size: Number(size) };
  if (known === undefined && !isTaken(entry)) return skipped.skip(line, TOO_MANY_ENTRIES);
  entries.set(path, entry);
}

function isStronger(one: NamedDigest, other: NamedDigest): boolean {
  return ALGORITHMS.indexOf(one.algorithm) < ALGORITHMS.indexOf(other.algorithm);
}
