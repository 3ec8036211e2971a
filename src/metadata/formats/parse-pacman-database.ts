import { createTarDecoder } from "modern-tar";
import { toStream } from "./decompress.ts";
import { type NamedPackage, reportPackage } from "./named-package.ts";
import { MalformedError } from "./parsed-root.ts";

/** The longest real `desc`, with all its dependencies, is below 50 KB. */
const MAX_DESC_BYTES = 1024 * 1024;

/**
 * Reads a pacman database as it flows: a tar archive with one file `<name>-<version>/desc` for each package (repo-add(8)). Paths are relative to
 * the database's folder. Packages without SHA-256 are left out. Throws MalformedError.
 */
export async function parsePacmanDatabase(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<void> {
  const entries = toStream(chunks)
    .pipeThrough(createTarDecoder({ strict: true }))
    .getReader();
  try {
    for (let next = await entries.read(); !next.done; next = await entries.read()) {
      const { header, body } = next.value;
      if (header.type === "file" && header.name.endsWith("/desc")) {
        if (header.size > MAX_DESC_BYTES) throw new MalformedError(`a desc is longer than ${MAX_DESC_BYTES} bytes`);
        reportDesc(await new Response(body).text(), found);
      } else {
        // The archive does not go on until this body is read or cancelled.
        await body.cancel();
      }
    }
  } catch (error) {
    if (error instanceof MalformedError) throw error;
    throw new MalformedError(`it cannot be read as a tar archive: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await entries.cancel().catch(() => {});
  }
}

/** A `desc` is made of sections with an empty line between them: a line `%FIELD%`, then its values, one a line. */
function reportDesc(desc: string, found: (named: NamedPackage) => void): void {
  const fields = new Map(desc.split(/\n{2,}/).map(readSection));
  const path = fields.get("%FILENAME%");
  if (path === undefined) return;
  // libalpm refuses such a database too: the name would have it write outside its cache folder.
  if (/^\.|\//.test(path)) throw new MalformedError(`file name ${JSON.stringify(path.slice(0, 120))} leads out of the repository`);
  reportPackage(path, fields.get("%CSIZE%") ?? "", fields.get("%SHA256SUM%") ?? "", found);
}

function readSection(section: string): [field: string, firstValue: string] {
  const [field = "", value = ""] = section.trim().split("\n", 2);
  return [field, value];
}
