import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { startAnnouncer } from "../../../../src/local/instances/announcer.ts";

describe("the announcer", () => {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  /** An instance that answers 200 to everything, and what it was asked. */
  async function startInstance() {
    const asked: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      asked.push(request);
      response.end("body");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    ends.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  async function start(instances: readonly string[], log: string[]) {
    const announcer = await startAnnouncer({
      host: "127.0.0.1",
      port: 0,
      instances,
      authorization: "Basic x",
      log: (line) => log.push(line),
    });
    const socket = createSocket("udp4");
    ends.push(announcer.close, () => socket.close());
    return (line: string) =>
      new Promise<void>((resolve, reject) =>
        socket.send(line, announcer.port, "127.0.0.1", (error) => (error === null ? resolve() : reject(error))),
      );
  }

  it("asks every instance for a version once, with the client's Host, past what the instance remembers", async () => {
    const [one, two] = [await startInstance(), await startInstance()];
    const say = await start([one.url, two.url], []);
    await say('200 m.lan /repodata/repomd.xml "1"');
    await say('200 m.lan /repodata/repomd.xml "1"');
    await say('404 m.lan /repodata/repomd.xml.asc "-"');
    await say('200 m.lan /repodata/repomd.xml "2"');
    await say('200 m.lan /last "1"');
    for (const { asked } of [one, two]) {
      await expect.poll(() => asked.at(-1)?.url).toBe("/last");
      // Two versions in a row may be one question: the instance then gives the newer one.
      const roots = asked.filter(({ url }) => url === "/repodata/repomd.xml");
      expect([1, 2]).toContain(roots.length);
      expect(asked).toHaveLength(roots.length + 1);
      expect(roots[0]?.headers).toMatchObject({ host: "m.lan", "cache-control": "no-cache", authorization: "Basic x" });
    }
  });

  it("takes the lines of haproxy and of nginx, and only those of files that a client got", async () => {
    const one = await startInstance();
    const say = await start([one.url], []);
    const nothing = ["404 h /a -", "502 h /b -", "200 h http://x/c -", "", "200", "1200 h /d -", "<BADREQ>"];
    for (const line of nothing) await say(line);
    await say('<190>Nov 27 10:00:00 nginx: 304 h /nginx/repodata/repomd.xml?x "5e-9"');
    await say("206 h /haproxy/repodata/repomd.xml -\n");
    await expect.poll(() => one.asked.map(({ url }) => url)).toEqual(["/nginx/repodata/repomd.xml?x", "/haproxy/repodata/repomd.xml"]);
  });

  it("says which instance it did not reach, and goes on", async () => {
    const one = await startInstance();
    const log: string[] = [];
    const say = await start(["http://127.0.0.1:9", one.url], log);
    await say("200 m.lan /a -");
    await say("200 m.lan /b -");
    await expect.poll(() => one.asked.map(({ url }) => url)).toEqual(["/a", "/b"]);
    await expect.poll(() => log).toHaveLength(2);
    expect(log[0]).toMatch(/^Cannot announce \/a to http:\/\/127\.0\.0\.1:9: .*ECONNREFUSED/);
  });
});
