import { describe, expect, test } from "vitest";
import type { UpstreamRequest } from "../../../src/upstream/upstream.ts";
import type { Bench } from "./loopback.ts";
import { createBench, listen, mirrorOf, readAll, refusingUrl, serveFile, sourceOf } from "./loopback.ts";

const A = "http://a.example/pub";
const B = "http://b.example/pub";
const C = "http://c.example/pub";
const D = "http://d.example/pub";

type Reply = Response | Error | "silence";

interface Asked {
  readonly url: string;
  readonly headers: Headers;
  readonly signal: AbortSignal;
}

/** Upstreams answered from a table by the beginning of their URL; a list is used up from the front, its last reply stays. */
function bench(replies: Record<string, (() => Reply) | (() => Reply)[]>): Bench & { readonly asked: Asked[] } {
  const asked: Asked[] = [];
  const made = createBench((url, init) => {
    asked.push({ url, headers: new Headers(init.headers), signal: init.signal! });
    const entry = Object.entries(replies).find(([prefix]) => url.startsWith(prefix))?.[1];
    if (entry === undefined) throw new Error(`unexpected request of ${url}`);
    const reply = (Array.isArray(entry) ? (entry.length > 1 ? entry.shift()! : entry[0]!) : entry)();
    if (reply === "silence") return new Promise<Response>(() => {});
    return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
  });
  return { ...made, asked };
}

const reply =
  (status: number, headers: Record<string, string> = {}, body: string | null = null): (() => Response) =>
  () =>
    new Response(body, { status, headers });
const whole = reply(200, { "content-length": "5", etag: '"x"' }, "hello");
const lost = (): Error => new Error("connection refused");
const silence = (): "silence" => "silence";

describe("what upstreams get to see", () => {
  test("is an honest User-Agent, identity, and nothing of the client", async () => {
    const { open, asked } = bench({ [A]: whole });
    await open([A], { path: "x86_64/libstdc++-1~2.rpm", query: "?a=1" });
    expect([...asked[0]!.headers]).toEqual([
      ["accept", "*/*"],
      ["accept-encoding", "identity"],
      ["cache-control", "no-transform"],
      ["pragma", "no-transform"],
      ["user-agent", "lazy-mirror/1.2.3 (+https://mirror.example/contact)"],
      ["via", "1.1 lazy-mirror-00000000"],
    ]);
    expect(asked[0]!.url).toBe(`${A}/x86_64/libstdc%2B%2B-1~2.rpm?a=1`);
  });

  test("is the upstream's own path, the path below the mirror and the query", async () => {
    const upstream = "http://127.0.0.1:8080/pub";
    const { open, asked } = bench({ [upstream]: whole });
    await open([upstream], { path: "a+b/", query: "?x=1" });
    await open([upstream], { path: "", query: "" });
    expect(asked.map(({ url }) => url)).toEqual([`${upstream}/a%2Bb/?x=1`, `${upstream}/`]);
  });

  test("is a Range only where not the whole is wanted", async () => {
    const { open, asked } = bench({ [A]: whole });
    await open([A], { range: { first: 0 } });
    await open([A], { range: { first: 0, last: 3 } });
    await open([A], { range: { first: 7 } });
    expect(asked.map((request) => request.headers.get("range"))).toEqual([null, "bytes=0-3", "bytes=7-"]);
  });

  test("is the entity tag of a stored copy, or its date where there is no tag", async () => {
    const { open, asked } = bench({ [A]: reply(304) });
    const date = "Thu, 01 Jan 2026 00:00:00 GMT";
    expect(await open([A], { conditional: { etag: '"x"', lastModified: date, upstream: A } })).toEqual({
      kind: "not-modified",
      upstream: A,
    });
    await open([A], { conditional: { lastModified: date, upstream: A } });
    expect(asked.map((request) => [request.headers.get("if-none-match"), request.headers.get("if-modified-since")])).toEqual([
      ['"x"', null],
      [null, date],
    ]);
  });

  test("is no validator that another upstream sent", async () => {
    const { open, asked } = bench({ [A]: reply(404), [B]: whole });
    const conditional = { etag: '"x"', lastModified: "Thu, 01 Jan 2026 00:00:00 GMT", upstream: A };
    await open([A, B], { class: "volatile", conditional });
    expect(asked.map(({ headers }) => [headers.get("if-none-match"), headers.get("if-modified-since")])).toEqual([
      ['"x"', null],
      [null, null],
    ]);
  });

  test("is Authorization only at the configured upstream itself, not behind a redirect", async () => {
    const { upstreams, asked } = bench({ [A]: reply(302, { location: "http://cdn.example/f" }), "http://cdn.example": whole });
    const mirror = { ...mirrorOf([], { redirectHosts: ["cdn.example"] }), upstreams: [{ url: A, authorization: "Bearer s" }] };
    await upstreams.open({ mirror, path: "f", query: "", class: "package" });
    expect(asked.map((request) => request.headers.get("authorization"))).toEqual(["Bearer s", null]);
  });
});

