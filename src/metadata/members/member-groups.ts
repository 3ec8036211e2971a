import type { RepositoryPlace } from "../../route/place.ts";
import type { Entry } from "../formats/parsed-root.ts";

/** One file in all the forms in which a root names it: clients need one of them. */
export interface MemberGroup {
  /** Names the file in every generation: of rpm-md its type, since hash-prefixed names change; of deb its path without compression. */
  readonly name: string;
  readonly forms: readonly Entry[];
}

/** In which order forms are asked for where no client has shown which one it takes: apt's own order, and last the one that few archives have. */
const COMPRESSIONS = ["xz", "zst", "gz", "bz2", "lzma", "lz4", ""] as const;
const COMPRESSION = /\.(xz|zst|gz|bz2|lzma|lz4)$/;
/** Of these clients read any one: dnf takes the zchunk form where it can. */
const PRIMARY_TYPES: ReadonlySet<string> = new Set(["primary", "primary_zck"]);

/** The name of the file that an entry is one form of. */
export function groupName({ kind, root }: Pick<RepositoryPlace, "kind" | "root">, { path, type = "" }: Entry): string {
  if (kind !== "rpm-md") return path.replace(COMPRESSION, "");
  return `${root}#${PRIMARY_TYPES.has(type) ? "primary" : type}`;
}

/** Groups entries by the file that they are, each group's forms in the order in which to ask for them. */
export function groupMembers(place: Pick<RepositoryPlace, "kind" | "root">, entries: readonly Entry[]): readonly MemberGroup[] {
  const groups = Map.groupBy(entries, (entry) => groupName(place, entry));
  return [...groups].map(([name, forms]) => ({ name, forms: forms.toSorted((a, b) => rank(a) - rank(b)) }));
}

function rank({ path, type = "" }: Entry): number {
  return type.endsWith("_zck") ? COMPRESSIONS.length : COMPRESSIONS.findIndex((end) => end === (COMPRESSION.exec(path)?.[1] ?? ""));
}

/** Whether clients cannot use the repository without the file: rpm-md's primary.xml. */
export function isAlwaysNeeded({ kind, root }: Pick<RepositoryPlace, "kind" | "root">, name: string): boolean {
  return kind === "rpm-md" && name === `${root}#primary`;
}

/** Whether clients that got the file before cannot do without it. Descriptions, file lists and icons of a deb repository they can do without. */
export function isNeededOnceGot({ kind }: Pick<RepositoryPlace, "kind">, name: string): boolean {
  return kind === "rpm-md" ? !/_db$|_zck$/.test(name) : /(^|\/)(Packages|Sources)$/.test(name);
}

/** A database that is made of the other files: few clients read it, and they fetch it themselves. */
export function isDatabase({ path, type = "" }: Entry): boolean {
  return type.endsWith("_db") || /\.sqlite(\.\w+)?$/.test(path);
}
