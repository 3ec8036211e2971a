import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { download, type Download } from "../support/download.ts";
import { makeNoise, sha256 } from "../support/fixture.ts";
import { makeDeb, makeIso } from "../support/large-files.ts";
import { rpm } from "../support/miniature/rpm-md.ts";
import type { Origin } from "../support/origin.ts";
import { runTool } from "../support/run-tool.ts";
import { type Client, plainFiles, Refusal } from "./model-clients.ts";
import type { Shape, Stage } from "./shape.ts";

const MIB = 1024 * 1024;

/** Two clients ask for the two halves of `path` at once; each part must be right. */
function halves(path: string, whole: Buffer): Client {
  return async (url) => {
    const middle = whole.length / 2;
    const parts = [
      [0, middle],
      [middle, whole.length],
    ] as const;
    const got = await Promise.all(
      parts.map(([start, end]) => download(`${url}/${path}`, { isKept: true, headers: { range: `bytes=${start}-${end - 1}` } })),
    );
    parts.forEach(([start, end], at) => checkPart(got[at], whole, start, end));
    return { [path]: sha256(whole) };
  };
}

function checkPart(got: Download | undefined, whole: Buffer, start: number, end: number): void {
  const part = got?.status === 200 ? got.bytes.subarray(start, end) : got?.bytes;
  if (got?.isWhole !== true || part?.equals(whole.subarray(start, end)) !== true) {
    throw new Refusal(`bytes ${start} to ${end} came as ${got?.status}, ${got?.length} bytes, whole: ${got?.isWhole}`);
  }
}

/** One client leaves after `bytes`, as one that was ended does. */
function leaveAfter(path: string, bytes: number): Client {
  return async (url) => {
    await download(`${url}/${path}`, { stopAt: bytes });
    return { [path]: "left" };
  };
}

/** A client that has the first part of `path` already and resumes without a condition, as dnf, pacman and `curl -C -` do. */
function resume(path: string, whole: Buffer, from: number): Client {
  return async (url) => {
    checkPart(await download(`${url}/${path}`, { isKept: true, headers: { range: `bytes=${from}-` } }), whole, from, whole.length);
    return { [path]: sha256(whole) };
  };
}

