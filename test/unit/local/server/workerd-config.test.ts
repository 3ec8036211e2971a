import { expect, test } from "vitest";
import { describeWorkerd, type WorkerdConfig } from "../../../../src/local/server/workerd-config.ts";

const OPTIONS: WorkerdConfig = {
  modules: [
    { type: "ESModule", path: "worker.js", contents: "" },
    { type: "CompiledWasm", path: "xz.wasm", contents: Buffer.alloc(0) },
  ],
  project: { compatibilityDate: "2026-10-01", compatibilityFlags: [], durableObjects: [{ name: "LEDGER", className: "LedgerObject" }] },
  bindings: { ADMIN_TOKEN: "secret", LOCAL: true, MIRRORS: { m: { upstreams: ["http://x/"] } } },
  store: "/state/store",
  objects: "/state/objects/do",
  endpoints: [
    { host: "127.0.0.1", port: 80 },
    { host: "::1", port: 81 },
  ],
  keyPair: null,
  gateway: null,
  certificates: ["-----BEGIN\nabc"],
  cronPath: "/word",
};

test("embeds the modules from the files beside it", () => {
  const config = describeWorkerd(OPTIONS);
  expect(config).toContain('(name = "worker.js", esModule = embed "worker.js")');
  expect(config).toContain('(name = "xz.wasm", wasm = embed "xz.wasm")');
});

test("passes bindings as JSON", () => {
  const config = describeWorkerd(OPTIONS);
  expect(config).toContain(String.raw`(name = "ADMIN_TOKEN", json = "\x22secret\x22")`);
  expect(config).toContain('(name = "LOCAL", json = "true")');
  expect(config).toContain(String.raw`json = "{\x22m\x22:{\x22upstreams\x22:[\x22http://x/\x22]}}")`);
});

test("keeps Durable Objects under the keys that earlier versions gave them", () => {
  const config = describeWorkerd(OPTIONS);
  expect(config).toContain('(className = "LedgerObject", uniqueKey = "lazy-mirror-LedgerObject", enableSql = true)');
  expect(config).toContain('(name = "objects", disk = (path = "/state/objects/do", writable = true))');
});

test("listens on all endpoints in proxy style, and for the cron handler on loopback alone", () => {
  const config = describeWorkerd(OPTIONS);
  const plain = '(style = proxy, injectRequestHeaders = [(name = "lazy-mirror-scheme")])';
  expect(config).toContain(`(name = "0", address = "127.0.0.1:80", http = ${plain}, service = "mirror")`);
  expect(config).toContain(`(name = "1", address = "[::1]:81", http = ${plain}, service = "mirror")`);
  expect(config).toContain('(name = "cron", address = "127.0.0.1:0", http = (), service = "cron")');
});

test("lets no value end its own text", () => {
  const store = '/a"\\b\n/ä';
  const config = describeWorkerd({ ...OPTIONS, store });
  expect(config).toContain(String.raw`(path = "/a\x22\x5cb\x0a/ä", writable = true)`);
  expect(config).toContain(String.raw`"-----BEGIN\x0aabc"`);
});

test("listens with TLS where an endpoint is secure, and says so to the Worker", () => {
  const endpoints = [{ host: "::", port: 443, isSecure: true }] as const;
  const config = describeWorkerd({ ...OPTIONS, endpoints, keyPair: { certificate: "C", key: "K", isCurrent: true, warnings: [] } });
  const options = '(style = proxy, injectRequestHeaders = [(name = "lazy-mirror-scheme", value = "https")])';
  const pair = '(privateKey = "K", certificateChain = "C")';
  expect(config).toContain(
    `(name = "0", address = "[::]:443", https = (options = ${options}, tlsOptions = (keypair = ${pair})), service = "mirror")`,
  );
});

test("reaches the gateway where there is one, by its socket alone", () => {
  expect(describeWorkerd(OPTIONS)).not.toContain("GATEWAY");
  const config = describeWorkerd({ ...OPTIONS, gateway: "/state/gateway/socket" });
  expect(config).toContain('(name = "gateway", external = (address = "unix:/state/gateway/socket", http = (style = proxy)))');
  expect(config).toContain('(name = "GATEWAY", service = "gateway")');
});
