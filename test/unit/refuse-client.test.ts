import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/parse-config.ts";
import { refuseClient } from "../../src/handle.ts";

function mirror(access?: unknown) {
  const parsed = parseConfig({ MIRRORS: { one: { upstreams: ["http://one.example/"], access } } });
  const found = parsed.ok ? parsed.config.mirrors.get("one") : undefined;
  if (found === undefined) throw new Error("no mirror");
  return found;
}

const request = (headers: Record<string, string>) => new Request("http://mirror.example/one/x", { headers });
const ADDRESS = { "cf-connecting-ip": "192.0.2.9" };

describe("a client of a mirror", () => {
  it("is known by the address that the edge states, and by no other", async () => {
    const one = mirror({ networks: ["192.0.2.0/24"] });
    expect(await refuseClient(request(ADDRESS), one, { isLocal: false })).toBeNull();
    for (const headers of [
      {},
      { "x-forwarded-for": "192.0.2.9" },
      { "x-real-ip": "192.0.2.9", "cf-connecting-ip": "203.0.113.9" },
      { "true-client-ip": "192.0.2.9" },
    ]) {
      expect((await refuseClient(request(headers), one, { isLocal: false }))?.status).toBe(403);
    }
  });

  it("has no address on one machine, where any client could send that header", async () => {
    expect((await refuseClient(request(ADDRESS), mirror({ networks: ["192.0.2.0/24"] }), { isLocal: true }))?.status).toBe(403);
  });

  it("that asks too much is asked to wait, in a way that package managers take for passing", async () => {
    const asked: string[] = [];
    const limit = async (address: string) => asked.push(address) <= 2;
    const answers = [];
    for (let times = 0; times < 3; times++) answers.push(await refuseClient(request(ADDRESS), mirror(), { isLocal: false, limit }));
    expect(answers.map((answer) => answer?.status)).toEqual([undefined, undefined, 503]);
    expect(answers[2]?.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(asked).toEqual(["192.0.2.9", "192.0.2.9", "192.0.2.9"]);
  });
});
