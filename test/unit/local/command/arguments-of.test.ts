import { expect, test } from "vitest";
import { argumentsOf, type Place } from "../../../../src/local/command/arguments-of.ts";
import { commandName } from "../../../../src/local/command-name.ts";

const PLACE: Place = { env: {}, root: "/usr/lib/lazy-mirror", exists: () => false };
const SERVICE: Place = {
  ...PLACE,
  env: { LAZY_MIRROR_CONFIG: "/etc/lazy-mirror/wrangler.toml", LAZY_MIRROR_STATE: "/var/lib/lazy-mirror" },
};

test("without a wrangler.toml here, the one that came with the package holds", () => {
  expect(argumentsOf("start", ["--port", "1"], PLACE)).toEqual(["--config", "/usr/lib/lazy-mirror/wrangler.toml", "--port", "1"]);
  expect(argumentsOf("start", [], { ...PLACE, exists: (path) => path === "wrangler.toml" })).toEqual([]);
  expect(argumentsOf("mirror", ["status"], PLACE)).toEqual(["status"]);
});

test("the service's configuration and state come first, so that an option of the user's wins", () => {
  const service = ["--config", "/etc/lazy-mirror/wrangler.toml", "--state", "/var/lib/lazy-mirror"];
  expect(argumentsOf("start", ["--config", "mine.toml"], SERVICE)).toEqual([...service, "--config", "mine.toml"]);
  expect(argumentsOf("mirror", ["ls"], SERVICE)).toEqual(["--state", "/var/lib/lazy-mirror", "ls"]);
  expect(argumentsOf("instances", [], SERVICE)).toEqual(service.slice(0, 2));
  expect(argumentsOf("doctor", ["http://x/"], SERVICE)).toEqual(["http://x/"]);
});

test("a Worker is not deployed by the service's configuration, which names no code of the Worker", () => {
  expect(argumentsOf("deploy", [], SERVICE)).toEqual(["--config", "/usr/lib/lazy-mirror/wrangler.toml"]);
});

test("help and messages name the command that the user has", () => {
  expect(["start", "mirror"].map((verb) => commandName(verb, "/x/src/local/server/main.ts"))).toEqual([
    "npm start --",
    "npm run mirror --",
  ]);
  expect(commandName("mirror", "/usr/lib/lazy-mirror/src/local/command/command-main.js")).toBe("lazy-mirror mirror");
});
