import { createReporter, type IndexReport, type NamedPackage } from "./named-package.ts";
import type { Breathe } from "./pace.ts";
import { readXml } from "./read-xml.ts";

/** The longest text that is needed is a SHA-512 in hex; what is longer is none. */
const MAX_TEXT_CHARACTERS = 256;
const MAX_CHECKSUMS = 16;

/** Elements of a package whose text is needed. */
const TEXTS: ReadonlySet<string> = new Set(["name", "arch", "checksum"]);

interface Package {
  location?: string | undefined;
  base?: string | undefined;
  size?: string | undefined;
  version?: string | undefined;
  readonly texts: Map<string, string>;
  readonly digests: (readonly [algorithm: string, hex: string])[];
}

/**
 * Reads a primary.xml (https://github.com/rpm-software-management/createrepo_c) as it flows. Elements and attributes that are not known are passed
 * over. Throws MalformedError.
 */
export async function parsePrimary(
  chunks: AsyncIterable<Uint8Array>,
  found: (named: NamedPackage) => void,
  breathe?: Breathe,
): Promise<IndexReport> {
  const reporter = createReporter(found);
  let named = emptyPackage();
  /** The element whose text is being read, and for a checksum its algorithm. */
  let field: string | null = null;
  let [text, algorithm] = ["", ""];
  await readXml(
    chunks,
    "metadata",
    {
      open(name, attributes, depth) {
        field = null;
        if (depth === 2) named = emptyPackage();
        if (depth !== 3) return;
        if (TEXTS.has(name)) [field, text, algorithm] = [name, "", attributes["type"] ?? ""];
        else if (name === "size") named.size = attributes["package"]?.trim();
        else if (name === "version") named.version = formatVersion(attributes);
        else if (name === "location") [named.location, named.base] = [attributes["href"], attributes["xml:base"]];
      },
      text(part) {
        if (field !== null && text.length <= MAX_TEXT_CHARACTERS) text += part;
      },
      close(name, depth) {
        if (depth === 3 && field === "checksum" && named.digests.length < MAX_CHECKSUMS) named.digests.push([algorithm, text.trim()]);
        else if (depth === 3 && field !== null) named.texts.set(field, text.trim());
        field = null;
        if (depth !== 2 || name !== "package") return;
        const { texts, location, ...rest } = named;
        reporter.add({ ...rest, location, name: texts.get("name"), architecture: texts.get("arch") });
      },
    },
    { isLenient: true, ...(breathe === undefined ? {} : { breathe }) },
  );
  return reporter.report();
}

function emptyPackage(): Package {
  return { texts: new Map(), digests: [] };
}

/** `epoch:version-release`, the epoch only where it is not 0. */
function formatVersion({ epoch = "0", ver = "", rel = "" }: Readonly<Record<string, string>>): string {
  return `${epoch === "0" || epoch === "" ? "" : `${epoch}:`}${ver}${rel === "" ? "" : `-${rel}`}`;
}
