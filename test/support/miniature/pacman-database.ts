import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { makeNoise, sha256 } from "../fixture.ts";
import type { Files } from "./deb-archive.ts";
import { type Form, pack } from "./compress.ts";

/** The same bytes at any time of day. */
const UNDATED = { mtime: new Date(0) };

export interface PacmanEntry {
  readonly name: string;
  readonly version: string;
  readonly bytes: Buffer;
}

/** A package of whole zstd frames: its structure is sound whatever its noise is. */
export function pacmanPackage(
  name: string,
  seed: string,
  options: { readonly version?: string; readonly size?: number } = {},
): PacmanEntry {
  const bytes = pack(".zst", makeNoise(seed, options.size ?? 12_000));
  return { name, version: options.version ?? "1.0-1", bytes };
}

export function fileNameOf({ name, version }: PacmanEntry): string {
  return `${name}-${version}-any.pkg.tar.zst`;
}

/** A pacman repository `<folder>/<database>.db` with its packages beside it. */
export async function pacmanDatabase(
  folder: string,
  database: string,
  entries: readonly PacmanEntry[],
  form: Form = ".gz",
): Promise<Files> {
  const tar = await packTar(
    entries.flatMap((entry) => {
      const fields = {
        FILENAME: fileNameOf(entry),
        NAME: entry.name,
        VERSION: entry.version,
        DESC: "noise",
        CSIZE: String(entry.bytes.length),
        ISIZE: "1",
        SHA256SUM: sha256(entry.bytes),
        ARCH: "any",
      };
      const desc = Buffer.from(
        Object.entries(fields)
          .map(([field, value]) => `%${field}%\n${value}\n\n`)
          .join(""),
      );
      const at = `${entry.name}-${entry.version}/`;
      return [
        { header: { ...UNDATED, name: at, type: "directory" as const, size: 0 } },
        { header: { ...UNDATED, name: `${at}desc`, size: desc.length, type: "file" as const }, body: desc },
      ];
    }),
  );
  return {
    [`${folder}/${database}.db`]: form === ".gz" ? gzipSync(tar) : pack(form, Buffer.from(tar)),
    ...Object.fromEntries(entries.map((entry) => [`${folder}/${fileNameOf(entry)}`, entry.bytes])),
  };
}
