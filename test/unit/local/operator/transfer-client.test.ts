import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createTransferClient, type TransferClient } from "../../../../src/local/operator/transfer-client.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0)) await clean();
});

/** A client of a server that answers everything as `listener` does. */
async function clientOf(listener: RequestListener): Promise<TransferClient> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  return createTransferClient(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), () => "a-token");
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

describe("a server that has another token", () => {
  const give = (client: TransferClient) => client.give({ key: "debian/a" }, { size: 3, headers: {}, body: pieces("one") });
  it.each([
    ["a look", (client: TransferClient) => client.describe("debian/a")],
    ["a read", (client: TransferClient) => client.read("debian/a").next()],
    ["a file", give],
  ])("says so with what helps, at %s", async (_what, ask) => {
    const client = await clientOf((_request, response) => void response.writeHead(401).end());
    await expect(ask(client)).rejects.toThrow(/^Cannot log in at http:\S+: it has another token; name its state folder with --state/);
  });
});

it("throws where the server's bytes end early", async () => {
  const described = JSON.stringify({ size: 9, contentType: "x", verified: "digest" });
  const client = await clientOf((_request, response) => void response.writeHead(200, { "stored-object": described }).end("four"));
  const readAll = async (): Promise<void> => {
    for await (const _ of client.read("debian/a"));
  };
  await expect(readAll()).rejects.toThrow(/^Cannot read debian\/a: 5 of its 9 bytes did not come$/);
});

it("rejects with the error of the body, and ends the request", async () => {
  const error = new Error("the disk failed");
  const client = await clientOf((request) => void request.resume());
  const body = (async function* () {
    yield* pieces("on");
    throw error;
  })();
  await expect(client.give({ key: "debian/a" }, { size: 3, headers: {}, body })).rejects.toBe(error);
});