function aria2(path: string): Client {
  return async (url) => {
    const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-field-aria2-"));
    try {
      const flags = [
        "--no-conf",
        "--quiet",
        "--split=4",
        "--max-connection-per-server=4",
        "--min-split-size=1M",
        "--max-tries=3",
        "--retry-wait=1",
      ];
      const run = await runTool("aria2c", [...flags, "--file-allocation=none", `--dir=${folder}`, "--out=file", `${url}/${path}`], {
        cwd: folder,
      });
      if (run.code !== 0) throw new Refusal(`aria2c ends with ${run.code}: ${run.stdout.slice(-300)}`);
      return { [path]: sha256(readFileSync(join(folder, "file"))) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/** The steps of one file: each client runs directly first, then through the mirror. At last a plain GET, twice. */
function file(
  place: (stage: Stage) => { readonly path: string; readonly bytes: Buffer },
  ...clients: readonly ((path: string, bytes: Buffer) => Client)[]
): Shape["play"] {
  return async (stage) => {
    const { path, bytes } = place(stage);
    stage.upstream.put({ [path]: bytes });
    for (const [at, make] of clients.entries()) {
      const client = make(path, bytes);
      const direct = await stage.direct(client);
      await stage.same(client, direct, `step ${at + 1}`);
    }
    const plain = plainFiles(path);
    const direct = await stage.direct(plain);
    await stage.soon(plain, direct, "a plain GET");
    await stage.same(plain, direct, "a plain GET, warm");
  };
}

const etags = (etag: Origin["etag"], bytesPerSecond?: number) => (stage: Stage) => {
  stage.upstream.origin.etag = etag;
  stage.upstream.origin.bytesPerSecond = bytesPerSecond;
};

function image(id: string, size: number, setUp: (stage: Stage) => void) {
  return (stage: Stage) => {
    setUp(stage);
    return { path: `images/${id}-1.0.iso`, bytes: makeIso(id, size) };
  };
}

export const WEDGE: readonly Shape[] = [
  {
    id: "weak-etag-halves",
    upstream:
      "an image of 40 MiB with a constant weak entity tag and date, ranges, 30 MB/s; cold, two clients ask for the two halves at once",
    clients: "aria2, download managers, curl",
    promised: "each GET ends whole, then and later",
    play: file(image("weak-etag-halves", 40 * MIB, etags("weak", 30_000_000)), halves),
  },
  {
    id: "weak-etag-left",
    upstream: "a deb of 20 MiB with a weak entity tag; the first client leaves in the middle, the next one resumes",
    clients: "apt, dnf, curl -C -",
    promised: "each GET ends whole",
    play: file(
      (stage) => {
        etags("weak", 40_000_000)(stage);
        return { path: "pool/weak-etag-left_1.0_amd64.deb", bytes: makeDeb("weak-etag-left", 20 * MIB) };
      },
      (path) => leaveAfter(path, 9 * MIB),
      (path, bytes) => resume(path, bytes, 12 * MIB),
    ),
  },
  {
    id: "changing-etag",
    upstream:
      "an image of 40 MiB from hosts behind a balancer, each with an entity tag of its own: another one in each answer, the date the same",
    clients: "aria2, run as it is, curl",
    promised: "each GET ends whole",
    tools: ["aria2c"],
    play: file(image("changing-etag", 40 * MIB, etags("changing", 40_000_000)), aria2, halves),
  },
  {
    id: "changing-etag-rpm",
    upstream: "an rpm of 20 MiB with another strong entity tag in each answer; the first client leaves, the next one asks for a part",
    clients: "dnf, curl",
    promised: "each GET ends whole",
    play: file(
      (stage) => {
        etags("changing", 40_000_000)(stage);
        return {
          path: "Packages/changing-etag-rpm-1.0-1.noarch.rpm",
          bytes: rpm("x", "changing-etag-rpm", { href: "x", size: 20 * MIB }).bytes,
        };
      },
      (path) => leaveAfter(path, 9 * MIB),
      (path, bytes) => resume(path, bytes, 13 * MIB),
    ),
  },
  {
    id: "no-validators",
    upstream: "an image of 24 MiB without entity tag and date, with ranges; two clients ask for its halves at once",
    clients: "aria2, curl",
    promised: "each GET ends whole",
    play: file(
      image("no-validators", 24 * MIB, (stage) => {
        etags("none", 40_000_000)(stage);
        stage.upstream.origin.fault(/./, { kind: "no-validators" });
      }),
      halves,
      (path, bytes) => resume(path, bytes, 20 * MIB),
    ),
  },
  {
    id: "ranges-ignored",
    upstream: "an image of 24 MiB whose host answers 200 to every Range; a client resumes, cold",
    clients: "curl -C -, aria2",
    promised: "each GET ends whole",
    play: file(
      image("ranges-ignored", 24 * MIB, (stage) => void stage.upstream.origin.fault(/./, { kind: "ignore-range" })),
      (path, bytes) => resume(path, bytes, 10 * MIB),
      halves,
    ),
  },
  {
    id: "cut-once",
    upstream: "an image of 24 MiB with a weak entity tag, cut once in the middle of the first answer; clients retry",
    clients: "curl --retry, dnf, apt",
    promised: "each later GET ends whole",
    play: async (stage) => {
      etags("weak")(stage);
      const path = "images/cut-once-1.0.iso";
      const bytes = makeIso("cut-once", 24 * MIB);
      stage.upstream.put({ [path]: bytes });
      const client = plainFiles(path);
      const direct = await stage.direct(client);
      stage.upstream.origin.fault(`/${path}`, { kind: "cut", at: 13 * MIB }, { times: 1 });
      await stage.soon(client, direct, "after the cut");
      await stage.same(client, direct, "warm");
    },
  },
  {
    id: "republished-under-way",
    upstream: "an image of 24 MiB that is replaced, same size, while a slow client reads it, and stays still after that",
    clients: "curl",
    promised: "a GET after that ends whole, with the new bytes",
    play: async (stage) => {
      const path = "images/current/republished.iso";
      etags("weak", 20_000_000)(stage);
      stage.upstream.put({ [path]: makeIso("republished 1", 24 * MIB) });
      const reading = download(`${stage.url()}/${path}`, {});
      await stage.upstream.origin.waitForRequest(`/${path}`);
      stage.upstream.put({ [path]: makeIso("republished 2", 24 * MIB) });
      await reading;
      stage.upstream.origin.bytesPerSecond = undefined;
      const client = plainFiles(path);
      // A name that moves on is fresh for two minutes; what the client sees must be one of the two, whole.
      const got = await download(`${stage.url()}/${path}`, { headers: { "cache-control": "no-cache" } });
      const versions = ["republished 1", "republished 2"].map((seed) => sha256(makeIso(seed, 24 * MIB)));
      if (!got.isWhole || !versions.includes(got.sha256)) throw new Refusal(`GET ends after ${got.length} bytes, whole: ${got.isWhole}`);
      await stage.direct(client);
    },
  },
  {
    id: "commit-in-name",
    upstream: "files whose names begin with 40 or 64 hex digits that are no digest of theirs, outside repodata/ and by-hash/",
    clients: "curl",
    promised: "they come as they do directly",
    play: async (stage) => {
      const commit = "3c8e5b1f7a9d2046e8b7c5a31f0d9e8b7a6c5d4e";
      const paths = [`builds/${commit}-notes.txt`, `builds/${commit}${commit.slice(0, 24)}-image.tar.gz`, `repos/${commit}/notes.txt`];
      stage.upstream.put(Object.fromEntries(paths.map((path) => [path, makeNoise(`commit-in-name ${path}`, 5000)])));
      const client = plainFiles(...paths);
      const direct = await stage.direct(client);
      for (const what of ["cold", "warm", "again"]) await stage.same(client, direct, what);
    },
  },
  {
    id: "folder-redirect",
    upstream: "301 from /dir to /dir/, a listing with relative links",
    clients: "wget -r, run as it is",
    promised: "all files below are found",
    tools: ["wget"],
    play: async (stage) => {
      stage.upstream.put({
        "pub/dir/one.txt": makeNoise("folder-redirect one", 900),
        "pub/dir/two.txt": makeNoise("folder-redirect two", 900),
        "pub/dir/deeper/three.txt": makeNoise("folder-redirect three", 900),
      });
      const client = wgetBelow("pub/dir");
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
    },
  },
  {
    id: "folder-redirect-location",
    upstream: "302 from /dir to its own absolute URL with a slash",
    clients: "curl, browsers",
    promised: "the answer is a redirect below the mirror's own URL",
    play: async (stage) => {
      stage.upstream.put({ "pub/at/one.txt": makeNoise("folder-redirect-location", 900) });
      stage.upstream.origin.fault("/pub/at", { kind: "redirect", to: `${stage.upstream.url}/pub/at/`, status: 302 });
      const follow: Client = async (url) => {
        const first = await download(`${url}/pub/at`);
        const location = first.headers.location;
        if (location === undefined) throw new Refusal(`/pub/at is answered by ${first.status} without Location`);
        const next = new URL(location, `${url}/pub/at`).href;
        if (next !== `${url}/pub/at/`) throw new Refusal(`/pub/at leads to ${next}`);
        const got = await download(new URL("one.txt", next).href);
        return { file: got.sha256 };
      };
      const direct = await stage.direct(follow);
      await stage.same(follow, direct, "cold");
      await stage.same(follow, direct, "warm");
    },
  },
  ...[403, 405, 501].map((status): Shape => ({
    id: `head-refused-${status}`,
    upstream: `HEAD is answered by ${status} where GET works`,
    clients: "zypper, curl -I, apt-mirror",
    promised: "HEAD of a cold file has GET's status and length, and GET works after that",
    play: async (stage) => {
      const id = `head-refused-${status}`;
      const paths = [`pool/${id}_1.0_amd64.deb`, `notes/${id}.txt`];
      stage.upstream.origin.fault(/./, { kind: "status", status }, { method: "HEAD" });
      stage.upstream.put({ [paths[0] ?? ""]: makeDeb(id, 3 * MIB), [paths[1] ?? ""]: makeNoise(id, 700) });
      // Directly a client sees the refusal and asks GET; through the mirror it sees GET's headers at once.
      const get = plainFiles(...paths);
      const direct = await stage.direct(get);
      for (const path of paths) {
        const head = await download(`${stage.url()}/${path}`, { method: "HEAD" });
        const real = await download(`${stage.upstream.url}/${path}`);
        if (head.status !== 200 || head.headers["content-length"] !== String(real.length)) {
          throw new Refusal(`HEAD of /${path} is answered by ${head.status}, length ${head.headers["content-length"]}`);
        }
      }
      await stage.same(get, direct, "GET, cold");
      await stage.same(get, direct, "GET, warm");
    },
  })),
  {
    id: "appears-late",
    upstream: "a package that is 404 when first asked for, and uploaded a moment later",
    clients: "apt, dnf, CI",
    promised: "it is served within seconds",
    play: async (stage) => {
      const path = "pool/appears-late_1.0_amd64.deb";
      const client = plainFiles(path);
      await stage.same(client, await stage.direct(client), "absent");
      stage.upstream.put({ [path]: makeDeb("appears-late", 20_000) });
      await stage.soon(client, await stage.direct(client), "uploaded");
    },
  },
];

/** The real wget over all below `path`: file name → digest. */
function wgetBelow(path: string): Client {
  return async (url) => {
    const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-field-wget-"));
    try {
      const flags = [
        "--no-config",
        "--no-verbose",
        "--recursive",
        "--no-parent",
        "--no-host-directories",
        "--level=4",
        "--tries=2",
        "--timeout=20",
        "--execute=robots=off",
      ];
      await runTool("wget", [...flags, `--directory-prefix=${folder}`, `${url}/${path}`], { cwd: folder });
      const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".txt"));
      // What the mirror's name adds before the path is no part of what was found.
      const seen = names
        .map((name) => [name.slice(name.indexOf(path)), sha256(readFileSync(join(folder, name)))] as const)
        .toSorted(([one], [two]) => one.localeCompare(two));
      if (seen.length === 0) throw new Refusal("wget found no file");
      return Object.fromEntries(seen);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}
