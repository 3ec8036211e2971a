import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatLogLine } from "../../../../src/local/server/log-line.ts";

const NOW = Date.UTC(2026, 10, 22, 1, 2, 3);

describe("a line of the Worker's log", () => {
  test("that is a request becomes columns for a person", () => {
    const request = { method: "GET", mirror: "debian", path: "/pool/a.deb", status: 200, bytes: 1_572_864, cache: "hit", ms: 2.6 };
    expect(formatLogLine(JSON.stringify(request), NOW)).toBe("2026-11-22T01:02:03Z  hit   200  GET  debian:/pool/a.deb  1.5 MiB  3 ms");
  });

  test("leaves out what the request had not", () => {
    const request = { method: "HEAD", path: "/-/health", status: 200, mirror: null };
    expect(formatLogLine(JSON.stringify(request), NOW)).toBe("2026-11-22T01:02:03Z  -     200  HEAD  /-/health");
  });

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [4_294_967_296, "4.0 GiB"],
  ])("counts %d bytes as %s", (bytes, text) => {
    expect(formatLogLine(JSON.stringify({ method: "GET", path: "/", status: 200, bytes }), NOW)).toContain(`  ${text}`);
  });

  test("that is anything else is shown as it is", () => {
    expect(formatLogLine("Cannot reach http://127.0.0.1:1: refused", NOW)).toBe("Cannot reach http://127.0.0.1:1: refused");
    expect(formatLogLine('{"level":"warn"}', NOW)).toBe('{"level":"warn"}');
    expect(formatLogLine("{", NOW)).toBe("{");
    for (const other of [{ status: "200" }, { method: 1 }, { bytes: "1" }, { ms: true }, { cache: 1 }, { mirror: [] }]) {
      const line = JSON.stringify({ method: "GET", path: "/", status: 200, ...other });
      expect(formatLogLine(line, NOW)).toBe(line);
    }
  });

  test.each([
    "Uncaught exception: workerd/api/global-scope.c++:308: failed: remote.jsg.Error: Handler does not export a connect() function.",
    "e = rust/worker/ffi.rs:110: failed: failed to lookup address information: Name or service not known",
    "workerd/io/worker.c++:2: e = kj/async.c++:3: failed: disconnected",
    "stack: /x/bin/workerd@28a3c60 /x/bin/workerd@3ac7580; sentryErrorContext = jsgInternalError; wdErrId = abc",
    "Uncaught exception: workerd/io/io-context.c++:9: failed: remote.jsg.Error: DeliveryError: the upstream broke off",
  ])("that is workerd's noise is left out: %s", (noise) => {
    expect(formatLogLine(noise, NOW)).toBeNull();
  });

  test("that is a CONNECT, which workerd refuses without a word to the client, says what to do in place of it", () => {
    const line = formatLogLine("workerd/io/worker.c++:1: warning: Received a connect event but we lack a handler.", NOW);
    expect(line).toContain('Acquire::https::Proxy "DIRECT"');
  });

  test("of a client that was refused for who it is has its address", () => {
    const line = JSON.stringify({ method: "GET", mirror: "m", path: "x", status: 403, bytes: 0, cache: null, ms: 1, client: "192.0.2.9" });
    expect(formatLogLine(line, NOW)).toMatch(/ 403 .* from 192\.0\.2\.9$/);
  });

  test("that is anything else moves no cursor either, and has no second line that looks like one of ours", () => {
    const shown = formatLogLine("Refused a.deb: \u001b[2J\u009b\u202e\n2026-11-22T01:02:03Z  hit   200  GET  any:/forged", NOW);
    expect(shown).toBe(String.raw`Refused a.deb: \u001b[2J\u009b\u202e` + "\n  2026-11-22T01:02:03Z  hit   200  GET  any:/forged");
  });

  test("never lets a path move the cursor or begin a line of its own", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (path) => {
        expect(formatLogLine(JSON.stringify({ method: "GET", path, status: 200 }), NOW)).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});
