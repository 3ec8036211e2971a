import { brotliCompressSync } from "node:zlib";
import { download } from "../support/download.ts";
import { makeNoise } from "../support/fixture.ts";
import { makeDeb, makeIso } from "../support/large-files.ts";
import { apkRepository, apk as makeApk } from "../support/miniature/apk.ts";
import { pack } from "../support/miniature/compress.ts";
import { deb, debSuite, type Files, type SuiteOptions } from "../support/miniature/deb-archive.ts";
import { pacmanDatabase, pacmanPackage } from "../support/miniature/pacman-database.ts";
import { rpm, rpmMd } from "../support/miniature/rpm-md.ts";
import { apk, apt, type Client, dnf, getFile, pacman, plainFiles, Refusal } from "./model-clients.ts";
import { aptDownload, dnfDownload } from "./real-clients.ts";
import { dateOf, generations, generationsAndCold, type Shape, type Stage } from "./shape.ts";

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
    id: "x-gzip-packages",
    upstream: "Packages.gz has the label Content-Encoding: x-gzip, and its wire bytes are the file that Release names",
    clients: "apt, run as it is",
    promised: "the index is used, in each generation, and sent without the label",
    tools: ["apt-get"],
    play: async (stage) => {
      const id = "x-gzip-packages";
      labelled(stage, /\.gz$/, { "content-encoding": "x-gzip", "content-type": "text/plain" });
      await generations(
        aptDownload("stable main", `${id}-tool`),
        ...twice(({ upstream }, n) => upstream.put(debGeneration(id, n, { forms: [".gz"] }))),
      )(stage);
    },
  },
  {
    id: "x-gzip-primary",
    upstream: "<digest>-primary.xml.gz has the label Content-Encoding: x-gzip",
    clients: "dnf",
    promised: "the repository is used, in each generation",
    mirrors: ["cold"],
    play: async (stage) => {
      labelled(stage, /\.gz$/, { "content-encoding": "x-gzip" });
      await generationsAndCold(
        dnf({ types: ["filelists", "other"] }),
        ...twice(({ upstream }, n) => upstream.put(rpmGeneration("x-gzip-primary", n))),
      )(stage);
    },
  },
  {
    id: "gzip-label-plain-names",
    upstream: "primary.xml.gz without a digest in its name has the label Content-Encoding: gzip",
    clients: "dnf",
    promised: "the repository is used, in each generation",
    play: async (stage) => {
      labelled(stage, /\.gz$/, { "content-encoding": "gzip" });
      await generations(
        dnf({ types: ["filelists"] }),
        ...twice(({ upstream }, n) => upstream.put(rpmGeneration("gzip-label-plain-names", n, true))),
      )(stage);
    },
  },
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
    id: "gzip-label-tarballs",
    upstream: "source-1.0.tar.gz and tool-2.1.tgz have the label Content-Encoding: x-gzip, and no index names them",
    clients: "curl, spectool, pip",
    promised: "the packed bytes under the packed name",
    play: async (stage) => {
      const paths = ["sources/source-1.0.tar.gz", "sources/tool-2.1.tgz", "sources/notes.txt.gz"];
      labelled(stage, /gz$/, { "content-encoding": "x-gzip", "content-type": "application/x-tar" });
      stage.upstream.put(Object.fromEntries(paths.map((path) => [path, pack(".gz", makeNoise(`gzip-label-tarballs ${path}`, 30_000))])));
      const client = plainFiles(...paths);
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
    },
  },
  {
    id: "html-label-repository",
    upstream: "everything is sent as text/html, packages and hashed metadata too",
    clients: "dnf, run as it is",
    promised: "dnf installs; the upstream is not taken for broken",
    tools: ["dnf"],
    play: async (stage) => {
      const id = "html-label-repository";
      labelled(stage, /\.(rpm|xml|gz)$/, { "content-type": "text/html; charset=UTF-8" });
      await generations(dnfDownload(`${id}-tool`), ...twice(({ upstream }, n) => upstream.put(rpmGeneration(id, n))))(stage);
    },
  },
  {
    id: "html-label-archive",
    upstream: "InRelease, Packages.xz and debs are sent as text/html",
    clients: "apt",
    promised: "each generation is adopted, and its packages are served",
    play: async (stage) => {
      labelled(stage, /./, { "content-type": "text/html" });
      await generations(apt(), ...twice(({ upstream }, n) => upstream.put(debGeneration("html-label-archive", n))))(stage);
    },
  },
  {
    id: "html-label-files",
    upstream: "a deb, an image, a tarball and a key that no index names are sent as text/html",
    clients: "curl",
    promised: "they are served, since their bytes are no page",
    play: async (stage) => {
      const id = "html-label-files";
      labelled(stage, /./, { "content-type": "text/html" });
      const files = {
        [`x/${id}_1.0_amd64.deb`]: makeDeb(id, 30_000),
        [`x/${id}-1.0.iso`]: makeIso(id, 400_000),
        [`x/${id}-1.0.tar.gz`]: pack(".gz", makeNoise(id, 9000)),
        "x/RPM-GPG-KEY-x": Buffer.from(
          `-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${makeNoise(id, 300).toString("base64")}\n-----END PGP PUBLIC KEY BLOCK-----\n`,
        ),
      };
      stage.upstream.put(files);
      const client = plainFiles(...Object.keys(files));
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
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
    id: "gzip-plain-packages",
    upstream: "the plain Packages, the only form there is, arrives gzip-encoded although identity was asked for",
    clients: "apt",
    promised: "what Release names of the plain form is what is stored and sent",
    play: async (stage) => {
      const id = "gzip-plain-packages";
      const client = apt();
      for (const n of [1, 2]) {
        stage.upstream.origin.clearFaults();
        stage.upstream.put(debGeneration(id, n, { forms: [""], named: [""] }));
        const direct = await stage.direct(client);
        stage.upstream.origin.fault(/\/Packages$/, { kind: "gzip" });
        await stage.soon(client, direct, `generation ${n}`);
        await stage.same(client, direct, `generation ${n}, warm`);
      }
    },
  },
  {
    id: "gzip-listing-and-key",
    upstream: "listings and keys arrive gzip-encoded although identity was asked for",
    clients: "curl, rpm --import",
    promised: "no client is sent an encoding that it did not accept",
    play: async (stage) => {
      const key = "keys/RPM-GPG-KEY-y";
      stage.upstream.put({ [key]: makeNoise("gzip-listing-and-key", 3000) });
      const client = unencoded(key, "keys/");
      const direct = await stage.direct(client);
      stage.upstream.origin.fault(/./, { kind: "gzip" });
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
    },
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
