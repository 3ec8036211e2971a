import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";

/** A file of another cache, and what is known of the place that it had upstream. */
export interface CachedFile {
  /** Its path on this machine. */
  readonly file: string;
  /** Below the folder that was named, as an upstream would write it. */
  readonly path: string;
  readonly name: string;
  readonly size: number;
  /** Of the labels that came with it, those that a client is to see again. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes that it should have by those labels, where they say it. */
  readonly wanted: number | null;
}

export interface Found {
  readonly files: readonly CachedFile[];
  /** Files that the server fetches itself, with its next generation: indexes, signatures, lists. */
  readonly metadata: number;
}

/** Folders and files in which a cache keeps its own state. */
const OWN_STATE = /(?:^|\/)(?:partial|_\w+|lost\+found)(?:\/|$)|(?:^|\/)(?:lock|[^/]*\.(?:head|lock|part|solv|solvx|aria2))$/;
/** What belongs to a generation, and changes with it. */
const METADATA =
  /(?:^|\/)(?:dists\/.*|repodata\/.*|InRelease|Release(?:\.gpg)?|(?:Packages|Sources|Contents-\w+|Translation-\w+)(?:\.\w+)?|[^/]*\.(?:db|files)(?:\.tar(?:\.\w+)?)?(?:\.sig)?|APKINDEX[^/]*|pkgcache\.bin|srcpkgcache\.bin|[^/]*\.(?:sig|asc))$/;

/** All files below a folder, or the one file. Throws where it cannot be read. */
export function findCached(top: string): Found {
  const isFile = statSync(top).isFile();
  const paths = isFile
    ? [top]
    : readdirSync(top, { recursive: true, withFileTypes: true }).flatMap((one) => (one.isFile() ? [join(one.parentPath, one.name)] : []));
  const files: CachedFile[] = [];
  let metadata = 0;
  for (const file of paths.toSorted()) {
    const path = isFile ? basename(file) : relative(top, file);
    if (OWN_STATE.test(path)) continue;
    if (METADATA.test(path)) {
      metadata++;
      continue;
    }
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat !== undefined) files.push({ file, path: decode(path), name: basename(decode(path)), size: stat.size, ...labelsOf(file) });
  }
  return { files, metadata };
}

/** What apt-cacher-ng has written beside a file: the answer's head, as it came. */
function labelsOf(file: string): Pick<CachedFile, "headers" | "wanted"> {
  let head: string;
  try {
    head = readFileSync(`${file}.head`, "latin1");
  } catch {
    return { headers: {}, wanted: null };
  }
  const field = (name: string): string | undefined => new RegExp(`^${name}: *(.+?)\\r?$`, "im").exec(head)?.[1];
  const [lastModified, contentType, length] = [field("Last-Modified"), field("Content-Type"), field("Content-Length")];
  return {
    headers: {
      ...(lastModified === undefined ? {} : { "last-modified": lastModified }),
      ...(contentType === undefined ? {} : { "content-type": contentType }),
    },
    wanted: length === undefined || !/^\d+$/.test(length) ? null : Number(length),
  };
}

/** Caches write `%3a` for the colon of an epoch. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
