import type { Jurisdiction, Location } from "./config/config.ts";

/** Where a Durable Object is to lie. */
export interface Placement {
  /** A hint for one that does not exist yet; absent: near its first caller. */
  readonly location?: Location | undefined;
  /** Where it must lie; objects of one name in two jurisdictions are two. */
  readonly jurisdiction?: Jurisdiction | undefined;
}

/** workerd says it of `jurisdiction()`, under `wrangler dev` and on one machine, where all objects lie in one place. */
const NOT_IMPLEMENTED = "Jurisdiction restrictions are not implemented in workerd.";

/**
 * The Durable Object of that name, which is made where `placement` says (Cloudflare: Durable Objects, Data location). Beside a jurisdiction no hint is given: what
 * that does is not documented.
 */
export function placeObject<T extends Rpc.DurableObjectBranded | undefined>(
  namespace: DurableObjectNamespace<T>,
  name: string,
  { location, jurisdiction }: Placement,
): DurableObjectStub<T> {
  const own = jurisdiction === undefined ? namespace : within(namespace, jurisdiction);
  const id = own.idFromName(name);
  return location === undefined || jurisdiction !== undefined ? own.get(id) : own.get(id, { locationHint: location });
}

function within<T extends Rpc.DurableObjectBranded | undefined>(
  namespace: DurableObjectNamespace<T>,
  jurisdiction: Jurisdiction,
): DurableObjectNamespace<T> {
  try {
    return namespace.jurisdiction(jurisdiction);
  } catch (error) {
    if (error instanceof Error && error.message === NOT_IMPLEMENTED) return namespace;
    throw error;
  }
}