describe("one upstream's answer", () => {
  const from = (answer: () => Reply, more: Partial<UpstreamRequest> = {}): ReturnType<Bench["open"]> =>
    bench({ [A]: answer }).open([A], more);

  test("200 is a body with its representation", async () => {
    const answer = await from(whole);
    expect(answer).toMatchObject({ kind: "body", first: 0, representation: { size: 5, etag: '"x"', upstream: A } });
    expect((await readAll(sourceOf(answer))).toString()).toBe("hello");
  });

  test("200 to a range begins at 0", async () => {
    expect(await from(whole, { range: { first: 3 } })).toMatchObject({ kind: "body", first: 0 });
  });

  test("206 begins at the range", async () => {
    const part = reply(206, { "content-range": "bytes 3-4/5" }, "lo");
    expect(await from(part, { range: { first: 3 } })).toMatchObject({ kind: "body", first: 3, representation: { size: 5 } });
  });

  test("206 with all of the file is a body, though no range was asked for: clients take it", async () => {
    const all = reply(206, { "content-range": "bytes 0-4/5", "content-length": "5", etag: '"x"' }, "hello");
    const answer = await from(all);
    expect(answer).toMatchObject({ kind: "body", first: 0, representation: { size: 5, etag: '"x"' } });
    expect((await readAll(sourceOf(answer))).toString()).toBe("hello");
    expect(await from(all, { method: "HEAD" })).toMatchObject({ kind: "head", representation: { size: 5 } });
  });

  test.each(["bytes 0-3/5", "bytes 1-4/5", "bytes 0-4/*", "bytes */5", ""])("206 with %j to a plain GET is a fault", async (text) => {
    expect(await from(reply(206, { "content-range": text }, "hello"))).toMatchObject({ kind: "failure", status: 502 });
  });

  test("an empty file is a body that ends at once", async () => {
    expect((await readAll(sourceOf(await from(reply(200, { "content-length": "0" }, null))))).length).toBe(0);
  });

  test.each([
    ["of another start", { "content-range": "bytes 2-4/5" }],
    ["of another end", { "content-range": "bytes 3-3/5" }],
    ["without Content-Range", {}],
    ["of unknown total", { "content-range": "bytes 3-4/*" }],
    ["whose length contradicts it", { "content-range": "bytes 3-4/5", "content-length": "9" }],
  ])("206 %s is a fault of the upstream", async (_, headers) => {
    expect(await from(reply(206, headers, "lo"), { range: { first: 3 } })).toMatchObject({ kind: "failure", status: 502 });
  });

  test("304 or 416 that was not asked for is a fault", async () => {
    expect(await from(reply(304))).toMatchObject({ kind: "failure", status: 502 });
    expect(await from(reply(416))).toMatchObject({ kind: "failure", status: 502 });
  });

  test("416 tells the size; one that contradicts itself is a fault", async () => {
    const range = { first: 9 };
    expect(await from(reply(416, { "content-range": "bytes */5" }), { range })).toEqual({ kind: "unsatisfiable", size: 5 });
    expect(await from(reply(416, { "content-range": "bytes */50" }), { range })).toMatchObject({ kind: "failure" });
  });

  test("HEAD brings no body", async () => {
    const answer = await from(reply(200, { "content-length": "5" }), { method: "HEAD" });
    expect(answer).toMatchObject({ kind: "head", representation: { size: 5 } });
  });

  test.each([404, 410] as const)("%d is absent", async (status) => {
    expect(await from(reply(status))).toEqual({ kind: "absent", status, words: `${A} answered ${status}` });
  });

  test("403 and 500 are 502 to the client", async () => {
    expect(await from(reply(403))).toMatchObject({ kind: "failure", status: 502 });
    expect(await from(reply(500))).toMatchObject({ kind: "failure", status: 502 });
  });

  test.each([{ "content-encoding": "GZIP" }, { "content-type": "text/html; charset=utf-8" }])(
    "labels decide nothing: under %j a package and a root are bodies, and the upstream is no worse for it",
    async (labels: Record<string, string>) => {
      const made = bench({ [A]: reply(200, labels, "<html>") });
      for (let times = 0; times < 5; times++) {
        const answer = await made.open([A], { class: times % 2 === 0 ? "package" : "root" });
        expect(answer).toMatchObject({ kind: "body" });
        await readAll(sourceOf(answer));
      }
      expect(made.upstreams.snapshot()).toMatchObject([{ state: "ready", failures: 0 }]);
    },
  );

  test.each<[string, Record<string, string>, boolean, number | undefined]>([
    ["its length", { "content-length": "5" }, true, 5],
    ["the last of its chunks", { "transfer-encoding": "chunked" }, true, undefined],
    ["the last of its chunks, which overrides a length", { "transfer-encoding": "gzip, Chunked", "content-length": "3" }, true, undefined],
    ["nothing: it ends with the connection", {}, false, undefined],
    ["nothing: it was not chunked last", { "transfer-encoding": "chunked, gzip" }, false, undefined],
  ])("the end of a body is proven by %s", async (_, headers, isProven, size) => {
    const answer = await from(reply(200, headers, "hello"));
    expect(answer).toMatchObject({ kind: "body", representation: { size } });
    const source = sourceOf(answer);
    expect((await readAll(source)).toString()).toBe("hello");
    expect(source.isEndProven?.()).toBe(isProven);
  });
});

