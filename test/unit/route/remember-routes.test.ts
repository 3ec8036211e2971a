import { expect, it } from "vitest";
import { rememberRoutes } from "../../../src/route/remember-routes.ts";
import type { Routed } from "../../../src/route/target.ts";

const FILE = { kind: "mirror" } as Routed;

it("a file is routed once for its host and target; what is no file is routed each time", () => {
  const asked: string[] = [];
  const route = rememberRoutes((url, host) => {
    asked.push(`${host ?? "-"} ${url}`);
    return url.startsWith("/-/") ? { kind: "site", path: url, authority: "a" } : FILE;
  });
  for (let times = 0; times < 2; times++) {
    expect(route("/x", "a", "")).toBe(FILE);
    expect(route("/x", "b", "")).toBe(FILE);
    expect(route("/x", undefined, "")).toBe(FILE);
    expect(route("/-/status", "a", "").kind).toBe("site");
  }
  expect(asked).toEqual(["a /x", "b /x", "- /x", "a /-/status", "a /-/status"]);
});

it("a crawler does not fill the memory: some thousand targets are remembered", () => {
  let asked = 0;
  const route = rememberRoutes(() => (asked++, FILE));
  for (let at = 0; at < 4_001; at++) route(`/${at}`, "a", "");
  route("/0", "a", "");
  expect(asked).toBe(4_002);
});
