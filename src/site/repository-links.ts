import { type Context, Hono } from "hono";
import type { Mirror } from "../config/config.ts";
import type { Repositories } from "../metadata/ports/repositories.ts";
import { encodePath } from "../route/canonical-path.ts";
import { routeRequest } from "../route/route-request.ts";
import type { Target } from "../route/target.ts";
import { mirrorAddress, type OwnNames, UNKNOWN_HOST } from "./address.ts";
import { send, sendText, visitOf } from "./respond.ts";

/** What metalinks and mirrorlists are made of. */
export interface RepositoryLinksDependencies {
  readonly repositories: Pick<Repositories, "metalink" | "resolve">;
  /** The refusal for a client that may not read the mirror, else null. */
  readonly refuseClient: (headers: Headers, mirror: Mirror) => Promise<Response | null>;
}

/** Answers for dnf's and zypper's `metalink=` and `mirrorlist=`: `/metalink/<mirror>/<path of the repository>` and `/mirrorlist/…`. */
export function createRepositoryLinks(own: OwnNames, { repositories, refuseClient }: RepositoryLinksDependencies): Hono {
  const links = new Hono();
  links.get("/metalink/*", async (context) => {
    const wanted = await resolveRepomd(context, "/-/metalink/");
    if (wanted instanceof Response) return wanted;
    const { target, url } = wanted;
    const metalink = await repositories.metalink(target, url);
    if (metalink !== null) return send(context, "application/metalink+xml; charset=utf-8", metalink);
    const resolution = await repositories.resolve(target);
    if (resolution.kind === "absent") return sendText(context, `The upstream has no ${target.key}\n`, resolution.status);
    if (resolution.kind === "failure") {
      const { status, detail, retryAfterSeconds } = resolution;
      return sendText(context, `${detail}\n`, status, status === 503 ? { "Retry-After": String(retryAfterSeconds ?? 5) } : {});
    }
    return sendText(context, `Cannot make a metalink: ${target.key} is no repomd.xml that this mirror can read\n`, 404);
  });
  links.get("/mirrorlist/*", async (context) => {
    const wanted = await resolveRepomd(context, "/-/mirrorlist/");
    return wanted instanceof Response ? wanted : sendText(context, wanted.url.replace(/repodata\/repomd\.xml$/, "\n"));
  });
  return links;

  /** The repomd.xml of the repository that the URL names behind `prefix`, with its address for this client; or the refusal. */
  async function resolveRepomd(context: Context, prefix: string): Promise<{ readonly target: Target; readonly url: string } | Response> {
    const repository = new URL(context.req.url).pathname.slice(prefix.length).replace(/\/+$/, "");
    const routed = routeRequest(own, { url: `/${repository}/repodata/repomd.xml` });
    if (routed.kind === "refused") return sendText(context, `${routed.detail}\n`, routed.status);
    if (routed.kind === "site") return sendText(context, "Name a mirror and the path of a repository on it\n", 404);
    const { mirror, path } = routed.target;
    const refused = await refuseClient(context.req.raw.headers, mirror);
    if (refused !== null) return refused;
    const address = mirrorAddress(mirror, visitOf(context), own);
    // With a forged Host header the link would lead to a foreign server.
    if (address === null) return sendText(context, `Cannot make a link to this mirror: ${UNKNOWN_HOST}\n`, 421);
    return { target: routed.target, url: `${address}/${encodePath(path)}` };
  }
}