describe("a request that the upstream refuses as it is made is made simpler, once:", () => {
  const conditional = { etag: '"x"', upstream: A };
  const isPlain = ({ headers }: Asked): boolean => !["range", "if-none-match", "if-modified-since"].some((name) => headers.has(name));

  test.each([400, 412, 500])("%d to conditions is answered without them", async (status) => {
    const { open, asked, upstreams } = bench({ [A]: [reply(status), whole] });
    expect(await open([A], { class: "volatile", conditional })).toMatchObject({ kind: "body" });
    expect(asked.map(isPlain)).toEqual([false, true]);
    expect(upstreams.snapshot()).toMatchObject([{ failures: 0 }]);
  });

  test.each<[string, () => Reply]>([
    ["403", reply(403)],
    ["400", reply(400)],
    ["a 206 that is none", reply(206, {}, "lo")],
    ["a 206 that leaves the size open", reply(206, { "content-range": "bytes 3-4/*" }, "lo")],
    ["a 416 that contradicts itself", reply(416, { "content-range": "bytes */50" })],
  ])("%s to a part is answered by the whole", async (_, first) => {
    const { open, asked } = bench({ [A]: [first, whole] });
    expect(await open([A], { range: { first: 3, last: 4 } })).toMatchObject({ kind: "body", first: 0, representation: { size: 5 } });
    expect(asked.map(isPlain)).toEqual([false, true]);
  });

  test("416 to the first bytes is answered by the whole", async () => {
    for (const refusal of [reply(416), reply(416, { "content-range": "bytes */0" })]) {
      const { open, asked } = bench({ [A]: [refusal, whole] });
      expect(await open([A], { range: { first: 0, last: 4 } })).toMatchObject({ kind: "body", first: 0, representation: { size: 5 } });
      expect(asked.map(isPlain)).toEqual([false, true]);
    }
  });

  test("a plain request that fails is not repeated, and no request is repeated twice", async () => {
    const { open, asked } = bench({ [A]: reply(500) });
    expect(await open([A])).toMatchObject({ kind: "failure", status: 502 });
    expect(asked).toHaveLength(1);
    expect(await open([A], { conditional })).toMatchObject({ kind: "failure", status: 502 });
    expect(asked).toHaveLength(3);
  });

  test.each<[string, () => Reply]>([
    ["400", reply(400)],
    ["403", reply(403)],
    ["404", reply(404)],
    ["405", reply(405)],
    ["501", reply(501)],
    ["500", reply(500)],
    ["a lost connection", lost],
  ])("HEAD answered by %s is a GET that is closed after its headers", async (_, first) => {
    const { open, upstreams, asked } = bench({ [A]: [first, whole, first, whole, first, whole] });
    for (let request = 0; request < 3; request++) {
      expect(await open([A], { method: "HEAD" })).toMatchObject({ kind: "head", representation: { size: 5, etag: '"x"' } });
    }
    expect(asked).toHaveLength(6);
    expect(upstreams.snapshot()).toMatchObject([{ state: "ready", failures: 0, bodies: 0 }]);
  });

  test("HEAD of what is not there either way is absent", async () => {
    expect(await bench({ [A]: reply(404) }).open([A], { method: "HEAD" })).toEqual({
      kind: "absent",
      status: 404,
      words: expect.any(String),
    });
  });
});

describe("a redirect that only adds a slash", () => {
  test.each([
    ["absolute", 301, `${A}/x/dir/`],
    ["relative to the host", 302, "/pub/x/dir/"],
    ["relative to the folder", 307, "dir/"],
    ["from https to http, by a server behind a proxy", 308, "http://a.example:8080/pub/x/dir/"],
    ["in other letters", 301, "/pub/x/%64ir/"],
    ["to another upstream", 301, `${B}/x/dir/`],
  ])("%s names a folder", async (_, status, location) => {
    const { open, asked } = bench({ [A]: reply(status, { location }) });
    expect(await open([A, B], { path: "x/dir", class: "volatile" })).toEqual({ kind: "folder" });
    expect(await open([A, B], { path: "x/dir", class: "volatile", method: "HEAD" })).toEqual({ kind: "folder" });
    expect(asked).toHaveLength(2);
  });

  test("keeps the query, or drops it; another query is another file", async () => {
    const to = (location: string) => bench({ [`${A}/x/dir?`]: reply(301, { location }), [A]: whole });
    for (const search of ["", "?a=1"]) {
      const asked = { path: "x/dir", query: "?a=1", class: "volatile" } as const;
      expect(await to(`/pub/x/dir/${search}`).open([A], asked)).toEqual({ kind: "folder" });
    }
    expect(await to("/pub/x/dir/?b=1").open([A], { path: "x/dir", query: "?a=1", class: "volatile" })).toMatchObject({ kind: "body" });
  });

  test("comes after other redirects, too", async () => {
    const { open } = bench({
      [`${A}/x/dir`]: reply(302, { location: "/other/dir" }),
      "http://a.example/other/dir": reply(301, { location: "/other/dir/" }),
    });
    expect(await open([A], { path: "x/dir", class: "volatile" })).toEqual({ kind: "folder" });
  });

  test("is none where the slash goes, or more than the slash changes", async () => {
    const without = bench({ [`${A}/x/dir/`]: reply(301, { location: "/pub/x/dir" }), [`${A}/x/dir`]: whole });
    expect(await without.open([A], { path: "x/dir/", class: "volatile" })).toMatchObject({ kind: "body" });
    const moved = bench({ [`${A}/x/dir`]: reply(301, { location: "/pub/y/dir/" }), [`${A}/y/dir/`]: whole });
    expect(await moved.open([A], { path: "x/dir", class: "volatile" })).toMatchObject({ kind: "body" });
  });
});

