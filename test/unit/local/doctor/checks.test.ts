import { describe, expect, it } from "vitest";
import { type Ask, limitAsk, type Reply } from "../../../../src/local/doctor/ask.ts";
import { checkRoot, checkWarmth } from "../../../../src/local/doctor/check-caching.ts";
import { checkAgents } from "../../../../src/local/doctor/check-clients.ts";
import { checkDns, checkSchemes, checkTls } from "../../../../src/local/doctor/check-connection.ts";
import { checkResume, checkTogether } from "../../../../src/local/doctor/check-downloads.ts";
import { checkClosed, judgeFront } from "../../../../src/local/doctor/check-edge.ts";
import { checkStatus } from "../../../../src/local/doctor/check-operator.ts";
import { judgeStatus } from "../../../../src/local/doctor/judge-status.ts";
import type { Finding } from "../../../../src/local/doctor/finding.ts";

const EDGE = new URL("https://lazy-mirror.me.workers.dev/");
const OWN = new URL("https://debian.example.com/");
const FILE = new URL("pool/a.deb", OWN);
const NOW = Date.UTC(2026, 10, 27);
const DAY_MS = 86_400_000;

type Headers = Readonly<Record<string, string>>;

function reply(status: number, headers: Headers = {}, body = ""): Reply {
  return { status, headers, body: Buffer.from(body), isComplete: true };
}

/** Answers in turn; the last answer again for all further questions. */
function answers(...replies: readonly Reply[]): Ask {
  let next = 0;
  return () => Promise.resolve(replies[Math.min(next++, replies.length - 1)] ?? reply(500));
}

async function all(findings: AsyncGenerator<Finding, unknown> | Generator<Finding>): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for await (const finding of findings) found.push(finding);
  return found;
}

const of = (findings: readonly Finding[], check: string) => findings.find((one) => one.check === check);
const ports = (ask: Ask) => ({ ask, sleep: () => Promise.resolve(), now: () => NOW });

describe("DNS", () => {
  it.each<readonly [string, readonly string[], RegExp | undefined]>([
    ["both kinds of addresses", ["192.0.2.1", "2001:db8::1"], undefined],
    ["IPv4 alone", ["192.0.2.1"], /^A alone/],
    ["IPv6 alone", ["2001:db8::1"], /^AAAA alone/],
  ])("with %s", async (_, addresses, detail) => {
    const finding = of(await all(checkDns(OWN, () => Promise.resolve(addresses))), "DNS records");
    expect(finding?.detail ?? "").toMatch(detail ?? /^$/);
    expect(finding?.verdict).toBe(detail === undefined ? undefined : "unsure");
  });
});

describe("plain http", () => {
  const redirect: Ask = (url) =>
    Promise.resolve(url.protocol === "http:" ? reply(301, { location: url.href.replace("http:", "https:") }) : reply(200, {}, "ok\n"));

  it("must not be redirected on a host of one's own", async () => {
    expect(of(await all(checkSchemes(OWN, redirect)), "http health")).toMatchObject({
      verdict: "bad",
      detail: expect.stringMatching(/apt follows it only where ca-certificates is installed/),
      remedy: expect.stringMatching(/Always Use HTTPS/),
    });
  });
  it("is Cloudflare's to decide on workers.dev", async () => {
    expect(of(await all(checkSchemes(EDGE, redirect)), "http health")).toMatchObject({
      verdict: "unsure",
      remedy: expect.stringMatching(/domain/),
    });
  });
});

