import { createReporter, type IndexReport, type NamedPackage, type Reporter } from "./named-package.ts";
import { readLines } from "./read-lines.ts";
import { readTar } from "./read-tar.ts";

/** The longest real `desc`, with all its dependencies, is below 50 KB. */
const MAX_DESC_BYTES = 1024 * 1024;

const FIELDS: ReadonlySet<string> = new Set(["%FILENAME%", "%CSIZE%", "%MD5SUM%", "%SHA256SUM%", "%NAME%", "%VERSION%", "%ARCH%"]);

/**
 * Reads a pacman database as it flows: a tar archive with one file `<name>-<version>/desc` for each package (repo-add(8)). Paths are relative to the
 * database's folder. Throws MalformedError.
 */
export async function parsePacmanDatabase(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<IndexReport> {
  const reporter = createReporter(found);
  await readTar(chunks, async ({ name, size }, body) => {
    if (!name.endsWith("/desc")) return;
    if (size > MAX_DESC_BYTES) reporter.skip(name, `it is longer than ${MAX_DESC_BYTES} bytes`);
    else reportDesc(await readDesc(body), reporter);
  });
  return reporter.report();
}

/** The first value of each field: a line `%FIELD%`, then its values, one a line, up to an empty line. */
async function readDesc(body: AsyncIterable<Uint8Array>): Promise<ReadonlyMap<string, string>> {
  const fields = new Map<string, string>();
  let field: string | null = null;
  let isInside = false;
  await readLines(body, (line) => {
    const value = line.trim();
    if (value === "") [field, isInside] = [null, false];
    else if (!isInside) [field, isInside] = [FIELDS.has(value) ? value : null, true];
    else if (field !== null) {
      fields.set(field, value);
      field = null;
    }
  });
  return fields;
}

function reportDesc(fields: ReadonlyMap<string, string>, reporter: Reporter): void {
  const location = fields.get("%FILENAME%");
  if (location === undefined) return;
  // libalpm would write such a file outside its cache folder, and refuses it.
  if (location.startsWith(".") || location.includes("/")) return reporter.skip(location, "its name leads out of the repository");
  reporter.add({
    location,
    size: fields.get("%CSIZE%"),
    digests: [
      ["sha256", fields.get("%SHA256SUM%") ?? ""],
      ["md5", fields.get("%MD5SUM%") ?? ""],
    ],
    name: fields.get("%NAME%"),
    version: fields.get("%VERSION%"),
    architecture: fields.get("%ARCH%"),
  });
}
