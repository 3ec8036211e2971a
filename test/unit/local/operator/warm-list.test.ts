import { expect, it } from "vitest";
import { parseWarmList } from "../../../../src/local/operator/warm-list.ts";

it.each([
  ["a path", "fedora/updates/41/x.rpm", [{ path: "/fedora/updates/41/x.rpm" }]],
  ["a URL of dnf", "http://fedora.lan/updates/41/x.rpm", [{ host: "fedora.lan", path: "/updates/41/x.rpm" }]],
  [
    "a line of apt-get --print-uris",
    "'http://m:8787/debian/pool/main/v/vim/vim_9.1_amd64.deb' vim_9.1_amd64.deb 1234 SHA256:ab",
    [{ host: "m:8787", path: "/debian/pool/main/v/vim/vim_9.1_amd64.deb" }],
  ],
  [
    "this mirror's own log",
    "2026-11-22T01:02:03Z  hit   200  GET  fedora:updates/x.rpm  1.0 MiB  3 ms",
    [{ path: "/fedora/updates/x.rpm" }],
  ],
  ["the common log format", '10.0.0.1 - - [22/Nov/2026:01:02:03 +0000] "GET /fedora/x.rpm HTTP/1.1" 200 5', [{ path: "/fedora/x.rpm" }]],
  [
    "squid's log",
    "1700000000.1 5 10.0.0.1 TCP_MISS/200 123 GET http://fedora.lan/a/x.rpm - DIRECT/x",
    [{ host: "fedora.lan", path: "/a/x.rpm" }],
  ],
  ["a comment, an empty line, a listing and a page", "# x\n\nfedora/updates/\n/-/status\nword", []],
  ["requests that fetch nothing", '"POST /fedora/x.rpm HTTP/1.1"', []],
  ["the same file twice", "fedora/x.rpm\n/fedora/x.rpm\r\n", [{ path: "/fedora/x.rpm" }]],
])("reads %s", (_, text, wanted) => {
  expect(parseWarmList(text).targets).toEqual(wanted);
});

it("says which lines it skips, and why", () => {
  const list = [
    "# a comment",
    "",
    "fedora/updates/",
    "/-/status",
    "word",
    '"POST /fedora/x.rpm HTTP/1.1"',
    "two words",
    "fedora/x.rpm",
  ].join("\n");
  expect(parseWarmList(list).skipped).toEqual([
    { line: 3, text: "fedora/updates/", why: "it is a folder, not a file" },
    { line: 4, text: "/-/status", why: "it is a page of the mirror itself" },
    { line: 5, text: "word", why: "it names no file of a mirror: wanted <mirror>/<path>" },
    { line: 6, text: '"POST /fedora/x.rpm HTTP/1.1"', why: "it is no GET" },
    { line: 7, text: "two words", why: "it holds no path, no URL and no request" },
  ]);
});
