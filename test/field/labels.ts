import { brotliCompressSync } from "node:zlib";
import { download } from "../support/download.ts";
import { apkRepository, apk as makeApk } from "../support/miniature/apk.ts";
import { pack } from "../support/miniature/compress.ts";
import { deb, debSuite, type Files, type SuiteOptions } from "../support/miniature/deb-archive.ts";
import { pacmanDatabase, pacmanPackage } from "../support/miniature/pacman-database.ts";
import { rpm, rpmMd } from "../support/miniature/rpm-md.ts";
import { apk, apt, type Client, dnf, getFile, pacman, plainFiles, Refusal } from "./model-clients.ts";
import { dateOf, generations, type Shape, type Stage } from "./shape.ts";

const SUITE = "dists/stable";

function debGeneration(id: string, n: number, options: Partial<SuiteOptions> = {}): Files {
  const entry = deb(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, filename: `pool/main/${id}-tool_${n}.0_amd64.deb` });
  return debSuite({ folder: SUITE, date: dateOf(n), entries: [entry], ...options });
}

function rpmGeneration(id: string, n: number, isPlain = false): Files {
  const entry = rpm(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, href: `Packages/${id}-tool-${n}.0-1.noarch.rpm` });
  return rpmMd({ revision: dateOf(n), entries: [entry], isPlain });
}

/** The upstream says `headers` of what matches, whatever it is. */
const labelled = (stage: Stage, match: RegExp, headers: Readonly<Record<string, string>>): unknown =>
  stage.upstream.origin.fault(match, { kind: "headers", headers });

/** What a client gets that accepts no encoding: bytes under no encoding. */
function unencoded(...paths: readonly string[]): Client {
  return async (url) => {
    for (const path of paths) {
      const { headers } = await getFile(`${url}/${path}`, { "accept-encoding": "identity" });
      const encoding = headers["content-encoding"];
      if (encoding !== undefined && encoding !== "identity") throw new Refusal(`/${path} comes with Content-Encoding: ${encoding}`);
    }
    return plainFiles(...paths)(url);
  };
}

const twice = (publish: (stage: Stage, n: number) => void | Promise<void>): [typeof publish, typeof publish] => [publish, publish];

/** Roots arrive encoded from the upstream's CDN; what the client holds in the end is what lies there. */
function encodedRoot(files: (n: number) => Files, root: string, encoding: "gzip" | "br", client: Client): Shape["play"] {
  return async (stage) => {
    for (const n of [1, 2]) {
      stage.upstream.origin.clearFaults();
      const all = files(n);
      stage.upstream.put(all);
      const plain = all[root] ?? Buffer.alloc(0);
      // A client that decodes, as browsers and curl --compressed do, sees this directly too.
      const direct = await stage.direct(client);
      const whole = await stage.direct(plainFiles(root));
      const coded = encoding === "gzip" ? pack(".gz", plain) : brotliCompressSync(plain);
      stage.upstream.origin.fault(`/${root}`, {
        kind: "status",
        status: 200,
        body: coded.toString("latin1"),
        encoding: "latin1",
        headers: {
          "content-encoding": encoding,
          "last-modified": new Date(dateOf(n) * 1000).toUTCString(),
          etag: `"${root}-${n}-${encoding}"`,
        },
      });
      await stage.soon(client, direct, `generation ${n}`);
      await stage.soon(unencoded(root), whole, `the root of generation ${n}`);
    }
  };
}

export const LABELS: readonly Shape[] = [
  {
    id: "x-gzip-database",
    upstream: "a pacman database .db has the label Content-Encoding: x-gzip",
    clients: "pacman",
    promised: "the database is adopted in each generation, byte for byte",
    play: async (stage) => {
      const id = "x-gzip-database";
      labelled(stage, /\.db$/, { "content-encoding": "x-gzip" });
      await generations(
        pacman({ folder: "extra", database: "extra" }),
        ...twice(async ({ upstream }, n) =>
          upstream.put(await pacmanDatabase("extra", "extra", [pacmanPackage(`${id}-p`, `${id} ${n}`, { version: `${n}-1` })])),
        ),
      )(stage);
    },
  },
  {
    id: "gzip-label-apkindex",
    upstream: "APKINDEX.tar.gz has the label Content-Encoding: gzip",
    clients: "apk",
    promised: "the index is adopted in each generation, byte for byte",
    play: async (stage) => {
      const id = "gzip-label-apkindex";
      labelled(stage, /APKINDEX/, { "content-encoding": "gzip" });
      await generations(
        apk("main/x86_64"),
        ...twice(async ({ upstream }, n) =>
          upstream.put(await apkRepository("main/x86_64", `${id} ${n}`, [await makeApk(`${id}-p`, `${n}.0-r0`, `${id} ${n}`)])),
        ),
      )(stage);
    },
  },

  {
    id: "gzip-inrelease",
    upstream: "InRelease arrives gzip-encoded although identity was asked for",
    clients: "apt",
    promised: "it is decoded and adopted; no client is sent an encoding that it did not accept",
    play: encodedRoot((n) => debGeneration("gzip-inrelease", n), `${SUITE}/InRelease`, "gzip", apt()),
  },
  {
    id: "gzip-repomd",
    upstream: "repomd.xml arrives gzip-encoded although identity was asked for",
    clients: "dnf",
    promised: "it is decoded and adopted; no client is sent an encoding that it did not accept",
    play: encodedRoot((n) => rpmGeneration("gzip-repomd", n), "repodata/repomd.xml", "gzip", dnf()),
  },
  {
    id: "br-inrelease",
    upstream: "InRelease arrives br-encoded although identity was asked for",
    clients: "apt",
    promised: "it is decoded and adopted",
    play: encodedRoot((n) => debGeneration("br-inrelease", n), `${SUITE}/InRelease`, "br", apt()),
  },

  {
    id: "html-for-package",
    upstream: "a page that says something went wrong lies under a package's name, once, with status 200",
    clients: "curl, dnf",
    promised: "the page is never stored as the package, whatever its label; the package is served as soon as it is back",
    play: async (stage) => {
      const path = "Packages/html-for-package-1.0-1.noarch.rpm";
      stage.upstream.put({ [path]: rpm("x", "html-for-package", { href: "x" }).bytes });
      const client = plainFiles(path);
      const direct = await stage.direct(client);
      const body = "<!DOCTYPE html><html><body>Please log in.</body></html>\n";
      const fault = stage.upstream.origin.fault(`/${path}`, {
        kind: "status",
        status: 200,
        body,
        headers: { "content-type": "application/x-rpm" },
      });
      const got = await download(`${stage.url()}/${path}`);
      if (got.status === 200 && got.isWhole) throw new Refusal("the page is given out as the package");
      fault.clear();
      await stage.soon(client, direct, "the package is back");
      await stage.same(client, direct, "warm");
    },
  },
];