describe("headers that mean the same:", () => {
  const sized = (length: string, more: Record<string, string> = {}) => reply(200, { "content-length": length, ...more }, "hello");

  test.each(["5", "05", "5, 5", "5,05"])("Content-Length %s is 5", async (length) => {
    expect(await bench({ [A]: sized(length) }).open([A])).toMatchObject({ kind: "body", representation: { size: 5 } });
  });

  test.each(["5, 6", "5,", "+5", "five"])("Content-Length %s is none", async (length) => {
    expect(await bench({ [A]: sized(length) }).open([A])).toMatchObject({ kind: "failure" });
  });

  test("a Last-Modified that is no date is none, and an entity tag goes back as it came", async () => {
    const { open } = bench({ [A]: sized("5", { "last-modified": "yesterday", etag: "unquoted" }) });
    expect(await open([A])).toMatchObject({ representation: { lastModified: undefined, etag: "unquoted" } });
    const again = bench({ [A]: reply(304) });
    await again.open([A], { conditional: { etag: "unquoted", upstream: A } });
    expect(again.asked[0]!.headers.get("if-none-match")).toBe("unquoted");
  });
});

describe("the next upstream is asked", () => {
  test.each<[string, () => Reply]>([
    ["when one refuses the connection", lost],
    ["after 500", reply(500)],
    ["after 403", reply(403)],
    ["after 429", reply(429)],
    ["after 404 of a package: mirrors lag", reply(404)],
    ["after a redirect to a host that is not allowed", reply(302, { location: "http://evil.example/" })],
    ["after a redirect to a private address", reply(302, { location: "http://169.254.169.254/latest" })],
    ["after a redirect without Location", reply(301)],
    ["after a wrong 206", reply(206, { "content-range": "bytes 0-3/5" }, "hell")],
  ])("%s", async (_, first) => {
    const { open } = bench({ [A]: first, [B]: whole });
    expect(await open([A, B])).toMatchObject({ kind: "body", representation: { upstream: B } });
  });

  test("when one sends no headers in time, and that fetch is aborted", async () => {
    const { open, asked, runOut } = bench({ [A]: silence, [B]: whole });
    const answer = open([A, B]);
    await runOut();
    expect(await answer).toMatchObject({ kind: "body", representation: { upstream: B } });
    expect(asked[0]!.signal.aborted).toBe(true);
  });

  test.each([
    ["root", 404],
    ["member", 410],
    ["volatile", 403],
    ["pass", 401],
  ] as const)("after %s is answered by %d", async (pathClass, status) => {
    const { open } = bench({ [A]: reply(status), [B]: whole });
    expect(await open([A, B], { class: pathClass })).toMatchObject({ kind: "body", representation: { upstream: B } });
  });

  test("until three have failed", async () => {
    const { open, asked } = bench({ "http://": reply(500) });
    expect(await open([A, B, C, D])).toMatchObject({ kind: "failure", status: 502 });
    expect(asked).toHaveLength(3);
  });

  test("down to the last one, where the others have no such file", async () => {
    const { open } = bench({ [A]: reply(404), [B]: reply(404), [C]: reply(404), [D]: whole });
    expect(await open([A, B, C, D])).toMatchObject({ kind: "body", representation: { upstream: D } });
  });

  test("first, where the caller avoids one; not where it is the only one", async () => {
    const { open } = bench({ [A]: whole, [B]: whole });
    expect(await open([A, B], { avoid: [A] })).toMatchObject({ representation: { upstream: B } });
    expect(await open([A], { avoid: [A] })).toMatchObject({ representation: { upstream: A } });
  });

  test("first for ten minutes, where the other's bytes of the same file were refused", async () => {
    const { upstreams, open, clock } = bench({ [A]: whole, [B]: whole });
    upstreams.noteRefused(A, { path: "f.rpm", query: "" });
    expect(await open([A, B])).toMatchObject({ representation: { upstream: B } });
    expect(await open([A, B], { path: "g.rpm" })).toMatchObject({ representation: { upstream: A } });
    expect(await open([A])).toMatchObject({ representation: { upstream: A } });
    clock.now += 600_000;
    expect(await open([A, B])).toMatchObject({ representation: { upstream: A } });
  });

  test("not, but the same once more, when a lone one lost the connection", async () => {
    const { open } = bench({ [A]: [lost, whole] });
    expect(await open([A])).toMatchObject({ kind: "body" });
  });
});

