import { Command, CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { parseCommandLine, type StartOptions } from "../../../../src/local/server/command-line.ts";

function accept(...args: readonly string[]): StartOptions {
  return parseCommandLine(args, new Command("npm start --").exitOverride());
}

/** What a command line that starts nothing prints, and the exit code. */
function refuse(...args: readonly string[]): { readonly exitCode: number; readonly text: string } {
  let text = "";
  const write = (part: string) => void (text += part);
  try {
    parseCommandLine(args, new Command("npm start --").exitOverride().configureOutput({ writeOut: write, writeErr: write }));
  } catch (error) {
    if (error instanceof CommanderError) return { exitCode: error.exitCode, text };
  }
  throw new Error(`accepted ${args.join(" ")}`);
}

describe("the command line", () => {
  test("needs nothing", () => {
    expect(accept()).toEqual({
      config: "wrangler.toml",
      state: ".lazy-mirror",
      endpoints: [{ host: "127.0.0.1", port: 8787 }],
      keyPair: null,
      quiet: false,
      graceMs: 8000,
    });
  });

  test("takes an address, a port, a state folder and a configuration", () => {
    const options = accept("--ip", "0.0.0.0", "--port", "80", "--state", "/srv/mirror", "--config", "lan.toml", "--quiet", "--grace", "0");
    expect(options).toEqual({
      config: "lan.toml",
      state: "/srv/mirror",
      endpoints: [{ host: "0.0.0.0", port: 80 }],
      keyPair: null,
      quiet: true,
      graceMs: 0,
    });
  });

  test("listens on each --listen, IPv6 in brackets, instead of --ip and --port", () => {
    expect(accept("--listen", "192.0.2.1:80", "--listen", "[::1]:8080", "--port", "1").endpoints).toEqual([
      { host: "192.0.2.1", port: 80 },
      { host: "::1", port: 8080 },
    ]);
  });

  test("takes an IPv6 address with or without brackets, and localhost", () => {
    expect(accept("--ip", "::").endpoints).toEqual([{ host: "::", port: 8787 }]);
    expect(accept("--ip", "[::1]").endpoints).toEqual([{ host: "::1", port: 8787 }]);
    expect(accept("--ip", "localhost").endpoints).toEqual([{ host: "127.0.0.1", port: 8787 }]);
  });

  test("prints its help and ends well", () => {
    expect(refuse("--help")).toEqual({ exitCode: 0, text: expect.stringContaining("--listen <address:port>") });
  });

  test.each([
    [["--port", "65536"], "65536", "0 to 65535"],
    [["--port", "8o"], "8o", "0 to 65535"],
    [["--port", "-1"], "-1", "0 to 65535"],
    [["--ip", "example.com"], "example.com", "IPv4 or IPv6 address"],
    [["--ip", "fe80::1%eth0"], "fe80::1%eth0", "no zone"],
    [["--listen", "[fe80::1%eth0]:80"], "[fe80::1%eth0]:80", "no zone"],
    [["--listen", "127.0.0.1"], "127.0.0.1", "address:port"],
    [["--listen", "::1:80"], "::1:80", "[::]:80"],
    [["--listen", "[127.0.0.1:80"], "[127.0.0.1:80", "address:port"],
    [["--grace", "1e9"], "1e9", "at most 3600"],
    [["--prot", "80"], "--prot", "--port"],
    [["left.over"], "too many arguments", "Expected 0"],
  ])("refuses %j, naming the value and what would be right", (args, value, right) => {
    const { exitCode, text } = refuse(...args);
    expect(exitCode).toBe(1);
    expect(text).toContain(value);
    expect(text).toContain(right);
  });
});
