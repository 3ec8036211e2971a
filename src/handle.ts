import type { Mirror } from "./config/config.ts";
import { judgeAccess } from "./route/access.ts";
import type { RequestRecord } from "./watch/request-record.ts";
import { routeRequest } from "./route/route-request.ts";
import { refuse } from "./serve/answer/failure.ts";
import type { ServeDependencies } from "./serve/shared/dependencies.ts";
import { serve } from "./serve/serve.ts";
import type { Via } from "./upstream/via.ts";

export interface HandlerDependencies {
  readonly serve: ServeDependencies;
  /** The pages under `/-/`, and `/` on an unmapped host. */
  readonly app: { fetch(request: Request): Response | Promise<Response> };
  readonly via: Via;
  /** The server passes request targets as the client sent them, so that an absolute one can be told. */
  readonly isLocal: boolean;
  /** Whether the client of that address may go on; at the edge, where a limit is bound. */
  readonly limit?: (address: string) => Promise<boolean>;
  /** Addresses that the server listens on, beside the configured hosts. */
  readonly ownHosts: readonly string[];
  readonly logRequest: (record: RequestRecord) => void;
}

const LIMIT_WAIT_SECONDS = 10;

/** One request from the wire to its answer. */
export async function handle(request: Request, deps: HandlerDependencies, waitUntil: (work: Promise<unknown>) => void): Promise<Response> {
  const { now, config } = deps.serve;
  const began = now();
  const isOriginForm = request.url.startsWith("/");
  const isSecure = request.url.startsWith("https:");
  const host = request.headers.get("host") ?? undefined;
  const routed = routeRequest(config.mirrors, {
    url: request.url,
    host,
    absoluteForm: deps.isLocal && !isOriginForm,
    ownHosts: deps.ownHosts,
  });
  const isVerb = routed.kind === "site" && routed.path.startsWith("/-/ledger/");
  if (request.method !== "GET" && request.method !== "HEAD" && !isVerb) {
    return refuse(405, `${request.method} is not for a mirror: use GET or HEAD`, { Allow: "GET, HEAD" });
  }
  switch (routed.kind) {
    case "refused":
      return turnAway(null, request.url, refuse(routed.status, routed.detail));
    case "site":
      return deps.app.fetch(new Request(`${isSecure ? "https" : "http"}://${host || "localhost"}${routed.path}`, request));
    case "mirror": {
      const { target } = routed;
      const refused = await refuseClient(request, target.mirror, deps);
      if (refused !== null) return turnAway(target.mirror.name, target.path, refused);
      const via = request.headers.get("via");
      const loop = deps.via.refuse(via);
      if (loop !== null) return turnAway(target.mirror.name, target.path, refuse(508, loop));
      let body: { bytes: number; cut: string | null } | null = null;
      let response: Response | null = null;
      // The body may end before or after the head is known; the line needs both.
      const log = () => {
        if (body === null || response === null) return;
        const { mirror, path } = target;
        const cache = response.headers.get("cache-status")?.replace(/^lazy-mirror; /, "") ?? null;
        const { bytes, cut } = body;
        deps.logRequest({
          method: request.method,
          mirror: mirror.name,
          path,
          status: response.status,
          bytes,
          cache,
          ms: now() - began,
          ...(cut === null ? {} : { cut }),
        });
      };
      const onBody = (bytes: number, cut: string | null) => {
        body = { bytes, cut };
        log();
      };
      const leave = deps.via.enter(target.key, via);
      try {
        response = await serve({ method: request.method, headers: request.headers, waitUntil, onBody }, target, deps.serve);
      } catch (error) {
        // A bug of ours: clients try again after a 502, and take a bare 500 for final.
        deps.serve.log(`Cannot answer ${request.method} ${target.key}: ${error instanceof Error ? error.stack : String(error)}`);
        response = refuse(502, `Cannot answer for ${target.key} just now`);
      } finally {
        leave();
      }
      // What one client may read, a shared cache must not give to the next.
      if (target.mirror.access !== undefined) response.headers.set("Cache-Control", "private, no-store, no-transform");
      if (response.status >= 400 && body === null) onBody(0, null);
      else log();
      return response;
    }
  }

  /** Logged and counted too: an operator is to see who knocks. */
  function turnAway(mirror: string | null, path: string, answer: Response): Response {
    const { method } = request;
    deps.logRequest({ method, mirror, path, status: answer.status, bytes: 0, cache: null, ms: now() - began, turnedAway: true });
    return answer;
  }
}

/** By the mirror that was found, not by the path that was asked for: there is no second spelling of it. */
export async function refuseClient(
  { headers }: Request,
  { access }: Mirror,
  deps: Pick<HandlerDependencies, "isLocal" | "limit">,
): Promise<Response | null> {
  // On one machine the runtime tells no address, and the client might claim any.
  const address = deps.isLocal ? null : headers.get("cf-connecting-ip");
  if (address !== null && deps.limit !== undefined && !(await deps.limit(address))) {
    // Not 429, which zypper and pacman take for final.
    return refuse(503, "Too many requests from this address: wait a little", { "Retry-After": String(LIMIT_WAIT_SECONDS) });
  }
  if (access === undefined) return null;
  switch (await judgeAccess(access, headers.get("authorization"), address)) {
    case "allowed":
      return null;
    case "unauthorised":
      return refuse(401, "This mirror wants a name and password", { "WWW-Authenticate": 'Basic realm="mirror", charset="UTF-8"' });
    case "forbidden":
      return refuse(403, "This mirror is not for this address");
  }
}