describe("a certificate", () => {
  const view = { validTo: NOW + 60 * DAY_MS, problem: null, isHttp2: true };
  const look = (seen: object) => all(checkTls(OWN, { inspectTls: () => Promise.resolve({ ...view, ...seen }), now: () => NOW }));

  it.each([
    ["valid for two months", {}, "good", /valid for 60 days/],
    ["that ends in 13 days", { validTo: NOW + 13.5 * DAY_MS }, "bad", /ends in 13 days/],
    ["of another name", { problem: "ERR_TLS_CERT_ALTNAME_INVALID" }, "bad", /ALTNAME/],
    ["without a readable end", { validTo: Number.NaN }, "bad", /no end/],
  ] as const)("%s", async (_, seen, verdict, detail) => {
    expect(of(await look(seen), "certificate")).toMatchObject({ verdict, detail: expect.stringMatching(detail) });
  });
  it("that there is none", async () => {
    const findings = await all(checkTls(OWN, { inspectTls: () => Promise.reject(new Error("ECONNRESET")), now: () => NOW }));
    expect(findings).toMatchObject([{ check: "TLS", verdict: "bad", detail: expect.stringMatching(/ECONNRESET/) }]);
  });
});

describe("bot checks", () => {
  const page = { "content-type": "text/html" };

  it("are found also where they are for everybody, and by http alone", async () => {
    const ask: Ask = (url) => Promise.resolve(url.protocol === "http:" ? reply(403, page) : reply(200));
    const findings = await all(checkAgents(FILE, ["https:", "http:"], ask));
    expect(of(findings, "clients")?.verdict).toBe("good");
    expect(of(findings, "clients, http")).toMatchObject({ verdict: "bad", detail: "all get 403, a page for people" });
  });
});

describe("cold, then warm", () => {
  const cold = reply(200, { etag: '"a"', "cache-status": "lazy-mirror; fwd=miss; fwd-status=200; stored" });
  const hit = (age: number, etag = '"a"') => reply(200, { etag, age: String(age), "cache-status": "lazy-mirror; hit" });

  it("is right where the next answers are hits that age", async () => {
    const findings = await all(checkWarmth(FILE, cold, ports(answers(hit(0), hit(1)))));
    expect(findings.map(({ check, verdict }) => [check, verdict])).toEqual([
      ["first answer", "good"],
      ["second answer", "good"],
      ["third answer", "good"],
      ["Age", "good"],
    ]);
    expect(findings[0]?.detail).toMatch(/it was cold$/);
    expect((await all(checkWarmth(FILE, hit(7), ports(answers(hit(8), hit(9))))))[0]?.detail).toMatch(/warm already$/);
  });
  it("waits until the first download is stored", async () => {
    const under = reply(200, { etag: '"a"', "cache-status": "lazy-mirror; fwd=miss; collapsed" });
    expect(of(await all(checkWarmth(FILE, cold, ports(answers(under, under, hit(0), hit(1))))), "second answer")?.verdict).toBe("good");
  });
  it.each<readonly [string, readonly Reply[], string, RegExp]>([
    ["nothing is stored", [cold], "second answer", /has not stored/],
    ["another version answers", [hit(0), hit(1, '"b"')], "third answer", /its ETag is "b"/],
    ["Age stands still", [hit(5), hit(5)], "Age", /from 5 to 5 s/],
    ["Age is missing", [reply(200, { etag: '"a"', "cache-status": "lazy-mirror; hit" })], "Age", /missing/],
  ])("says that %s", async (_, replies, check, detail) => {
    expect(of(await all(checkWarmth(FILE, cold, ports(answers(...replies)))), check)).toMatchObject({
      verdict: "bad",
      detail: expect.stringMatching(detail),
      remedy: expect.stringMatching(/\w/),
    });
  });
  it("reads the mirror's own entry behind another cache's", async () => {
    const behind = reply(200, { etag: '"a"', age: "3", "cache-status": "lazy-mirror; hit, outer; fwd=miss" });
    expect((await all(checkWarmth(FILE, behind, ports(answers(behind)))))[0]?.detail).toMatch(/^hit: the file was warm/);
    const foreign = reply(200, { "cache-status": "other; hit" });
    expect(await all(checkWarmth(FILE, foreign, ports(answers(foreign))))).toMatchObject([{ verdict: "bad" }]);
  });
});

