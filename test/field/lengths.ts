import { type Download, download } from "../support/download.ts";
import { makeNoise } from "../support/fixture.ts";
import { makeDeb, makeIso } from "../support/large-files.ts";
import { pack } from "../support/miniature/compress.ts";
import { deb, debSuite, type Files } from "../support/miniature/deb-archive.ts";
import { rpm, rpmMd } from "../support/miniature/rpm-md.ts";
import { apt, type Client, dnf, plainFiles, Refusal } from "./model-clients.ts";
import { dateOf, generations, type Shape, type Stage } from "./shape.ts";

const MIB = 1024 * 1024;
const twice = (publish: (stage: Stage, n: number) => void): [typeof publish, typeof publish] => [publish, publish];
const framed = (stage: Stage, framing: "chunked" | "close"): unknown => stage.upstream.origin.fault(/./, { kind: "framing", framing });

/** A file without Content-Length is served, and served again while the upstream is gone: proven complete, or kept for that case. */
function keptFiles(framing: "chunked" | "close", files: (id: string) => Files, id: string, warm?: string): Shape["play"] {
  return async (stage) => {
    framed(stage, framing);
    const all = files(id);
    stage.upstream.put(all);
    const client = plainFiles(...Object.keys(all), ...(warm === undefined ? [] : [warm]));
    const direct = await stage.direct(client);
    await stage.same(client, direct, "cold");
    await stage.same(client, direct, "warm");
    await stage.upstream.origin.idle();
    await stage.upstream.origin.close();
    try {
      await stage.same(client, direct, "the upstream is gone");
    } finally {
      await stage.upstream.origin.restart();
    }
  };
}

/** `stored` of a Cache-Status is kept to: the next answer comes from the store. */
function saysTrue(path: string): Client {
  return async (url) => {
    const first = await download(`${url}/${path}`);
    const next = await download(`${url}/${path}`);
    const [said, then] = [first, next].map(({ headers }) => String(headers["cache-status"]));
    const wasStored = said?.includes("; stored");
    const isHit = then?.includes("; hit");
    if (wasStored && !isHit) throw new Refusal(`the first answer says "${said}", the next one "${then}"`);
    return { [path]: next.sha256 };
  };
}

