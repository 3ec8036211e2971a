import { describe, expect, it } from "vitest";
import { createApp } from "../../../src/app.ts";
import { siteDependencies } from "./site.ts";

const PATHS = ["/-/status", "/-/status.json", "/-/status.js", "/-/metrics", "/-/why/debian/x", "/-/why.json/debian/x"];
const TOKEN = "a token of the operator";
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

async function ask(path: string, token: string | undefined, authorization?: string, accept = "*/*"): Promise<Response> {
  const deps = siteDependencies();
  const app = createApp({ ...deps, operator: { ...deps.operator, token } });
  return app.fetch(
    new Request(`http://127.0.0.1${path}`, {
      headers: { host: "127.0.0.1", accept, ...(authorization === undefined ? {} : { authorization }) },
    }),
  );
}

describe("the operator's pages", () => {
  it.each(PATHS)("%s is not there where no token is set, whatever is given", async (path) => {
    for (const token of [undefined, ""]) {
      for (const authorization of [undefined, "Bearer ", basic(":"), basic("operator:undefined")]) {
        const response = await ask(path, token, authorization);
        expect([response.status, response.headers.get("www-authenticate")]).toEqual([404, null]);
        // Word for word what any path answers that never was there.
        expect(await response.text()).toBe(await (await ask("/-/nothing", token)).text());
      }
    }
  });

  it.each(PATHS)("%s asks for the token, by both schemes", async (path) => {
    for (const authorization of [undefined, "Bearer x", basic(`${TOKEN}:`), basic(`operator:${TOKEN} `), `Digest ${TOKEN}`]) {
      const response = await ask(path, TOKEN, authorization);
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toMatch(/Basic realm=.*Bearer realm=/);
    }
  });

  it("lets a browser in with the token as the password of any name", async () => {
    expect((await ask("/-/status.json", TOKEN, basic(`me:${TOKEN}`))).status).toBe(200);
  });

  it.each(["/-/status", "/-/status/"])(
    "of %s the links lead to pages of the same instance, whatever a balancer has in front of its path",
    async (path) => {
      const page = await (await ask(path, TOKEN, basic(`me:${TOKEN}`), "text/html")).text();
      const behind = new URL(`http://mirror.lan/-/instances/2${path}`);
      const links = [...page.matchAll(/(?:href|src)="([^"]*(?:status|metrics)[^"]*)"/g)].map(([, to = ""]) => new URL(to, behind).pathname);
      expect(links).toContain("/-/instances/2/-/status");
      for (const name of ["status.js", "status.json", "metrics"]) expect(links).toContain(`/-/instances/2/-/${name}`);
      expect(links.filter((link) => !link.startsWith("/-/instances/2/-/"))).toEqual([]);
    },
  );

  it("says for which plan the configuration is, and when cron last kept house", async () => {
    const deps = siteDependencies();
    const storage = () => Promise.resolve({ used: 5, reserved: 0, shards: [], sweptAt: 1_000 });
    const pages = { ...deps.pages, status: { ...deps.pages.status, plan: "free" as const, storage } };
    const app = createApp({ ...deps, pages, operator: { ...deps.operator, token: TOKEN } });
    const headers = { host: "127.0.0.1", authorization: basic(`me:${TOKEN}`) };
    const status = await (await app.fetch(new Request("http://127.0.0.1/-/status.json", { headers }))).json();
    expect(status).toMatchObject({ plan: "free", sweptAt: 1_000 });
    // One machine has no plan, and a ledger that fails says nothing.
    expect(await (await ask("/-/status.json", TOKEN, basic(`me:${TOKEN}`))).json()).toMatchObject({ plan: null, sweptAt: null });
  });

  describe("with a token that only reads", () => {
    const READ = "a-token-of-the-monitoring";
    const asReader = (path: string, tokens: { token?: string; readToken?: string }) => {
      const deps = siteDependencies();
      const app = createApp({ ...deps, operator: { ...deps.operator, ...tokens } });
      return app.fetch(new Request(`http://127.0.0.1${path}`, { headers: { host: "127.0.0.1", authorization: `Bearer ${READ}` } }));
    };

    it.each(["/-/status", "/-/status.json", "/-/status.js", "/-/metrics"])("%s is open to it", async (path) => {
      expect((await asReader(path, { token: TOKEN, readToken: READ })).status).toBe(200);
      expect((await asReader(path, { readToken: READ })).status).toBe(200);
      expect((await asReader(path, { token: TOKEN, readToken: "another" })).status).toBe(401);
      expect((await asReader(path, { token: TOKEN, readToken: "" })).status).toBe(401);
    });

    it.each(["/-/ledger", "/-/ledger/objects", "/-/ledger/next"])("%s is not", async (path) => {
      expect((await asReader(path, { token: TOKEN, readToken: READ })).status).toBe(401);
      expect((await asReader(path, { readToken: READ })).status).toBe(404);
    });
  });

  it("takes no password for what changes something: a browser sends it along for other sites too", async () => {
    expect((await ask("/-/ledger/", TOKEN, basic(`me:${TOKEN}`))).status).toBe(401);
  });
});
