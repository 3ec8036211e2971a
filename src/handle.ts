import { arrive } from "./arrive.ts";
import type { Mirror } from "./config/config.ts";
import { judgeAccess, userOf } from "./route/access.ts";
import { canonicalPath, encodePath } from "./route/canonical-path.ts";
import type { FailedLogins } from "./watch/failed-logins.ts";
import type { RequestRecord } from "./watch/counters.ts";
import { rememberRoutes } from "./route/remember-routes.ts";
import { routeRequest } from "./route/route-request.ts";
import type { Target } from "./route/target.ts";
import { contain } from "./serve/answer/contain.ts";
import { refuse } from "./serve/answer/failure.ts";
import type { Arrival } from "./route/arrival.ts";
import type { ServeDependencies } from "./serve/shared/dependencies.ts";
import { serve } from "./serve/serve.ts";
import type { PageBindings } from "./site/respond.ts";
import { type Via, viaKey } from "./upstream/via.ts";

/** What requests need. */
export interface HandlerDependencies {
  readonly serve: ServeDependencies;
  /** The pages under `/-/`, and `/` on an unmapped host. */
  readonly app: { fetch(request: Request, bindings?: PageBindings): Response | Promise<Response> };
  readonly via: Via;
  /** One machine: the server passes request targets as the client sent them, so that an absolute one (RFC 9112 §3.2.2) is seen as such. */
  readonly isLocal: boolean;
  /** Whether a request without a Host header is refused. At the edge the front end refuses it already. */
  readonly isHostRequired?: boolean;
  /** Whether the client of this address is below its limit of requests; set at the edge, where a limit is bound. */
  readonly limit?: ((address: string) => Promise<boolean>) | undefined;
  /** Logs and limits logins that fail; absent: they are neither logged nor limited. */
  readonly logins?: FailedLogins;
  /** Hosts and addresses that the server has beside the configured hosts. */
  readonly ownHosts: readonly string[];
  /** Called once for each request for a file when its answer has ended, and for each one that is turned away. */
  readonly logRequest: (record: RequestRecord) => void;
}

/** A client above its limit is asked to wait this long. */
const LIMIT_WAIT_SECONDS = 10;

/** What each handler routed lately. */
const routes = new WeakMap<HandlerDependencies, ReturnType<typeof rememberRoutes>>();

function routeOf(deps: HandlerDependencies): ReturnType<typeof rememberRoutes> {
  const before = routes.get(deps);
  if (before !== undefined) return before;
  const {
    ownHosts,
    isLocal,
    serve: { config },
  } = deps;
  const route = rememberRoutes((url, host, prefix) =>
    routeRequest(config, {
      url,
      host,
      prefix,
      absoluteForm: isLocal && !url.startsWith("/"),
      // Load balancers check by HTTP/1.0, without a Host; workerd does not say which version a client speaks.
      isHostRequired: deps.isHostRequired === true && url !== "/-/health",
      ownHosts,
      isAtEdge: !isLocal,
      operatorHosts: config.operatorHosts,
    }),
  );
  routes.set(deps, route);
  return route;
}

