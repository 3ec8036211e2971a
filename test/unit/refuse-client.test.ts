import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/parse-config.ts";
import { refuseClient } from "../../src/handle.ts";
import { createFailedLogins } from "../../src/watch/failed-logins.ts";

function mirror(access?: unknown) {
  const parsed = parseConfig({ MIRRORS: { one: { upstreams: ["http://one.example/"], access } } });
  const found = parsed.ok ? parsed.config.mirrors.get("one") : undefined;
  if (found === undefined) throw new Error("no mirror");
  return found;
}

const client = (address: string | null, authorization: string | null = null) => ({ authorization, arrival: { address } });
const ADDRESS = "192.0.2.9";

describe("a client of a mirror", () => {
  it("is let in by its address where the mirror is for that one", async () => {
    const one = mirror({ networks: ["192.0.2.0/24"] });
    expect(await refuseClient(client(ADDRESS), one, {})).toBeNull();
    for (const address of ["203.0.113.9", "unknown", null]) expect((await refuseClient(client(address), one, {}))?.status).toBe(403);
  });

  it("that asks too much is asked to wait, in a way that package managers take for passing", async () => {
    const asked: string[] = [];
    const limit = async (address: string) => asked.push(address) <= 2;
    const answers = [];
    for (let times = 0; times < 3; times++) answers.push(await refuseClient(client(ADDRESS), mirror(), { limit }));
    expect(answers.map((answer) => answer?.status)).toEqual([undefined, undefined, 503]);
    expect(answers[2]?.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(asked).toEqual(["192.0.2.9", "192.0.2.9", "192.0.2.9"]);
  });

  it("that fails to log in again and again is asked to wait, each user from each address by itself", async () => {
    const lines: string[] = [];
    const logins = createFailedLogins({ now: () => 1_000, log: (line) => lines.push(line) });
    const closed = mirror({ users: { alice: "correct horse", bob: "battery staple" } });
    const ask = async (user: string, password: string, address: string | null = null) => {
      const given = client(address, `Basic ${btoa(`${user}:${password}`)}`);
      return (await refuseClient(given, closed, { logins }))?.status ?? 200;
    };
    const guesses = async (times: number, address?: string) => {
      const statuses: number[] = [];
      // oxlint-disable-next-line no-await-in-loop -- in their order
      for (let at = 0; at < times; at++) statuses.push(await ask("alice", "a guess", address));
      return statuses;
    };
    expect((await guesses(32, "192.0.2.9")).slice(29)).toEqual([401, 429, 429]);
    expect(await ask("alice", "correct horse", "192.0.2.9")).toBe(200);
    await guesses(100, "192.0.2.9");
    expect(await ask("alice", "correct horse", "192.0.2.9")).toBe(429);
    expect(await ask("alice", "correct horse", "192.0.2.10")).toBe(200);
    expect(await ask("bob", "battery staple", "192.0.2.9")).toBe(200);
    // Clients without an address, as behind a Unix socket, are all one: no number of guesses keeps the right password out.
    await guesses(500);
    expect(await ask("alice", "correct horse")).toBe(200);
    expect(lines[0]).toBe('Failed login at the mirror one as "alice" from 192.0.2.9');
    expect(lines.length).toBe(10);
  });
});