describe("when no upstream has an answer, the client gets", () => {
  test("502 when all refuse", async () => {
    const { open, asked } = bench({ "http://": lost });
    const answer = await open([A, B]);
    expect(answer).toMatchObject({ kind: "failure", status: 502 });
    expect(answer).toHaveProperty("detail", expect.stringContaining(`${A} could not be reached`));
    expect(asked).toHaveLength(2);
  });

  test("504 when all keep silent", async () => {
    const { open, runOut } = bench({ "http://": silence });
    const answer = open([A, B]);
    await runOut();
    await runOut();
    expect(await answer).toMatchObject({ kind: "failure", status: 504 });
  });

  test("503 with the shortest Retry-After when all are busy", async () => {
    const { open } = bench({ [A]: reply(429, { "retry-after": "120" }), [B]: reply(503, { "retry-after": "30" }) });
    expect(await open([A, B])).toMatchObject({ kind: "failure", status: 503, retryAfterSeconds: 30 });
  });

  test("503 with a Retry-After though the upstream named none: clients take one without for final", async () => {
    const answer = await bench({ [A]: reply(503) }).open([A]);
    expect(answer).toMatchObject({ status: 503, retryAfterSeconds: 10 });
  });

  test("404 when all that were asked said so", async () => {
    expect(await bench({ "http://": reply(404) }).open([A, B])).toEqual({
      kind: "absent",
      status: 404,
      words: `${A} answered 404; ${B} answered 404`,
    });
  });

  test("502 and not 404 when one has no such package and another failed", async () => {
    expect(await bench({ [A]: reply(404), [B]: reply(500) }).open([A, B])).toMatchObject({ kind: "failure", status: 502 });
    expect(await bench({ [A]: lost, [B]: reply(404) }).open([A, B])).toMatchObject({ kind: "failure", status: 502 });
  });

  test("the path as the upstream was asked for it, and what workerd hides in words that help", async () => {
    const hidden = (): Error => new Error("internal error; reference = abc123");
    const answer = await bench({ [A]: hidden }).open([A], { path: "", query: "?a=1" });
    const why = "could not be reached (its name could not be looked up, or the connection failed)";
    expect(answer).toHaveProperty("detail", `Cannot fetch /?a=1: ${A} ${why}`);
  });
});

describe("that there is no such file", () => {
  const MINUTE_MS = 60_000;
  test("is 403 where no upstream says more than that, except of a package", async () => {
    expect(await bench({ "http://": reply(403) }).open([A, B], { class: "root" })).toEqual({
      kind: "absent",
      status: 403,
      words: `${A} answered 403; ${B} answered 403`,
    });
    expect(await bench({ "http://": reply(401) }).open([A], { class: "volatile" })).toEqual({
      kind: "absent",
      status: 403,
      words: expect.any(String),
    });
    expect(await bench({ "http://": reply(403) }).open([A], { class: "hashed" })).toMatchObject({ kind: "failure", status: 502 });
  });

  test("is 404 where one says so, and not sure where another says 403", async () => {
    const { open } = bench({ [A]: reply(403), [B]: reply(404) });
    expect(await open([A, B], { class: "volatile" })).toEqual({ kind: "absent", status: 404, unsure: [A], words: expect.any(String) });
  });

  test("is said by the one that can be reached, in whichever place it stands", async () => {
    const first = bench({ [A]: reply(404), [B]: lost });
    expect(await first.open([A, B], { class: "root" })).toEqual({ kind: "absent", status: 404, unsure: [B], words: expect.any(String) });
    const second = bench({ [A]: lost, [B]: reply(404) });
    expect(await second.open([A, B], { class: "volatile" })).toEqual({
      kind: "absent",
      status: 404,
      unsure: [A],
      words: expect.any(String),
    });
  });

  test("is said while another keeps silent, after its limit", async () => {
    const { open, runOut } = bench({ [A]: silence, [B]: reply(404) });
    const answer = open([A, B], { class: "volatile" });
    await runOut();
    expect(await answer).toEqual({ kind: "absent", status: 404, unsure: [A], words: expect.any(String) });
  });

  test("is not said for a minute where a preferred one answers 500", async () => {
    const { open, clock } = bench({ [A]: reply(500), [B]: reply(404) });
    expect(await open([A, B], { class: "volatile" })).toMatchObject({ kind: "failure", status: 502 });
    clock.now += MINUTE_MS;
    expect(await open([A, B], { class: "volatile" })).toEqual({ kind: "absent", status: 404, unsure: [A], words: expect.any(String) });
  });

  test("is said of a package only once the one that is down has been so for ten minutes", async () => {
    const { open, clock } = bench({ [A]: reply(404), [B]: lost });
    await open([A, B]);
    clock.now += 9 * MINUTE_MS;
    expect(await open([A, B])).toMatchObject({ kind: "failure", status: 502 });
    clock.now += MINUTE_MS;
    expect(await open([A, B])).toEqual({ kind: "absent", status: 404, unsure: [B], words: expect.any(String) });
  });

  test("is said though a second upstream answers 500, or refuses the path, for ever: it can be reached", async () => {
    for (const status of [500, 400]) {
      const { open } = bench({ [A]: reply(404), [B]: reply(status) });
      expect(await open([A, B], { class: "volatile" })).toEqual({ kind: "absent", status: 404, unsure: [B], words: expect.any(String) });
    }
  });

  test.each([404, 403])("said by %d, does not wait again for one that is known to be down", async (status) => {
    const { open, asked, clock } = bench({ [A]: reply(status), [B]: lost });
    for (let request = 0; request < 3; request++) await open([A, B], { class: "root" });
    clock.now += MINUTE_MS;
    // The request that probes it.
    await open([A, B], { class: "root" });
    asked.length = 0;
    await open([A, B], { class: "root" });
    expect(asked.map(({ url }) => new URL(url).host)).toEqual(["a.example"]);
  });

  test("counts one that asks to wait, for a minute", async () => {
    const { open, clock } = bench({ [A]: reply(404), [B]: reply(503, { "retry-after": "600" }) });
    expect(await open([A, B], { class: "volatile" })).toMatchObject({ kind: "failure" });
    clock.now += MINUTE_MS;
    expect(await open([A, B], { class: "volatile" })).toEqual({ kind: "absent", status: 404, unsure: [B], words: expect.any(String) });
  });

  test.each<[string, UpstreamRequest["class"]]>([
    ["anything", "volatile"],
    ["a package", "package"],
  ])("is asked twice of one that lost the connection just now, for %s", async (_, pathClass) => {
    const first = bench({ [A]: [lost, whole], [B]: reply(404) });
    expect(await first.open([A, B], { class: pathClass })).toMatchObject({ kind: "body", representation: { upstream: A } });
    const second = bench({ [A]: reply(404), [B]: [lost, whole] });
    expect(await second.open([A, B], { class: pathClass })).toMatchObject({ kind: "body", representation: { upstream: B } });
  });
});