/** One request, from the wire to its answer. */
export async function handle(request: Request, deps: HandlerDependencies, waitUntil: (work: Promise<unknown>) => void): Promise<Response> {
  const { now } = deps.serve;
  const { method, headers } = request;
  const began = now();
  const { trustedProxies } = deps.serve.config;
  const arrived = arrive({ url: request.url, headers, cf: () => request.cf }, { isLocal: deps.isLocal, trustedProxies });
  if ("problem" in arrived) return turnAway(null, request.url, refuse(400, `Cannot say who sends this request: ${arrived.problem}`));
  const arrival = arrived;
  // A trusted proxy's host stands for the one that the proxy itself used.
  const url = arrival.isHostStated ? request.url.replace(/^https?:\/\/[^/?#]*/i, "") || "/" : request.url;
  const routed = routeOf(deps)(url, arrival.host, arrival.prefix);
  const isOperatorCommand = routed.kind === "site" && routed.path.startsWith("/-/ledger/");
  if (method !== "GET" && method !== "HEAD" && !isOperatorCommand) {
    return dated(refuse(405, `${method} is not for a mirror: use GET or HEAD`, { Allow: "GET, HEAD" }));
  }
  switch (routed.kind) {
    case "refused":
      return turnAway(null, url, refuse(routed.status, routed.detail));
    case "site":
      return showPage(routed.path, routed.authority);
    case "mirror":
      return serveFile(routed.target, routed.bareTop);
  }

  /** A page below `/-/`. Its routes see the path in its one spelling, and the host that the target was routed by: what they parse is what was parsed here. */
  async function showPage(target: string, authority: string): Promise<Response> {
    const [rawPath = "", ...query] = target.split("?");
    const canonical = canonicalPath(rawPath);
    if (!canonical.ok) return turnAway(null, url, refuse(404, `There is no such page. ${canonical.detail}`));
    const search = query.length > 0 ? `?${query.join("?")}` : "";
    const { scheme, prefix, isHostStated, address } = arrival;
    const ours = new Headers(headers);
    ours.set("host", authority);
    // Only what the platform or a trusted proxy states: anything else is the client's own claim.
    ours.delete("cf-connecting-ip");
    if (address !== null) ours.set("cf-connecting-ip", address);
    const isAtEdge = !deps.isLocal && headers.has("cf-ray");
    const page = new Request(`${scheme}://localhost/${encodePath(canonical.path)}${search}`, request);
    const base = prefix === "" ? (deps.serve.config.publicUrl?.path ?? "") : prefix;
    const visit = { scheme, authority, isStated: isHostStated, isAtEdge, prefix };
    return dated(await deps.app.fetch(new Request(page, { headers: ours }), { visit, base }));
  }

  async function serveFile(target: Target, bareTop: string | undefined): Promise<Response> {
    const { mirror, path, query, key } = target;
    const client = { authorization: headers.get("authorization"), arrival };
    const refused = await refuseClient(client, mirror, deps);
    if (refused !== null) return turnAway(mirror.name, path, refused, arrival.address);
    const via = headers.get("via");
    const loop = deps.via.refuse(via);
    if (loop !== null) return turnAway(mirror.name, path, refuse(508, loop));

    let body: { bytes: number; cut: string | null } | null = null;
    let response: Response | null = null;
    /** Set where the answer has all its headers. */
    let ready: string | null = null;
    // The body may end before or after the response is there. The record needs both.
    const logOnceBothAreKnown = (): void => {
      if (body === null || response === null) return;
      const { bytes, cut } = body;
      const { status } = response;
      const cache = (ready ?? response.headers.get("cache-status"))?.replace("lazy-mirror; ", "") ?? null;
      const ms = now() - began;
      deps.logRequest({ method, mirror: mirror.name, path, status, bytes, cache, ms, ...(cut === null ? {} : { cut }) });
    };
    const onBody = (bytes: number, cut: string | null): void => {
      body = { bytes, cut };
      logOnceBothAreKnown();
    };
    const onHead = (cache: string): void => void (ready = cache);

    const leave = deps.via.enter(viaKey(mirror, path, query, target), via);
    try {
      response =
        bareTop !== undefined
          ? refuse(301, `The mirror begins at ${bareTop}/`, { Location: `./${bareTop}/${query}` })
          : await serve({ method, headers, waitUntil, onBody, onHead }, target, deps.serve);
    } catch (error) {
      // A bug of ours. Clients retry after a 502; they take a bare 500 for final.
      const trace = error instanceof Error ? error.stack : undefined;
      deps.serve.log(`Cannot answer ${method} ${key}: ${trace?.replaceAll(/\n\s*/g, " | ") ?? String(error)}`);
      response = refuse(502, `Cannot answer for ${key} just now`);
    } finally {
      leave();
    }
    // A shared cache must not give to the next client what only this one may read.
    if (mirror.access !== undefined) response.headers.set("Cache-Control", "private, no-store, no-transform");
    if (ready === null) {
      contain(response.headers, target);
      dated(response);
    }
    // Of refusals and redirects, whose few words are no file.
    if (response.status >= 300 && body === null) onBody(0, null);
    else logOnceBothAreKnown();
    return response;
  }

  /** Logs and counts a refusal as well, so that an operator sees which requests are turned away. */
  function turnAway(mirror: string | null, path: string, answer: Response, client: string | null = null): Response {
    const record = { method, mirror, path, status: answer.status, bytes: 0, cache: null, ms: now() - began, turnedAway: true } as const;
    deps.logRequest(client === null ? record : { ...record, client });
    return dated(answer);
  }

  /** RFC 9110 §6.6.1: a server with a clock sends Date. At the edge Cloudflare adds it; on one machine workerd does not. */
  function dated(answer: Response): Response {
    if (deps.isLocal && !answer.headers.has("Date")) answer.headers.set("Date", new Date(now()).toUTCString());
    return answer;
  }
}

/**
 * The refusal of a client that is above its limit or may not read the mirror; null: it may. Judged by the mirror that the request was routed to,
 * never by the path: a mirror's name in it may have another spelling.
 */
export async function refuseClient(
  { authorization, arrival }: { readonly authorization: string | null; readonly arrival: Pick<Arrival, "address"> },
  { access, name }: Mirror,
  deps: Pick<HandlerDependencies, "limit" | "logins">,
): Promise<Response | null> {
  if (access === undefined && deps.limit === undefined) return null;
  const { address } = arrival;
  if (address !== null && deps.limit !== undefined && !(await deps.limit(address))) {
    // Not 429, which zypper and pacman take for final.
    return refuse(503, "Too many requests from this address: wait a little", { "Retry-After": String(LIMIT_WAIT_SECONDS) });
  }
  if (access === undefined) return null;
  const user = userOf(access, authorization);
  const login = user && { place: `the mirror ${name}`, address, ...user };
  const wait = login === null ? 0 : (deps.logins?.waitBefore(login) ?? 0);
  if (wait > 0) return refuseLogin(wait);
  switch (await judgeAccess(access, authorization, address)) {
    case "allowed":
      return null;
    case "unauthorised": {
      const waitAfter = login === null ? 0 : (deps.logins?.failed(login) ?? 0);
      if (waitAfter > 0) return refuseLogin(waitAfter);
      return refuse(401, "This mirror wants a name and password", { "WWW-Authenticate": 'Basic realm="mirror", charset="UTF-8"' });
    }
    case "forbidden":
      return refuse(403, "This mirror is not for this address");
  }
}

/** Final for all clients, as a 401 is. */
function refuseLogin(waitSeconds: number): Response {
  return refuse(429, "Too many logins failed: wait a minute", { "Retry-After": String(waitSeconds) });
}
