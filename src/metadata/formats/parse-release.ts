import { ALGORITHMS, type NamedDigest, parseDigest } from "../../verify/expectation.ts";
import {
  createUtf8Decoder,
  type Entry,
  MalformedError,
  MAX_ROOT_ENTRIES,
  type ParsedRoot,
  parsing,
  type RootParse,
} from "./parsed-root.ts";
import { join, requireContained } from "./repository-path.ts";

const SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE = "-----BEGIN PGP SIGNATURE-----";
const SIGNATURE_END = "-----END PGP SIGNATURE-----";

/**
 * Reads an InRelease or Release (https://wiki.debian.org/DebianRepository/Format). `folder` is where it lies, so that entries get paths below the
 * mirror. Of several digests of one file the strongest is kept.
 */
export function parseRelease(bytes: Uint8Array, folder: string): Promise<RootParse> {
  const decode = createUtf8Decoder();
  return parsing(() => readRelease(unsign(decode(bytes) + decode()), folder));
}

/** The signed text of a clearsigned message (RFC 9580 §7); any other text unchanged. */
function unsign(text: string): string {
  if (!text.startsWith(SIGNED)) return text;
  const body = text.search(/\r?\n\r?\n/);
  const end = text.indexOf(`\n${SIGNATURE}`);
  // A cut InRelease still parses as a Release: only the end of its signature shows that it is whole.
  if (body < 0 || end < body || text.indexOf(SIGNATURE_END, end) < 0) throw new MalformedError("its signature is cut off");
  return text
    .slice(body, end + 1)
    .replace(/^\s+/, "")
    .replaceAll(/^- /gm, "");
}

function readRelease(text: string, folder: string): ParsedRoot {
  const fields = new Map<string, string>();
  const entries = new Map<string, Entry>();
  let algorithm: string | null = null;
  for (const line of text.split("\n")) {
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (algorithm !== null) addEntry(entries, folder, algorithm, line);
      continue;
    }
    const field = /^([A-Za-z0-9-]+):[ \t]*(.*?)\s*$/.exec(line);
    if (field === null) {
      if (line.trim() !== "") throw new MalformedError(`line ${JSON.stringify(line.slice(0, 60))} is no field of a Release file`);
      continue;
    }
    const name = (field[1] ?? "").toLowerCase();
    algorithm = ALGORITHMS.find((one) => one === name.replace(/sum$/, "")) ?? null;
    fields.set(name, field[2] ?? "");
  }
  if (entries.size === 0 && !["md5sum", "sha1", "sha256", "sha512"].some((name) => fields.has(name))) {
    throw new MalformedError("it lists no files by digest (MD5Sum, SHA1, SHA256 or SHA512)");
  }
  const date = time(fields, "date");
  return {
    revision: undefined,
    timestamp: date === undefined ? undefined : date / 1000,
    validUntil: time(fields, "valid-until"),
    byHash: fields.get("acquire-by-hash") === "yes",
    entries: [...entries.values()],
  };
}

function time(fields: ReadonlyMap<string, string>, name: string): number | undefined {
  const value = fields.get(name);
  if (value === undefined) return undefined;
  const ms = Date.parse(value);
  if (Number.isNaN(ms)) throw new MalformedError(`${name} ${JSON.stringify(value.slice(0, 60))} is no date`);
  return ms;
}

function addEntry(entries: Map<string, Entry>, folder: string, algorithm: string, line: string): void {
  const [hex = "", size = "", ...rest] = line.trim().split(/\s+/);
  const digest = parseDigest(algorithm, hex);
  if (digest === null || !/^\d{1,15}$/.test(size)) {
    throw new MalformedError(`${algorithm} line ${JSON.stringify(line.slice(0, 120))} is not "digest size path"`);
  }
  const path = join(folder, requireContained(rest.join(" ").replace(/^(\.\/)+/, ""), "path"));
  const known = entries.get(path);
  if (known !== undefined && !isStronger(digest, known)) return;
  if (entries.size >= MAX_ROOT_ENTRIES) throw new MalformedError(`it lists more than ${MAX_ROOT_ENTRIES} files`);
  entries.set(path, { path, ...digest, size: Number(size) });
}

function isStronger(one: NamedDigest, other: NamedDigest): boolean {
  return ALGORITHMS.indexOf(one.algorithm) < ALGORITHMS.indexOf(other.algorithm);
}