describe("a root", () => {
  const root = (date: string, headers: Headers = {}) =>
    reply(200, { date, "cache-control": "no-cache, no-transform", "cache-status": "lazy-mirror; hit", ...headers });

  it.each<readonly [string, Headers, RegExp | null]>([
    ["that the mirror answers", {}, null],
    ["that is an hour old", { age: "3600" }, /Age is 3600 s/],
    ["of the zone's cache", { "cf-cache-status": "HIT" }, /cf-cache-status is HIT/],
    ["that the zone's cache passed on", { "cf-cache-status": "DYNAMIC" }, null],
    ["of a squid", { "x-cache": "HIT from squid" }, /X-Cache/],
    ["with another life", { "cache-control": "max-age=3600, no-transform" }, /lacks no-cache/],
  ])("%s", async (_, headers, detail) => {
    const [finding] = await all(checkRoot(OWN, ports(answers(root("one", headers), root("two", headers)))));
    expect(finding).toMatchObject(detail === null ? { verdict: "good" } : { verdict: "bad", detail: expect.stringMatching(detail) });
  });
  it("whose Date stands still comes from a cache", async () => {
    const [finding] = await all(checkRoot(OWN, ports(answers(root("one")))));
    expect(finding).toMatchObject({ verdict: "bad", detail: "Date stands still", remedy: expect.stringMatching(/cache rules/) });
  });
});

describe("downloads", () => {
  const whole = reply(200, { etag: '"a"', "content-length": "10" }, "0123456789");
  const half = reply(200, { etag: '"a"' }, "01234");
  const rest = (headers: Headers, body: string) => reply(206, headers, body);

  it.each<readonly [string, Reply, RegExp | null]>([
    ["goes on where it was cut", rest({ "content-range": "bytes 5-9/10" }, "56789"), null],
    ["begins anew", whole, /200 instead of 206/],
    ["goes on with other bytes", rest({ "content-range": "bytes 5-9/10" }, "56780"), /bytes differ/],
  ])("a resumed one %s", async (_, second, detail) => {
    const [finding] = await all(checkResume(FILE, whole, answers(half, second)));
    expect(finding).toMatchObject(detail === null ? { verdict: "good" } : { verdict: "bad", detail: expect.stringMatching(detail) });
  });
  it("of ten clients must be equal, and all must come", async () => {
    expect(await all(checkTogether(FILE, answers(whole)))).toMatchObject([{ verdict: "good" }]);
    expect(await all(checkTogether(FILE, answers(whole, half, whole)))).toMatchObject([
      { verdict: "bad", detail: expect.stringMatching(/differ/) },
    ]);
    expect(await all(checkTogether(FILE, answers(whole, reply(502), whole)))).toMatchObject([
      { verdict: "bad", detail: expect.stringMatching(/502/) },
    ]);
  });
});

describe("the front", () => {
  it("is known by Cloudflare's headers, and its cache must stay out", async () => {
    const headers = { server: "cloudflare", "cf-ray": "9a1b-FRA" };
    expect(await all(judgeFront(reply(200, headers)))).toMatchObject([{ detail: "Cloudflare's, data centre FRA" }, { verdict: "good" }]);
    for (const status of ["HIT", "STALE", "REVALIDATED"])
      expect(of(await all(judgeFront(reply(200, { ...headers, "cf-cache-status": status }))), "outer cache")?.verdict).toBe("bad");
    for (const status of ["DYNAMIC", "MISS", "BYPASS"])
      expect(of(await all(judgeFront(reply(200, { ...headers, "cf-cache-status": status }))), "outer cache")?.verdict).toBe("good");
    expect(await all(judgeFront(reply(200, { via: "1.1 nginx" })))).toMatchObject([{ detail: "not Cloudflare's; Via: 1.1 nginx" }]);
  });

  it.each([
    [401, "good"],
    [404, "good"],
    [421, "good"],
    [200, "bad"],
    [302, "unsure"],
  ] as const)("answers %i for the operator's pages: %s", async (status, verdict) => {
    const verdicts = new Set((await all(checkClosed(OWN, answers(reply(status))))).map((finding) => finding.verdict));
    expect([...verdicts]).toEqual([verdict]);
  });
});

