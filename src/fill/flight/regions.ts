import { type Location, LOCATIONS } from "../../config/config.ts";

/** A part of the world with coordinators of its own, near its clients; null: where it is not known. */
export type Region = Location | null;

export const REGIONS: readonly Region[] = [null, ...LOCATIONS];

/** What Cloudflare says of a request's client, which is near the data centre that answers it. */
export interface ClientPlace {
  /** Two letters: AF, AN, AS, EU, NA, OC, SA. */
  readonly continent?: unknown;
  /** In degrees, as text. */
  readonly longitude?: unknown;
}

/** Continents of which each is one region. */
const WHOLE: ReadonlyMap<string, Location> = new Map([
  ["AF", "afr"],
  ["OC", "oc"],
  ["SA", "sam"],
]);
/** Continents of two regions: west of the longitude (degrees), and east of it or where that is not known. */
const SPLIT: ReadonlyMap<string, readonly [west: Location, longitude: number, east: Location]> = new Map([
  ["NA", ["wnam", -100, "enam"]],
  ["EU", ["weur", 16, "eeur"]],
  ["AS", ["me", 60, "apac"]],
]);

/** The region of an isolate that answers a client there. Null: it is not known, as without Cloudflare. */
export function regionOf(client: ClientPlace | undefined): Region {
  const continent = typeof client?.continent === "string" ? client.continent : "";
  const halves = SPLIT.get(continent);
  if (halves === undefined) return WHOLE.get(continent) ?? null;
  const [west, border, east] = halves;
  const longitude = typeof client?.longitude === "string" ? Number.parseFloat(client.longitude) : Number.NaN;
  return longitude < border ? west : east;
}

/** How many coordinators a region has. One for each key would be one for each name that a client makes up, and each takes storage. */
const COORDINATORS = 16;

/** The name of the Durable Object that coordinates the fills of a key in a region: it is the same one for ever, and other keys share it. */
export function coordinatorName(key: string, region: Region = null): string {
  // FNV-1a, over UTF-16 units.
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return `flights-${region === null ? "" : `${region}-`}${(hash >>> 0) % COORDINATORS}`;
}
