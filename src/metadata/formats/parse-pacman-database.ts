import { createTarDecoder } from "modern-tar";
import { toStream } from "./decompress.ts";
import { createReporter, type IndexReport, type NamedPackage, type Reporter } from "./named-package.ts";
import { MalformedError } from "./parsed-root.ts";

/** The longest real `desc`, with all its dependencies, is below 50 KB. */
const MAX_DESC_BYTES = 1024 * 1024;

/**
 * Reads a pacman database as it flows: a tar archive with one file `<name>-<version>/desc` for each package (repo-add(8)). Paths are relative to
 * the database's folder. Packages without SHA-256 are left out. Throws MalformedError.
 */
export async function parsePacmanDatabase(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<IndexReport> {
  const reporter = createReporter(found);
  const entries = toStream(chunks)
    .pipeThrough(createTarDecoder({ strict: true }))
    .getReader();
  try {
    for (let next = await entries.read(); !next.done; next = await entries.read()) {
      const { header, body } = next.value;
      if (header.type === "file" && header.name.endsWith("/desc")) {
        if (header.size > MAX_DESC_BYTES) throw new MalformedError(`a desc is longer than ${MAX_DESC_BYTES} bytes`);
        reportDesc(await new Response(body).text(), reporter);
      } else {
        // The archive does not go on until this body is read or cancelled.
        await body.cancel();
      }
    }
    return reporter.report();
  } catch (error) {
    if (error instanceof MalformedError) throw error;
    throw new MalformedError(`it cannot be read as a tar archive: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await entries.cancel().catch(() => {});
  }
}

/** A `desc` is made of sections with an empty line between them: a line `%FIELD%`, then its values, one a line. */
function reportDesc(desc: string, reporter: Reporter): void {
  const fields = new Map(desc.split(/\n{2,}/).map(readSection));
  const location = fields.get("%FILENAME%");
  if (location === undefined) return;
  // libalpm would write such a file outside its cache folder, and refuses it.
  if (/^\.|\//.test(location)) reporter.skip(location, "its name leads out of the repository");
  else reporter.add({ location, size: fields.get("%CSIZE%"), digests: [["sha256", fields.get("%SHA256SUM%") ?? ""]] });
}

function readSection(section: string): [field: string, firstValue: string] {
  const [field = "", value = ""] = section.trim().split("\n", 2);
  return [field, value];
}
