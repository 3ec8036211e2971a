import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { download } from "../support/download.ts";
import { startMirror } from "../support/mirror.ts";
import { mustRun, requireTools } from "../support/run-tool.ts";

describe.runIf(requireTools("openssl"))("an upstream with TLS and a certificate of an organisation's own", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-https-"));
  const certificate = join(folder, "cert.pem");
  let server: Server;
  let url: string;
  const seen: IncomingHttpHeaders[] = [];

  beforeAll(async () => {
    const key = join(folder, "key.pem");
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    await mustRun("openssl", [
      ...request,
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-keyout",
      key,
      "-out",
      certificate,
    ]);
    server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, ({ headers }, response) => {
      seen.push(headers);
      response.end("hello\n");
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    url = `https://localhost:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is believed where NODE_EXTRA_CA_CERTS names its authority, and learns nothing of the client", async () => {
    const mirror = await startMirror({ mirrors: { any: { upstreams: [url] } }, env: { NODE_EXTRA_CA_CERTS: certificate } });
    try {
      const headers = { "User-Agent": "secret/1", Cookie: "secret", Authorization: "Basic c2VjcmV0", "X-Forwarded-For": "192.0.2.1" };
      expect(await download(`${mirror.url}/any/hello.txt`, { headers })).toMatchObject({ status: 200, length: 6 });
      // The last two keep the runtime from sending `no-cache`, which a mirror in front would take for doubt.
      const known = ["accept", "accept-encoding", "host", "user-agent", "via", "cache-control", "pragma"];
      expect(Object.keys(seen.at(-1) ?? {}).toSorted()).toEqual(known.toSorted());
      expect(seen.at(-1)).toMatchObject({ "cache-control": "no-transform", pragma: "no-transform" });
      expect(JSON.stringify(seen)).not.toContain("secret");
    } finally {
      await mirror.remove();
    }
  });

  it("is not believed otherwise", async () => {
    const mirror = await startMirror({ mirrors: { any: { upstreams: [url] } }, env: { NODE_EXTRA_CA_CERTS: "" } });
    try {
      expect((await download(`${mirror.url}/any/hello.txt`)).status).toBe(502);
    } finally {
      await mirror.remove();
    }
  });
});
