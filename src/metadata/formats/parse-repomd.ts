import { parseDigest } from "../../verify/expectation.ts";
import type { Breathe } from "./pace.ts";
import {
  createEntryLimit,
  createSkipCounter,
  dateOfRevision,
  type Entry,
  parsing,
  type RootParse,
  type SkipCounter,
  TOO_MANY_ENTRIES,
} from "./parsed-root.ts";
import { readXml, type XmlHandler } from "./read-xml.ts";
import { isContained, join } from "./repository-path.ts";

const FIELDS: ReadonlySet<string> = new Set(["checksum", "size", "open-size", "timestamp", "revision"]);

/** The attributes of a `<data>` and of what it holds. */
interface Data {
  readonly type: string;
  readonly href?: string;
  readonly base?: string | undefined;
  readonly algorithm?: string;
}

/** Limit for the text of a field: the longest real one is a SHA-512 in hex. Of a longer one nothing is used. */
const MAX_FIELD_CHARACTERS = 1024;

/**
 * Reads a repomd.xml (https://github.com/rpm-software-management/createrepo_c) as leniently as librepo (librepo/repomd.c): unknown elements and attributes
 * are passed over, and a `<data>` that cannot be used is left out by itself: one without location or digest, one that lies elsewhere (xml:base, an absolute
 * URL, `..`), one with a digest of an unknown kind. `base` is the folder that holds `repodata/`. `breathe` is awaited between turns.
 */
export function parseRepomd(bytes: Uint8Array, base: string, breathe?: Breathe): Promise<RootParse> {
  return parsing(async () => {
    const skipped = createSkipCounter();
    const entries: Entry[] = [];
    const isTaken = createEntryLimit();
    let newest: number | undefined;
    let revision: number | undefined;
    let data: Data | null = null;
    let values = new Map<string, string>();
    let field: string | null = null;
    const handler: XmlHandler = {
      open(name, attributes, depth) {
        const isHere = name === "revision" ? depth === 2 : depth === 3 && data !== null;
        field = isHere && FIELDS.has(name) ? name : null;
        if (field !== null) values.delete(field);
        if (name === "data" && depth === 2) [data, values] = [{ type: attributes["type"] ?? "" }, new Map<string, string>()];
        if (data === null || depth !== 3) return;
        if (name === "location" && attributes["href"] !== undefined)
          data = { ...data, href: attributes["href"], base: attributes["xml:base"] };
        if (name === "checksum") data = { ...data, algorithm: attributes["type"] ?? "" };
      },
      text(text) {
        if (field === null) return;
        const value = (values.get(field) ?? "") + text.slice(0, MAX_FIELD_CHARACTERS + 1);
        values.set(field, value.slice(0, MAX_FIELD_CHARACTERS + 1));
      },
      close(name, depth) {
        field = null;
        if (name === "revision" && depth === 2) revision = decimal(values.get(name));
        if (name !== "data" || depth !== 2 || data === null) return;
        const time = seconds(values.get("timestamp"));
        if (time !== undefined && (newest === undefined || time > newest)) newest = time;
        const entry = readEntry(base, data, values, skipped);
        if (entry !== null && isTaken(entry)) entries.push(entry);
        else if (entry !== null) skipped.skip(entry.path, TOO_MANY_ENTRIES);
        data = null;
      },
    };
    await readXml([bytes], "repomd", handler, breathe === undefined ? {} : { breathe });
    return { revision, timestamp: newest, validUntil: undefined, byHash: false, entries, ...skipped.report() };
  });
}

function readEntry(base: string, data: Data, values: ReadonlyMap<string, string>, skipped: SkipCounter): Entry | null {
  const { href = "", type } = data;
  const written = href.replace(/^(?:\.\/)+/, "");
  const digest = parseDigest(data.algorithm ?? "", (values.get("checksum") ?? "").trim());
  if (href === "" || digest === null) {
    skipped.skip(type, href === "" ? "has no location" : "has no digest that is known here");
    return null;
  }
  if (data.base !== undefined || !isContained(written) || /^[a-z][a-z0-9+.-]*:\/\//i.test(written)) {
    skipped.skip(type, `lies elsewhere: ${JSON.stringify((data.base ?? href).slice(0, 120))}`);
    return null;
  }
  const size = count(values.get("size"));
  const openSize = count(values.get("open-size"));
  return {
    path: join(base, written),
    ...digest,
    type,
    ...(size === undefined ? {} : { size }),
    ...(openSize === undefined ? {} : { openSize }),
  };
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : undefined;
}

/** A number, or undefined: a revision may be any text. */
function decimal(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*\d{1,15}(?:\.\d{1,9})?\s*$/.test(text) ? Number(text) : undefined;
}

/** Unix seconds, or undefined where the text does not look like them. */
function seconds(text: string | undefined): number | undefined {
  return dateOfRevision({ revision: decimal(text) });
}