describe("the status", () => {
  type Status = Parameters<typeof judgeStatus>[0];
  const STATUS: Status = {
    now: NOW,
    since: NOW - DAY_MS,
    plan: "paid",
    sweptAt: NOW - 600_000,
    mirrors: [{ name: "debian", refused: 0, cut: 0 }],
    storage: { used: 5e9, reserved: 0, budget: 9e9 },
    roots: [{ mirror: "debian", root: "dists/stable", trouble: null }],
    upstreams: [{ upstream: "https://one.example", state: "ready", failures: 0 }],
    troubles: [{ where: "debian/x", kind: "cut", cause: "a client left" }],
  };
  const away = { upstream: "https://two.example", state: "open", failures: 3 };

  it("is good where all is well", async () => {
    const findings = await all(judgeStatus(STATUS));
    expect(findings.filter(({ verdict }) => verdict !== "good")).toEqual([]);
    expect(of(findings, "ledger")?.detail).toBe("5.00 of 9.00 GB used");
    expect(of(findings, "cron")?.detail).toBe("last ran 10 min ago");
  });
  it.each<readonly [string, Partial<Status>, string, Finding["verdict"]]>([
    ["the ledger is away", { storage: null }, "ledger", "bad"],
    ["more is stored than the budget", { storage: { used: 10e9, reserved: 0, budget: 9e9 } }, "ledger", "unsure"],
    ["no upstream is ever asked", { offline: true }, "offline", "unsure"],
    ["cron has not run for hours", { sweptAt: NOW - 4 * 3_600_000 }, "cron", "bad"],
    ["cron has never run", { sweptAt: null }, "cron", "bad"],
    ["cron has not run since a moment ago", { sweptAt: null, since: NOW - 60_000 }, "cron", "unsure"],
    ["one upstream is away", { upstreams: [...STATUS.upstreams, away] }, "upstreams", "unsure"],
    ["every upstream is away", { upstreams: [away] }, "upstreams", "bad"],
    [
      "a repository is held back",
      { roots: [{ mirror: "debian", root: "dists/stable", trouble: "a member is missing" }] },
      "repositories",
      "unsure",
    ],
    ["something failed", { troubles: [{ where: "debian/x", kind: "refused", cause: "its length" }] }, "troubles", "unsure"],
  ])("says that %s", async (_, change, check, verdict) => {
    const finding = of(await all(judgeStatus({ ...STATUS, ...change })), check);
    expect(finding).toMatchObject({ verdict, remedy: expect.stringMatching(/\w/) });
  });
});

describe("the operator's token", () => {
  it.each([
    ["http://192.168.1.5:8787/", ["token", "status"]],
    ["http://127.0.0.1:8787/", ["status"]],
    ["https://debian.example.com/", ["status"]],
  ])("by %s", async (url, checks) => {
    const findings = await all(checkStatus(new URL(url), "secret", answers(reply(401))));
    expect(findings.map(({ check }) => check)).toEqual(checks);
  });
  it("brings no status from another server", async () => {
    const findings = await all(checkStatus(EDGE, "secret", answers(reply(200, {}, "<html>"))));
    expect(findings).toMatchObject([{ verdict: "bad", detail: expect.stringMatching(/^cannot read \/-\/status\.json/) }]);
  });
});

describe("the limits of a run", () => {
  it("end it after so many bytes", async () => {
    const asked: (number | undefined)[] = [];
    const plain: Ask = (_, question) => {
      asked.push(question?.maxBytes);
      return Promise.resolve(reply(200, {}, "x".repeat(Math.min(question?.maxBytes ?? 0, 600))));
    };
    const { ask, isOver } = limitAsk(plain, { bytes: 1_000, ms: 60_000 });
    await ask(FILE, { maxBytes: 700 });
    expect(isOver()).toBe(false);
    await ask(FILE);
    expect(asked).toEqual([700, 400]);
    expect(isOver()).toBe(true);
    await expect(ask(FILE)).rejects.toThrow("not asked");
  });
});