export const LENGTHS: readonly Shape[] = [
  {
    id: "chunked-small-files",
    upstream: "a listing, a key, a .treeinfo and a text, sent in chunks that end as they should",
    clients: "curl, dnf, anaconda",
    promised: "they are kept for the case that no upstream answers",
    play: keptFiles(
      "chunked",
      (id) => ({
        "keys/RPM-GPG-KEY-z": makeNoise(`${id} key`, 3000),
        "os/.treeinfo": makeNoise(`${id} treeinfo`, 2000),
        "keys/notes.txt": makeNoise(`${id} notes`, 60_000),
      }),
      "chunked-small-files",
      "keys/",
    ),
  },
  {
    id: "chunked-packages",
    upstream: "an image of 1 MB, an rpm and a deb of their own declared length, sent in chunks",
    clients: "curl, dnf, apt",
    promised: "they are stored: their own structure proves them complete",
    play: keptFiles(
      "chunked",
      (id) => ({
        [`x/${id}-1.0.iso`]: makeIso(id, MIB),
        [`x/${id}-1.0-1.noarch.rpm`]: rpm("x", id, { href: "x", size: 200_000 }).bytes,
        [`x/${id}_1.0_amd64.deb`]: makeDeb(id, 300_000),
      }),
      "chunked-packages",
    ),
  },
  {
    id: "closed-packages",
    upstream: "an rpm and a deb sent without length and without chunks: the end of the connection ends them (HTTP/1.0)",
    clients: "curl, dnf",
    promised: "they are stored: their own structure proves them complete",
    play: keptFiles(
      "close",
      (id) => ({
        [`x/${id}-1.0-1.noarch.rpm`]: rpm("x", id, { href: "x", size: 200_000 }).bytes,
        [`x/${id}_1.0_amd64.deb`]: makeDeb(id, 300_000),
      }),
      "closed-packages",
    ),
  },
  {
    id: "chunked-repository",
    upstream: "a whole repository, root and metadata and packages, sent in chunks",
    clients: "dnf",
    promised: "each generation is adopted, and served while the upstream is gone",
    play: async (stage) => {
      const id = "chunked-repository";
      framed(stage, "chunked");
      const publish = ({ upstream }: Stage, n: number): void => {
        const entry = rpm(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, href: `Packages/${id}-tool-${n}.0-1.noarch.rpm` });
        upstream.put(rpmMd({ revision: dateOf(n), entries: [entry] }));
      };
      await generations(dnf({ types: ["filelists"] }), ...twice(publish))(stage);
      const client = dnf();
      const direct = await stage.direct(client);
      await stage.soon(client, direct, "all of it");
      await stage.upstream.origin.close();
      try {
        await stage.same(client, direct, "the upstream is gone");
      } finally {
        await stage.upstream.origin.restart();
      }
    },
  },
  {
    id: "chunked-archive",
    upstream: "a whole archive whose indexes and packages are sent in chunks, by a program rather than from files",
    clients: "apt",
    promised: "each generation is adopted",
    play: async (stage) => {
      const id = "chunked-archive";
      framed(stage, "chunked");
      await generations(
        apt(),
        ...twice(({ upstream }, n) => {
          const entry = deb(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, filename: `pool/${id}-tool_${n}.0_amd64.deb` });
          upstream.put(debSuite({ folder: "dists/stable", date: dateOf(n), entries: [entry] }));
        }),
      )(stage);
    },
  },
  {
    id: "chunked-30-mb",
    upstream: "a deb of 30 MB that no index names, sent in chunks; five clients ask for it",
    clients: "apt, curl",
    promised: "one upstream GET for all of them, later ones with Content-Length",
    play: async (stage) => {
      const path = "pool/chunked-30-mb_1.0_amd64.deb";
      stage.upstream.put({ [path]: makeDeb("chunked-30-mb", 30_000_000) });
      stage.upstream.origin.bytesPerSecond = 60_000_000;
      framed(stage, "chunked");
      const client = plainFiles(path);
      const direct = await stage.direct(client);
      stage.upstream.origin.log.length = 0;
      await Promise.all([1, 2, 3, 4].map((at) => stage.same(client, direct, `client ${at} of four at once`)));
      await stage.same(client, direct, "a client after them");
      const asked = stage.upstream.origin.requests(`/${path}`).filter(({ method }) => method === "GET").length;
      if (asked !== 1) throw new Refusal(`the upstream was asked ${asked} times`);
      const { headers } = await download(`${stage.url()}/${path}`, { method: "HEAD" });
      if (headers["content-length"] !== "30000000") throw new Refusal(`Content-Length is ${headers["content-length"]}`);
    },
  },
  {
    id: "chunked-6-mib",
    upstream: "a tarball of 6 MiB, whose bytes declare no length, sent in chunks",
    clients: "curl",
    promised: "`stored` is said only of what is stored",
    play: async (stage) => {
      const path = "sources/chunked-6-mib-1.0.tar.gz";
      stage.upstream.put({ [path]: pack(".gz", makeNoise("chunked-6-mib", 6 * MIB)) });
      framed(stage, "chunked");
      const direct = await stage.direct(plainFiles(path));
      await stage.same(saysTrue(path), direct, "cold and again");
      await stage.same(plainFiles(path), direct, "later");
    },
  },
  {
    id: "chunked-and-cut",
    upstream: "a text, a deb and an rpm in chunks whose last chunk never comes, once",
    clients: "curl, python-requests",
    promised: "the cut is seen or mended, and never stored",
    play: async (stage) => {
      const id = "chunked-and-cut";
      const files = {
        [`x/${id}.txt`]: makeNoise(`${id} text`, 300_000),
        [`x/${id}_1.0_amd64.deb`]: makeDeb(id, 300_000),
        [`x/${id}-1.0-1.noarch.rpm`]: rpm("x", id, { href: "x", size: 300_000 }).bytes,
      };
      stage.upstream.put(files);
      const client = plainFiles(...Object.keys(files));
      const direct = await stage.direct(client);
      const fault = stage.upstream.origin.fault(/./, { kind: "cut", at: 0.5, framing: "chunked" });
      for (const [path, bytes] of Object.entries(files)) {
        const got: Download = await download(`${stage.url()}/${path}`);
        if (got.status === 200 && got.isWhole && got.length !== bytes.length)
          throw new Refusal(`/${path} looks whole after ${got.length} bytes`);
      }
      fault.clear();
      await stage.soon(client, direct, "the upstream sends all");
      await stage.same(client, direct, "warm");
    },
  },
  {
    id: "length-of-nothing",
    upstream: "an empty file with Content-Length: 0, a Packages of an empty component among them",
    clients: "apt, curl",
    promised: "it is served as the empty file that it is",
    play: async (stage) => {
      stage.upstream.put({
        "notes/empty.txt": Buffer.alloc(0),
        ...debSuite({ folder: "dists/stable", date: dateOf(1), entries: [], forms: ["", ".gz"] }),
      });
      const client = plainFiles("notes/empty.txt", "dists/stable/main/binary-amd64/Packages");
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
      await stage.same(apt(), await stage.direct(apt()), "the archive");
    },
  },
];