describe("an upstream's health", () => {
  test("puts it last after three failures, and back after a successful probe", async () => {
    const { open, asked, clock, events } = bench({ [A]: [lost, lost, lost, whole], [B]: whole });
    for (let request = 0; request < 4; request++) await open([A, B]);
    expect(asked.filter(({ url }) => url.startsWith(A))).toHaveLength(3);
    clock.now += 10_000;
    await open([A, B]);
    expect(await open([A, B])).toMatchObject({ representation: { upstream: A } });
    expect(events.filter((event) => event.kind === "breaker").map((event) => event.state)).toEqual(["open", "closed"]);
  });

  test("never stands in the way where nothing else is there: a healed origin answers at once", async () => {
    const { open } = bench({ [A]: [lost, lost, lost, lost, lost, lost, whole] });
    for (let request = 0; request < 3; request++) await open([A]);
    expect(await open([A])).toMatchObject({ kind: "body" });
  });

  test("honours Retry-After: it is not asked before, and the answer says how long to wait", async () => {
    const { open, asked, clock } = bench({ [A]: [reply(503, { "retry-after": "60" }), whole] });
    await open([A]);
    clock.now += 20_000;
    expect(await open([A])).toMatchObject({ kind: "failure", status: 503, retryAfterSeconds: 40 });
    expect(asked).toHaveLength(1);
    clock.now += 41_000;
    expect(await open([A])).toMatchObject({ kind: "body" });
  });

  test.each(["3600", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])(
    "asks for the path of a 503 again after a minute at most, and for all others at once: Retry-After %s",
    async (text) => {
      const { open, asked, clock } = bench({ [`${A}/busy`]: [reply(503, { "retry-after": text }), whole], [A]: whole });
      const busy = { path: "busy/a.rpm" };
      expect(await open([A], busy)).toMatchObject({ kind: "failure", status: 503, retryAfterSeconds: 60 });
      clock.now += 20_000;
      expect(await open([A], busy)).toMatchObject({ kind: "failure", status: 503, retryAfterSeconds: 40 });
      expect(asked).toHaveLength(1);
      expect(await open([A], { path: "busy/b.rpm" })).toMatchObject({ kind: "body" });
      expect(await open([A], { path: "other/b.rpm" })).toMatchObject({ kind: "body" });
      clock.now += 40_000;
      expect(await open([A], busy)).toMatchObject({ kind: "body" });
    },
  );

  test.each(["0", "-5", "Sun, 06 Nov 1994 08:49:37 GMT", "soon"])("is no hold where a 503 says Retry-After %s", async (text) => {
    const { open } = bench({ [A]: [reply(503, { "retry-after": text }), whole] });
    expect(await open([A])).toMatchObject({ kind: "failure", status: 503 });
    expect(await open([A])).toMatchObject({ kind: "body" });
  });

  test("holds a path at the upstream that asked for it, not at the next; where all hold it, the soonest says how long", async () => {
    const { open, asked } = bench({ [A]: reply(503, { "retry-after": "50" }), [B]: [whole, reply(503, { "retry-after": "30" })] });
    expect(await open([A, B])).toMatchObject({ representation: { upstream: B } });
    expect(await open([A, B])).toMatchObject({ status: 503, retryAfterSeconds: 30 });
    expect(asked).toHaveLength(3);
    expect(await open([A, B])).toMatchObject({ status: 503, retryAfterSeconds: 30 });
    expect(asked).toHaveLength(3);
  });

  test("is not made worse by one path that answers 500 for ever, however often it is asked for", async () => {
    const { open, events } = bench({ [`${A}/bad`]: reply(500), [A]: whole, [B]: whole });
    for (let times = 0; times < 40; times++) {
      await open([A], { path: "bad.rpm" });
      if (times % 2 === 0) await readAll(sourceOf(await open([A], { path: `${times % 4}.rpm` })));
    }
    expect(events.filter(({ kind }) => kind === "breaker")).toEqual([]);
    expect(await open([A, B], { path: "good.rpm" })).toMatchObject({ representation: { upstream: A } });
  });

  test("does not keep the 404 of the others back for ever, where it fails for one path only", async () => {
    const { open, clock } = bench({ [`${A}/bad`]: reply(500), [A]: whole, [B]: reply(404) });
    for (const seconds of [0, 30, 29]) {
      clock.now += seconds * 1_000;
      expect(await open([A, B], { path: "bad.key", class: "volatile" })).toMatchObject({ kind: "failure", status: 502 });
      await readAll(sourceOf(await open([A, B], { path: "good.rpm" })));
    }
    clock.now += 1_000;
    expect(await open([A, B], { path: "bad.key", class: "volatile" })).toMatchObject({
      kind: "absent",
      status: 404,
      words: expect.any(String),
    });
  });

  test("lets one request at a time through after a 429, and all with the first that is answered", async () => {
    const { open, asked, clock, runOut } = bench({ [A]: [reply(429, { "retry-after": "3600" }), silence, whole], [B]: whole });
    expect(await open([A])).toMatchObject({ kind: "failure", status: 503, retryAfterSeconds: 60 });
    clock.now += 1_000;
    const turn = open([A], { path: "turn.rpm" });
    await expect.poll(() => asked.length).toBe(2);
    expect(await open([A, B], { path: "elsewhere.rpm" })).toMatchObject({ representation: { upstream: B } });
    const waiting = [1, 2, 3].map((number) => open([A], { path: `${number}.rpm` }));
    await runOut((ms) => ms === 5_000);
    expect(await turn).toMatchObject({ kind: "failure", status: 504 });
    // Of those that look at the same time, one takes the turn, and the others look once more.
    await runOut((ms) => ms < 5_000);
    await Promise.any(waiting);
    await runOut((ms) => ms < 5_000);
    for (const answer of waiting) expect(await answer).toMatchObject({ kind: "body" });
    expect(await open([A])).toMatchObject({ kind: "body" });
  });

  test("sends who waits for a turn away with a Retry-After once that took as long as a first byte may", async () => {
    const { open, asked, clock, runOut } = bench({ [A]: [reply(429), silence] });
    await open([A]);
    clock.now += 1_000;
    void open([A], { path: "turn.rpm" });
    await expect.poll(() => asked.length).toBe(2);
    const waiting = open([A], { path: "waiting.rpm" });
    for (let polls = 0; polls < 100; polls++) await runOut((ms) => ms < 5_000);
    expect(await waiting).toMatchObject({ kind: "failure", status: 503, retryAfterSeconds: 5 });
    expect(asked).toHaveLength(2);
  });

  test("puts one that breaks the body of one file off last for that file, for ten minutes, and for no other", async () => {
    const { open, clock } = bench({ [`${A}/bad`]: reply(200, { "content-length": "9" }, "hello"), [A]: whole, [B]: whole });
    await expect(readAll(sourceOf(await open([A], { path: "bad.rpm" })))).rejects.toThrow(/Cannot complete/);
    expect(await open([A, B], { path: "bad.rpm" })).toMatchObject({ representation: { upstream: B } });
    expect(await open([A, B], { path: "good.rpm" })).toMatchObject({ representation: { upstream: A } });
    clock.now += 600_000;
    expect(await open([A, B], { path: "bad.rpm" })).toMatchObject({ representation: { upstream: A } });
  });

  test("puts one that breaks every body off last, though its headers come", async () => {
    const cut = reply(200, { "content-length": "9" }, "hello");
    const { open } = bench({ [A]: cut, [B]: whole });
    for (const path of ["a.rpm", "b.rpm", "c.rpm"]) {
      const source = sourceOf(await open([A], { path }));
      await expect(readAll(source)).rejects.toThrow(/Cannot complete/);
    }
    for (const path of ["d.rpm", "e.rpm"]) expect(await open([A, B], { path })).toMatchObject({ representation: { upstream: B } });
  });

  test("waits out a short Retry-After where no other upstream can be asked", async () => {
    const { open, asked, clock, runOut } = bench({ [A]: [reply(503, { "retry-after": "1" }), whole] });
    await open([A]);
    const answer = open([A]);
    clock.now += 1_000;
    await runOut((ms) => ms <= 1_000);
    expect(await answer).toMatchObject({ kind: "body" });
    expect(asked).toHaveLength(2);
  });

  test("is shown as plain data", async () => {
    const { open, upstreams } = bench({ [A]: lost, [B]: whole });
    const answer = await open([A, B]);
    expect(upstreams.snapshot()).toMatchObject([
      { upstream: A, state: "ready", outcome: "failing", failures: 1, bodies: 0 },
      { upstream: B, state: "ready", outcome: "unknown", failures: 0, bodies: 1 },
    ]);
    await readAll(sourceOf(answer));
    expect(structuredClone(upstreams.snapshot())[1]).toMatchObject({ bodies: 0, outcome: "good" });
  });
});

