/** A key that a published generation names, and the path by which it does, with the mirror's name first; null: no path leads to it (a digest table). */
export type NamedKey = readonly [key: string, path: string | null];
