import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { dropCovered, formatEndpoint, resolveEndpoint } from "../../../../src/local/server/free-port.ts";

describe("an address to listen on", () => {
  test("that is free is given back, a port 0 as what the system chose", async () => {
    const endpoint = await resolveEndpoint({ host: "127.0.0.1", port: 0 });
    expect(endpoint).toMatchObject({ ok: true, value: { host: "127.0.0.1", port: expect.any(Number) } });
    expect(endpoint).not.toMatchObject({ value: { port: 0 } });
  });

  test("that another program uses is named in the problem", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    expect(await resolveEndpoint({ host: "127.0.0.1", port })).toEqual({
      ok: false,
      problems: [`Cannot listen on 127.0.0.1:${port}: another program uses that port; stop it or choose another with --port.`],
    });
    other.close();
  });

  test("that is not this machine's is named in the problem", async () => {
    // 192.0.2.0/24 is for documentation: no machine has it.
    const endpoint = await resolveEndpoint({ host: "192.0.2.1", port: 0 });
    expect(endpoint).toMatchObject({ ok: false, problems: [expect.stringContaining("192.0.2.1:0: this machine has no such address")] });
  });

  test("is written as it stands in a URL", () => {
    expect(formatEndpoint({ host: "::1", port: 80 })).toBe("[::1]:80");
    expect(formatEndpoint({ host: "127.0.0.1", port: 80 })).toBe("127.0.0.1:80");
  });
});

test("an address that a wider one answers for is not listened on twice", () => {
  const at = (...hosts: readonly string[]) => hosts.map((host) => ({ host, port: 80 }));
  expect(dropCovered(at("0.0.0.0", "::", "::1", "192.0.2.1"))).toEqual(at("::"));
  expect(dropCovered(at("0.0.0.0", "127.0.0.1", "::1"))).toEqual(at("0.0.0.0", "::1"));
  expect(dropCovered(at("127.0.0.1", "192.0.2.1", "::1"))).toHaveLength(3);
  expect(dropCovered(at("::1", "127.0.0.1", "::1"))).toEqual(at("::1", "127.0.0.1"));
  expect(dropCovered([...at("::"), { host: "127.0.0.1", port: 8080 }])).toHaveLength(2);
  const any = { host: "127.0.0.1", port: 0 };
  expect(dropCovered([{ host: "::", port: 0 }, any])).toContain(any);
  expect(dropCovered([any, any])).toEqual([any, any]);
});