describe("a request that the upstream refuses for the mirrors that it has passed (508)", () => {
  const own = "1.1 lazy-mirror-00000000";
  const named = `1.1 lazy-mirror-11111111, ${own}`;
  const refusing = (_url: string, init: RequestInit): Promise<Response> =>
    Promise.resolve(new Headers(init.headers).get("via") === own ? whole() : new Response(null, { status: 508 }));

  test("is a failure of that request alone", async () => {
    const { open, upstreams } = createBench(refusing, () => named);
    expect(await open([A])).toMatchObject({ kind: "failure", status: 502, isRing: true });
    expect(upstreams.snapshot()).toMatchObject([{ state: "ready", failures: 0 }]);
    const alone = await createBench(refusing, () => "1.1 lazy-mirror-22222222").open([A]);
    expect(alone).toMatchObject({ kind: "failure", status: 502 });
    expect(alone).not.toHaveProperty("isRing");
  });

  test("is made again without them where one that has not passed them waits for the same answer by now", async () => {
    const vias = [named, own];
    const { open } = createBench(
      (url, init) => {
        vias.shift();
        return refusing(url, init);
      },
      () => vias[0] ?? own,
    );
    expect(await open([A])).toMatchObject({ kind: "body" });
  });
});

describe("a later part of the same version", () => {
  const file = Buffer.from(Uint8Array.from({ length: 500_000 }, (_, at) => (at * 7 + (at >> 8)) & 255));
  const resigned = Buffer.from(file).fill(7, 200, 300);
  const range = { first: 400_000 };
  const known = async (from: number, to: number) => file.subarray(from, to);
  const sameAs = { size: file.length, etag: '"a"', lastModified: undefined, contentType: undefined, contentEncoding: undefined };

  test("is trusted by an equal strong ETag of the same upstream, in one request", async () => {
    const one = await listen(serveFile(file, { etag: '"a"' }));
    const answer = await createBench().open([one.url], { range, sameAs: { ...sameAs, upstream: one.url } });
    expect((await readAll(sourceOf(answer))).equals(file.subarray(range.first))).toBe(true);
    expect(one.requests).toHaveLength(1);
  });

  test("is proven by equal bytes on another upstream, or under another ETag", async () => {
    const one = await listen(serveFile(file, { etag: '"other"' }));
    const answer = await createBench().open([one.url], { range, known, sameAs: { ...sameAs, upstream: "http://elsewhere.example" } });
    expect(answer).toMatchObject({ kind: "body", first: range.first });
    expect((await readAll(sourceOf(answer))).equals(file.subarray(range.first))).toBe(true);
  });

  test("is `changed` where another file bears the same name and size", async () => {
    const one = await listen(serveFile(resigned, { etag: '"other"' }));
    const same = { ...sameAs, upstream: one.url };
    expect(await createBench().open([one.url], { range, known, sameAs: same })).toEqual({ kind: "changed" });
    // Even its first part, before which there is nothing to compare.
    expect(await createBench().open([one.url], { range: { first: 0, last: 99 }, known, sameAs: same })).toEqual({ kind: "changed" });
    expect(await createBench().open([one.url], { sameAs: same })).toEqual({ kind: "changed", isUnproven: true });
  });

  test("is `changed` where the size differs or nothing can be compared", async () => {
    const one = await listen(serveFile(file, { etag: '"a"' }));
    const size = file.length + 1;
    expect(await createBench().open([one.url], { range, known, sameAs: { ...sameAs, size, upstream: one.url } })).toEqual({
      kind: "changed",
    });
    const elsewhere = { ...sameAs, upstream: "http://elsewhere.example" };
    expect(await createBench().open([one.url], { range, sameAs: elsewhere })).toEqual({ kind: "changed", isUnproven: true });
  });

  test("comes from the upstream that still has the version", async () => {
    const one = await listen(serveFile(resigned, { etag: '"b"' }));
    const two = await listen(serveFile(file, { etag: '"a"' }));
    const answer = await createBench().open([one.url, two.url], { range, known, sameAs: { ...sameAs, upstream: two.url } });
    expect(answer).toMatchObject({ kind: "body", representation: { upstream: two.url } });
    await readAll(sourceOf(answer));
  });
});

