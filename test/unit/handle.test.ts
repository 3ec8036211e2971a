import { expect, test } from "vitest";
import { handle, type HandlerDependencies } from "../../src/handle.ts";

const NOW = Date.parse("2026-11-27T10:00:00Z");

function ask(method: string, url: string, isLocal: boolean): Promise<Response> {
  const deps = {
    serve: { now: () => NOW, config: { mirrors: new Map(), serverNames: [], trustedProxies: [] } },
    app: { fetch: async () => new Response("a page") },
    isLocal,
    ownHosts: [],
    logRequest() {},
  } as unknown as HandlerDependencies;
  const request = { method, url, headers: new Headers({ host: "mirror.test" }), signal: null } as unknown as Request;
  return handle(request, deps, () => {});
}

test.each([
  ["POST", "/deb/a.deb", 405],
  ["GET", "/no-mirror/a.deb", 404],
  ["GET", "/%2e%2e/a.deb", 400],
  ["GET", "/-/health", 200],
])("%s %s has a Date on one machine, and none at the edge, where Cloudflare adds it", async (method, url, status) => {
  const local = await ask(method, url, true);
  expect(local.status).toBe(status);
  expect(local.headers.get("date")).toBe("Fri, 27 Nov 2026 10:00:00 GMT");
  expect((await ask(method, url, false)).headers.has("date")).toBe(false);
});
