import type { Mirror } from "../config/config.ts";
import { type Routes, routeRequest } from "../route/route-request.ts";
import type { Target } from "../route/target.ts";

/** What an operator asks of `/-/why`: one file, as `<mirror>/<path>` percent-encoded with its query; or what may be meant, as such paths. */
export type Question = { readonly kind: "file"; readonly path: string } | { readonly kind: "unclear"; readonly meant: readonly string[] };

/** A page of this kind, also behind a balancer. */
const WHY_PAGE = /^(?:https?:\/\/[^/]*)?(?:\/-\/instances\/[^/]+)?\/-\/why(?:\.json)?\//i;
const ADDRESS = /^(?:https?:\/\/)?[^/]*\//i;
const MAX_MEANT = 20;

/** Reads a text that was typed or pasted: a path below this server, a URL of this server or of an upstream, the URL of such a page, or a path below a mirror. */
export function readQuestion(routes: Routes, text: string): Question {
  const pasted = text.trim().replace(WHY_PAGE, "/");
  const target = /^https?:/i.test(pasted)
    ? (below(routes, pasted) ?? route(routes, pasted))
    : (route(routes, `/${pasted.replace(/^\/+/, "")}`) ?? below(routes, `https://${pasted}`));
  if (target !== null) return { kind: "file", path: pathOf(target) };
  // What stands behind the host, where there is one, and else all of it.
  const rest = /^https?:/i.test(pasted) ? pasted.replace(ADDRESS, "") : pasted.replace(/^\/+/, "");
  const meant = [...routes.mirrors.keys()].slice(0, MAX_MEANT).flatMap((name) => {
    const one = route(routes, `/${name}/${rest}`);
    return one === null ? [] : [pathOf(one)];
  });
  return { kind: "unclear", meant };
}

/** `<mirror>/<path>` of a file as it stands in a URL. */
export function pathOf({
  mirror,
  path,
  query,
}: {
  readonly mirror: Pick<Mirror, "name">;
  readonly path: string;
  readonly query: string;
}): string {
  return `${mirror.name}/${encodeURIComponent(path).replaceAll("%2F", "/")}${query}`;
}

function route(routes: Routes, url: string): Target | null {
  const routed = routeRequest(routes, { url });
  return routed.kind === "mirror" ? routed.target : null;
}

/** The file of a mirror whose upstream has this URL; of several, that of the longest address. */
function below(routes: Routes, url: string): Target | null {
  const bare = withoutScheme(url);
  const [best] = [...routes.mirrors.values()]
    .flatMap(({ name, upstreams }) =>
      upstreams.map((upstream) => ({ name, prefix: `${withoutScheme(upstream.url).replace(/\/+$/, "")}/` })),
    )
    .filter(({ prefix }) => bare.startsWith(prefix))
    .toSorted((one, other) => other.prefix.length - one.prefix.length);
  return best === undefined ? null : route(routes, `/${best.name}/${bare.slice(best.prefix.length)}`);
}

function withoutScheme(url: string): string {
  const [, authority = "", rest = ""] = /^https?:\/\/([^/?#]*)(.*)$/is.exec(url) ?? [];
  return authority.toLowerCase() + rest;
}