describe("on loopback", () => {
  test("a refused connection is 502, or the next upstream's answer", async () => {
    const gone = await refusingUrl();
    const one = await listen(serveFile(Buffer.from("hello")));
    expect(await createBench().open([gone])).toMatchObject({ kind: "failure", status: 502 });
    const answer = await createBench().open([gone, one.url]);
    expect((await readAll(sourceOf(answer))).toString()).toBe("hello");
  });

  test("an upstream that accepts and says nothing is 504, and its connection is let go", async () => {
    const hole = await listen(() => {});
    const { open, runOut } = createBench();
    const answer = open([hole.url]);
    await expect.poll(() => hole.requests.length).toBe(1);
    await runOut();
    expect(await answer).toMatchObject({ kind: "failure", status: 504 });
    await expect.poll(() => hole.requests[0]!.socket.destroyed).toBe(true);
  });

  test("relative redirects lead on, loops end", async () => {
    const one = await listen((request, response) => {
      if (request.url === "/f.rpm") response.writeHead(302, { location: "moved/f.rpm" }).end();
      else if (request.url === "/moved/f.rpm") response.end("hello");
      else response.writeHead(302, { location: "/loop" }).end();
    });
    const { open } = createBench();
    expect((await readAll(sourceOf(await open([one.url])))).toString()).toBe("hello");
    one.requests.length = 0;
    expect(await open([one.url], { path: "loop" })).toMatchObject({ kind: "failure", status: 502 });
    expect(one.requests).toHaveLength(6);
  });

  test("a redirect to another port is refused, and nothing is sent there", async () => {
    const two = await listen(serveFile(Buffer.from("secret")));
    const one = await listen((_, response) => void response.writeHead(302, { location: `${two.url}/f` }).end());
    expect(await createBench().open([one.url])).toMatchObject({ kind: "failure", status: 502 });
    expect(two.requests).toHaveLength(0);
  });
});

describe("an upstream that does not speak for the file (421)", () => {
  const misdirected = reply(421, {});

  test("leaves the word to the others: what they do not have is absent, a package as well", async () => {
    const { open, events } = bench({ [A]: misdirected, [B]: reply(404, {}) });
    expect(await open([A, B])).toEqual({ kind: "absent", status: 404, words: expect.any(String) });
    expect(events).toEqual([]);
  });

  test("takes none of the tries from them", async () => {
    const { open } = bench({ [A]: misdirected, [B]: lost, [C]: lost, [D]: whole });
    expect(await open([A, B, C, D])).toMatchObject({ kind: "body" });
  });

  test("is a failure where no other one answers", async () => {
    expect(await bench({ [A]: misdirected }).open([A])).toMatchObject({ kind: "failure", status: 502 });
  });
});
