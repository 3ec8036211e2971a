import { setImmediate as breathe } from "node:timers/promises";
import type { NamedPackage } from "../../metadata/formats/named-package.ts";
import { parseIndex } from "../../metadata/formats/parse-index.ts";
import { compileXzModule } from "../xz-module.ts";
import type { MirrorClient } from "./mirror-client.ts";
import type { TransferClient } from "./transfer-client.ts";

/** A package that a published index names. */
export interface PublishedPackage {
  /** `<mirror>/<path>`. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
}

interface File {
  readonly path: string;
  readonly key: string;
}
interface Row {
  readonly mirror: string;
  readonly place: { readonly kind: string; readonly base: string };
  readonly root: File;
  readonly members: readonly File[];
}

/** What the indexes that the server holds now name, by the name of the file. Nothing is fetched from upstreams. */
export async function readPublished(
  client: Pick<MirrorClient, "verb">,
  transfer: Pick<TransferClient, "read">,
  onTrouble: (line: string) => void,
): Promise<ReadonlyMap<string, readonly PublishedPackage[]>> {
  const byName = new Map<string, PublishedPackage[]>();
  const { rows } = await client.verb("GET", "/generations");
  for (const { mirror, place, root, members } of rows as readonly Row[]) {
    const top = place.base === "" ? mirror : `${mirror}/${place.base}`;
    const seen = new Set<string>();
    for (const { path, key } of [root, ...members]) {
      const kind = kindOf(place.kind, path);
      // The same index in another compression names the same.
      const index = path.replace(/\.(?:gz|xz|zst|bz2|lzma)$/, "");
      if (kind === null || seen.has(index)) continue;
      seen.add(index);
      const found = ({ location, size }: NamedPackage): void => note(`${top}/${location.replace(/^\.\//, "")}`, size ?? Number.NaN);
      try {
        await parseIndex(kind, transfer.read(key), { xz: compileXzModule(), breathe: () => breathe() }, found);
      } catch (error) {
        onTrouble(`Cannot read the index ${mirror}/${path}: ${(error as Error).message}`);
      }
    }
  }
  return byName;

  function note(key: string, size: number): void {
    const name = key.slice(key.lastIndexOf("/") + 1);
    const known = byName.get(name) ?? [];
    if (!known.some((one) => one.key === key)) byName.set(name, [...known, { key, size }]);
  }
}

/** The format of an index of packages; null: the file is none. */
function kindOf(repository: string, path: string): "deb" | "rpm-md" | "pacman" | null {
  if (repository === "pacman") return /\.db(?:\.tar(?:\.\w+)?)?$/.test(path) ? "pacman" : null;
  if (repository === "deb") return /(?:^|\/)Packages(?:\.\w+)?$/.test(path) ? "deb" : null;
  return /primary\.xml(?:\.\w+)?$/.test(path) ? "rpm-md" : null;
}
