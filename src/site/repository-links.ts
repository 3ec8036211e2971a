import { type Context, Hono } from "hono";
import type { Mirror } from "../config/config.ts";
import type { Repositories } from "../metadata/ports/repositories.ts";
import { encodePath } from "../route/canonical-path.ts";
import { routeRequest } from "../route/route-request.ts";
import type { Target } from "../route/target.ts";
import { mirrorAddress, type OwnNames } from "./address.ts";

/** What metalinks and mirrorlists are made of. */
export interface RepositoryLinksDependencies {
  readonly repositories: Pick<Repositories, "metalink" | "mirrorlist" | "resolve">;
  /** The refusal for a client that may not read the mirror, else null. */
  readonly refuseClient: (request: Request, mirror: Mirror) => Promise<Response | null>;
}

type Wanted =
  | { readonly kind: "wanted"; readonly target: Target; readonly url: string }
  | { readonly kind: "refused"; readonly response: Response };

/** Answers for dnf's and zypper's `metalink=` and `mirrorlist=`: `/metalink/<mirror>/<path of the repository>` and `/mirrorlist/…`. */
export function createRepositoryLinks(own: OwnNames, { repositories, refuseClient }: RepositoryLinksDependencies): Hono {
  const links = new Hono();
  links.get("/metalink/*", async (context) => {
    const wanted = await resolveWanted(context, "/-/metalink/");
    if (wanted.kind === "refused") return wanted.response;
    const { target, url } = wanted;
    const metalink = await repositories.metalink(target, url);
    if (metalink !== null) return context.body(metalink, 200, { ...NEVER_KEPT, "Content-Type": "application/metalink+xml; charset=utf-8" });
    const resolution = await repositories.resolve(target);
    if (resolution.kind === "absent") return refuse(resolution.status, `The upstream has no ${target.key}`);
    if (resolution.kind === "failure") {
      const { status, detail, retryAfterSeconds } = resolution;
      return refuse(status, detail, status === 503 ? { "Retry-After": String(retryAfterSeconds ?? 5) } : {});
    }
    return refuse(404, `Cannot make a metalink: ${target.key} is no repomd.xml that this mirror can read`);
  });
  links.get("/mirrorlist/*", async (context) => {
    const wanted = await resolveWanted(context, "/-/mirrorlist/");
    if (wanted.kind === "refused") return wanted.response;
    const list = repositories.mirrorlist(wanted.target, wanted.url) ?? "";
    return context.body(list, 200, { ...NEVER_KEPT, "Content-Type": "text/plain; charset=utf-8" });
  });
  return links;

  async function resolveWanted({ req }: Context, prefix: string): Promise<Wanted> {
    const { pathname, protocol } = new URL(req.url);
    const repository = pathname.slice(prefix.length).replace(/\/+$/, "");
    const routed = routeRequest(own.mirrors, { url: `/${repository}/repodata/repomd.xml` });
    if (routed.kind === "refused") return { kind: "refused", response: refuse(routed.status, routed.detail) };
    if (routed.kind === "site") return { kind: "refused", response: refuse(404, "Name a mirror and the path of a repository on it") };
    const { mirror, path } = routed.target;
    const refused = await refuseClient(req.raw, mirror);
    if (refused !== null) return { kind: "refused", response: refused };
    const visit = { scheme: protocol === "https:" ? "https" : "http", authority: req.header("host") ?? "" } as const;
    const address = mirrorAddress(mirror, visit, own);
    // With a forged Host header the link would lead to a foreign server.
    if (address === null)
      return { kind: "refused", response: refuse(421, "Cannot make a link to this mirror: the host of this URL is none of its hosts") };
    return { kind: "wanted", target: routed.target, url: `${address}/${encodePath(path)}` };
  }
}

/** The answer depends on the client and on the host that it used. */
const NEVER_KEPT = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

function refuse(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${detail}\n`, { status, headers: { ...NEVER_KEPT, "Content-Type": "text/plain; charset=utf-8", ...headers } });
}
