import { expect, test } from "vitest";
import { GATEWAY_ERROR } from "../../../src/http/gateway.ts";
import { createLocalFetch } from "../../../src/upstream/gateway-fetch.ts";

/** Notes what it is asked for, and answers with that. */
function sender(name: string, headers: Record<string, string> = {}) {
  return { fetch: async (url: string) => new Response(`${name} ${url}`, { headers }) };
}

async function textOf(fetching: Promise<Response>): Promise<string> {
  return (await fetching).text();
}

test("local files go to the gateway, and all else only where a proxy is configured", async () => {
  const [network, gateway] = [sender("network"), sender("gateway")];
  const direct = createLocalFetch(network, gateway, false);
  expect(await textOf(direct("https://one.example/x", {}))).toBe("network https://one.example/x");
  expect(await textOf(direct("file:///srv/a%20b", {}))).toBe("gateway http://local-files.invalid/srv/a%20b");
  expect(await textOf(createLocalFetch(network, gateway, true)("https://one.example/x", {}))).toBe("gateway https://one.example/x");
});

test("the gateway's reason is that of a failed fetch; an upstream cannot give one", async () => {
  const reason = { [GATEWAY_ERROR]: encodeURIComponent("the proxy – said no") };
  await expect(createLocalFetch(sender("network"), sender("gateway", reason), true)("http://x/", {})).rejects.toThrow(
    "the proxy – said no",
  );
  expect((await createLocalFetch(sender("network", reason), undefined, false)("http://x/", {})).ok).toBe(true);
  await expect(createLocalFetch(sender("network"), undefined, false)("file:///x", {})).rejects.toThrow("only the server of one machine");
});
