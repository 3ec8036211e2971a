import * as v from "valibot";
import { MalformedError } from "../../metadata/formats/parsed-root.ts";

/** The first file of a bundle. */
export const MANIFEST_NAME = "manifest.json";

const SHA256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const FILE = v.object({
  /** The name in the archive: `<mirror>/<path>`. */
  name: v.string(),
  mirror: v.string(),
  /** The key under which a server stores it. */
  key: v.string(),
  /** Bytes. */
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  sha256: SHA256,
  contentType: v.string(),
  lastModified: v.optional(v.string()),
});
const GENERATION = v.object({
  mirror: v.string(),
  /** The path of the root below the mirror, such as dists/trixie/InRelease. */
  root: v.string(),
  sha256: SHA256,
  /** Set where an index stands in for a root: the path of its form. */
  form: v.optional(v.string()),
  companions: v.array(v.object({ path: v.string(), sha256: SHA256 })),
  /** Paths of the members that the archive has. */
  members: v.array(v.string()),
});

const MANIFEST = v.object({
  format: v.literal("lazy-mirror bundle"),
  version: v.literal(1),
  /** In the order of the archive: first what `generations` name, then the packages. */
  files: v.array(FILE),
  generations: v.array(GENERATION),
});

export type Manifest = v.InferOutput<typeof MANIFEST>;
export type BundleFile = v.InferOutput<typeof FILE>;
export type BundleGeneration = v.InferOutput<typeof GENERATION>;

/** Throws MalformedError where the text is no manifest that this version reads. */
export function parseManifest(text: string): Manifest {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), MANIFEST), text);
  if (!parsed.success) throw new MalformedError(`its ${MANIFEST_NAME} is of no bundle of version 1: ${parsed.issues[0].message}`);
  const names = new Set<string>();
  for (const { name } of parsed.output.files) {
    if (names.has(name)) throw new MalformedError(`its ${MANIFEST_NAME} names ${name} twice`);
    names.add(name);
  }
  return parsed.output;
}
