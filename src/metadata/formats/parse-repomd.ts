import { parseDigest } from "../../verify/expectation.ts";
import { type Entry, MalformedError, MAX_ROOT_ENTRIES, parsing, type RootParse } from "./parsed-root.ts";
import { readXml } from "./read-xml.ts";
import { join, requireContained } from "./repository-path.ts";

const FIELDS: ReadonlySet<string> = new Set(["checksum", "size", "open-size", "timestamp", "revision"]);

/** The attributes of a `<data>` and of what it holds. */
type Data = { type: string; href?: string; algorithm?: string };

/** Limit for the text of a field: the longest real one is a SHA-512 in hex. */
const MAX_FIELD_CHARACTERS = 1024;

/**
 * Reads a repomd.xml (https://github.com/rpm-software-management/createrepo_c). `base` is the folder that holds `repodata/`. A `<data>` that lies
 * elsewhere (xml:base) or has a digest of an unknown kind is left out: it could not be fetched here, or not verified.
 */
export function parseRepomd(bytes: Uint8Array, base: string): Promise<RootParse> {
  return parsing(async () => {
    const entries: Entry[] = [];
    const times: number[] = [];
    let revision: number | undefined;
    let data: Data | null = null;
    let values = new Map<string, string>();
    let field: string | null = null;
    await readXml([bytes], "repomd", {
      open(name, attributes, depth) {
        field = FIELDS.has(name) ? name : null;
        if (name === "data" && depth === 2) [data, values] = [{ type: attributes["type"] ?? "" }, new Map<string, string>()];
        if (data === null) return;
        if (name === "location" && attributes["xml:base"] === undefined) data.href = attributes["href"] ?? "";
        if (name === "checksum") data.algorithm = attributes["type"] ?? "";
      },
      text(text) {
        if (field === null) return;
        const value = (values.get(field) ?? "") + text;
        if (value.length > MAX_FIELD_CHARACTERS) throw new MalformedError(`<${field}> is longer than ${MAX_FIELD_CHARACTERS} characters`);
        values.set(field, value);
      },
      close(name, depth) {
        field = null;
        if (name === "revision") revision = seconds(values.get(name));
        if (name !== "data" || depth !== 2 || data === null) return;
        const time = seconds(values.get("timestamp"));
        if (time !== undefined) times.push(time);
        const entry = readEntry(base, data, values);
        if (entry !== null) entries.push(entry);
        if (entries.length > MAX_ROOT_ENTRIES) throw new MalformedError(`it lists more than ${MAX_ROOT_ENTRIES} files`);
        data = null;
      },
    });
    const timestamp = times.length === 0 ? undefined : Math.max(...times);
    return { revision, timestamp, validUntil: undefined, byHash: false, entries };
  });
}

function readEntry(base: string, data: Data, values: ReadonlyMap<string, string>): Entry | null {
  if (data.href === undefined) return null;
  const path = join(base, requireContained(data.href, "href"));
  const digest = parseDigest(data.algorithm ?? "", (values.get("checksum") ?? "").trim());
  if (digest === null) return null;
  const size = count(values.get("size"));
  const openSize = count(values.get("open-size"));
  return {
    path,
    ...digest,
    type: data.type,
    ...(size === undefined ? {} : { size }),
    ...(openSize === undefined ? {} : { openSize }),
  };
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : undefined;
}

/** Unix seconds, or undefined where the text does not look like them: a revision may be any word or number. */
function seconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*\d{9,11}(\.\d+)?\s*$/.test(text) ? Number(text) : undefined;
}
