import { createReporter, type IndexReport, type NamedPackage, type Reporter } from "./named-package.ts";
import { MalformedError } from "./parsed-root.ts";
import { readLines } from "./read-lines.ts";

/** Files of one source package; real ones have some ten. What is beyond is passed over, and so is a digest of a file that has one of each list already. */
const MAX_SOURCE_FILES = 1000;

/** The longest field name that is needed has 16 characters; apt allows blanks between a name and its colon. */
const MAX_NAME_CHARACTERS = 32;

/** Fields of a Sources stanza that list files, and what algorithm their digests have. */
const FILE_LISTS: ReadonlyMap<string, string> = new Map([
  ["files", "md5"],
  ["checksums-sha1", "sha1"],
  ["checksums-sha256", "sha256"],
  ["checksums-sha512", "sha512"],
]);

/** Fields of a Packages stanza that hold a digest. */
const DIGESTS: ReadonlyMap<string, string> = new Map([
  ["md5sum", "md5"],
  ["sha1", "sha1"],
  ["sha256", "sha256"],
  ["sha512", "sha512"],
]);

const KEPT: ReadonlySet<string> = new Set(["package", "version", "architecture", "filename", "size", "directory", ...DIGESTS.keys()]);

interface Stanza {
  /** By name in lower case. */
  readonly fields: Map<string, string>;
  /** Sources: what is said of each file, by its name. */
  readonly files: Map<string, { readonly size: string; readonly digests: [algorithm: string, hex: string][] }>;
}

/**
 * Reads a deb Packages or Sources file as it flows (https://wiki.debian.org/DebianRepository/Format), as leniently as apt (apt-pkg/tagfile.cc): field
 * names in any case and with blanks before the colon, continuation lines that begin with a blank or a tab, CRLF, and lines that are no field, which are
 * passed over. Throws MalformedError where no line of it belongs to such a file.
 */
export async function parsePackages(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<IndexReport> {
  const reporter = createReporter(found);
  let stanza = emptyStanza();
  let list: string | undefined;
  let [isText, isIndex] = [false, false];
  const finish = (): void => {
    list = undefined;
    if (stanza.fields.size === 0 && stanza.files.size === 0) return;
    reportStanza(stanza, reporter);
    stanza = emptyStanza();
  };
  await readLines(chunks, (line) => {
    if (line === "") return finish();
    const first = line.charCodeAt(0);
    if (first === 0x20 || first === 0x09) {
      if (list !== undefined) addFile(stanza, list, line);
      return;
    }
    isText = true;
    list = undefined;
    const colon = line.indexOf(":");
    if (colon < 1 || colon > MAX_NAME_CHARACTERS) return;
    const name = line.slice(0, colon).trim().toLowerCase();
    list = FILE_LISTS.get(name);
    if (list !== undefined || !KEPT.has(name)) return;
    isIndex = true;
    // apt takes a line of blanks for a part of the field above it, dpkg for the end of the stanza: the next one begins with its own name either way.
    if (name === "package" && stanza.fields.has(name)) finish();
    stanza.fields.set(name, line.slice(colon + 1).trim());
  });
  finish();
  if (isText && !isIndex) throw new MalformedError("it is no Packages or Sources file: none of its lines is a field of one");
  return reporter.report();
}

function emptyStanza(): Stanza {
  return { fields: new Map(), files: new Map() };
}

/** ` <hex> <size> <name>` */
function addFile({ files }: Stanza, algorithm: string, line: string): void {
  const [hex = "", size = "", name = ""] = line.trim().split(/[ \t]+/, 3);
  const known = files.get(name);
  if (known !== undefined && known.digests.length < FILE_LISTS.size) known.digests.push([algorithm, hex]);
  else if (known === undefined && files.size < MAX_SOURCE_FILES) files.set(name, { size, digests: [[algorithm, hex]] });
}

function reportStanza({ fields, files }: Stanza, reporter: Reporter): void {
  const shared = { name: fields.get("package"), version: fields.get("version"), architecture: fields.get("architecture") };
  const digests = [...DIGESTS].flatMap(([field, algorithm]) => {
    const hex = fields.get(field);
    return hex === undefined ? [] : [[algorithm, hex] as const];
  });
  reporter.add({ ...shared, location: fields.get("filename"), size: fields.get("size"), digests });
  const folder = fields.get("directory");
  if (folder === undefined) return;
  for (const [name, file] of files) reporter.add({ ...shared, architecture: "source", ...file, location: name && `${folder}/${name}` });
}
