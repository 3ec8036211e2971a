import { createReadStream } from "node:fs";
import type { CachedFile } from "./cached-file.ts";
import type { PublishedPackage } from "./published-packages.ts";
import type { TransferClient } from "./transfer-client.ts";

export interface ImportOptions {
  /** The mirror whose tree the folder is; absent: indexes and the names of folders decide. */
  readonly mirror?: string;
  /** Comes before the paths of the folder, below the mirror. */
  readonly prefix?: string;
  readonly isDryRun: boolean;
}

/** apt-cacher-ng's own names for repositories (its `Remap-` lines), and the mirrors that are called so here. */
const ALIASES: Readonly<Record<string, string>> = {
  debrep: "debian",
  secdeb: "debian-security",
  uburep: "ubuntu",
  debvol: "debian",
  alxrep: "archlinux",
};

/**
 * The keys under which a file may belong, best first: where an index names a file of this name and size, else the place that its folders tell. The server
 * judges the bytes by what it knows of that place.
 */
export function placesOf(
  { path, name, size }: Pick<CachedFile, "path" | "name" | "size">,
  published: ReadonlyMap<string, readonly PublishedPackage[]>,
  { mirror, prefix = "" }: Pick<ImportOptions, "mirror" | "prefix">,
): readonly string[] {
  // apt's folder has the epoch in the name, and the archive has it not.
  const inArchive = name.replace(/^([^_]+_)\d+:/, "$1");
  const named = [...(published.get(name) ?? []), ...(inArchive === name ? [] : (published.get(inArchive) ?? []))]
    .filter((one) => (Number.isNaN(one.size) || one.size === size) && (mirror === undefined || one.key.startsWith(`${mirror}/`)))
    .map(({ key }) => key);
  const below = prefix.replace(/^\/+|\/+$/g, "");
  if (mirror !== undefined) named.push(`${mirror}/${below === "" ? "" : `${below}/`}${path}`);
  else {
    const [top = "", ...rest] = path.split("/");
    if (rest.length > 0) named.push(`${ALIASES[top] ?? (/[.:]/.test(top) ? `//${top}` : top)}/${rest.join("/")}`);
  }
  return [...new Set(named)];
}

/** Sends one file. Null: it is stored, or was; else why not. `onBytes`: after each piece. */
export async function importFile(
  cached: CachedFile,
  places: readonly string[],
  transfer: Pick<TransferClient, "describe" | "give">,
  onBytes: (bytes: number) => void,
): Promise<string | null> {
  const { file, size, headers, wanted } = cached;
  if (size === 0) return "it is empty";
  if (wanted !== null && wanted !== size) return `it has ${size} of its ${wanted} bytes`;
  let reason = "no index of this server names it; refresh a client through the mirror first, or say whose tree it is with --mirror";
  for (const key of places) {
    if (!key.startsWith("//") && (await transfer.describe(key)) !== null) return null;
    const refused = await transfer.give({ key }, { size, headers, body: chunksOf(file, onBytes) }).catch(explainUnreadable);
    if (refused === null) return null;
    reason = refused;
  }
  return reason;
}

/** Other caches work on while they are read: a file that is gone, or closed to this user, is one file's failure. Any other error goes on. */
function explainUnreadable(error: NodeJS.ErrnoException): string {
  if (error.syscall !== "open" && error.syscall !== "read") throw error;
  return `it cannot be read (${error.code})`;
}

async function* chunksOf(file: string, onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    onBytes(chunk.length);
    yield chunk;
  }
}
