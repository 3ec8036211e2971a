import { describe, expect, test } from "vitest";
import { describeProxies, nameProxy, parseNoProxy, proxyFor, readProxies } from "../../../../src/local/gateway/proxy-settings.ts";

function read(env: Record<string, string>) {
  const step = readProxies(env);
  if (!step.ok || step.value === null) throw new Error("Cannot read proxies: they should be good ones");
  return step.value;
}

describe("NO_PROXY", () => {
  test.each([
    ["example.com", "http://example.com/", true],
    ["example.com", "http://a.example.com/", true],
    ["example.com", "http://notexample.com/", false],
    [".example.com", "http://a.example.com/", true],
    [".example.com", "http://example.com/", true],
    ["*.example.com", "http://a.example.com/", true],
    ["EXAMPLE.com.", "http://example.com./", true],
    ["a.example, b.example", "https://b.example/", true],
    ["a.example b.example", "https://b.example/", true],
    ["*", "https://any.example/", true],
    ["", "https://any.example/", false],
    ["example.com:8080", "http://example.com:8080/", true],
    ["example.com:8080", "http://example.com/", false],
    ["example.com:443", "https://example.com/", true],
    ["192.0.2.1", "http://192.0.2.1:3000/", true],
    ["192.0.2.1:3000", "http://192.0.2.1:3000/", true],
    ["192.0.2.1", "http://192.0.2.11/", false],
    ["10.0.0.0/8", "http://10.255.0.1/", true],
    ["10.1.2.3/8", "http://10.255.0.1/", true],
    ["10.0.0.0/8", "http://11.0.0.1/", false],
    ["10.0.0.0/8", "http://ten.example/", false],
    ["2001:db8::/32", "http://[2001:db8::5]/", true],
    ["2001:db8::5", "http://[2001:db8:0:0::5]/", true],
    ["[2001:db8::5]:81", "http://[2001:db8::5]:81/", true],
    ["[2001:db8::5]:81", "http://[2001:db8::5]/", false],
    ["", "http://localhost:3000/", true],
    ["", "http://127.0.0.9/", true],
    ["", "http://[::1]/", true],
    ["", "http://127.example/", false],
  ])("%s, for %s: %s", (text, url, isExempt) => {
    expect(parseNoProxy(text)(new URL(url))).toBe(isExempt);
  });
});

describe("the proxies of the environment", () => {
  test("are none where none is named, or an empty one", () => {
    expect(readProxies({})).toEqual({ ok: true, value: null });
    expect(readProxies({ HTTP_PROXY: "", https_proxy: " ", NO_PROXY: "*" })).toEqual({ ok: true, value: null });
  });

  test("serve each its scheme; the name in lower case goes first", () => {
    const settings = read({
      HTTP_PROXY: "http://wrong:1",
      http_proxy: "plain:3128",
      HTTPS_PROXY: "https://secure",
      NO_PROXY: "near.example",
    });
    expect(proxyFor(new URL("http://far.example/x"), settings)?.href).toBe("http://plain:3128/");
    expect(proxyFor(new URL("https://far.example/x"), settings)?.href).toBe("https://secure/");
    expect(proxyFor(new URL("https://near.example/x"), settings)).toBeUndefined();
  });

  test("are shown without credentials", () => {
    const settings = read({ HTTP_PROXY: "http://user:secret@proxy:3128" });
    expect(describeProxies(settings, ["http://a.example/x", "http://a.example/y", "https://b.example/x", "file:///srv"])).toEqual([
      "By the proxy http://proxy:3128: http://a.example",
      "Without a proxy: https://b.example",
    ]);
    expect(nameProxy(new URL("http://user:secret@proxy:3128"))).not.toContain("secret");
  });

  test("are refused where they are no HTTP proxies, without their credentials", () => {
    const step = readProxies({ HTTP_PROXY: "socks5://user:secret@proxy:1080", HTTPS_PROXY: "http://" });
    expect(step).toMatchObject({
      ok: false,
      problems: [expect.stringContaining('HTTP_PROXY "socks5://…@proxy:1080": name an HTTP proxy'), expect.stringContaining("HTTPS_PROXY")],
    });
    expect(JSON.stringify(step)).not.toContain("secret");
  });
});
