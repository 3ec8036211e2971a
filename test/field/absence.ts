import { makeNoise } from "../support/fixture.ts";
import { makeDeb } from "../support/large-files.ts";
import { deb, debSuite, type Files } from "../support/miniature/deb-archive.ts";
import { rpm, rpmMd } from "../support/miniature/rpm-md.ts";
import { openPacman } from "../support/clients/pacman.ts";
import { openPacmanRepository } from "../support/pacman-repository.ts";
import { download } from "../support/download.ts";
import { apt, dnf, plainFiles, Refusal, type Client } from "./model-clients.ts";
import { dateOf, generations, type Shape, type Stage } from "./shape.ts";
import { cpSync } from "node:fs";

/** Status and body of what is absent, whole. */
function absences(...paths: readonly string[]): Client {
  return async (url) => {
    const seen: Record<string, string> = {};
    for (const path of paths) {
      const got = await download(`${url}/${path}`);
      // 401, 403, 404 and 410 all end a client's try the same way: the file is not there.
      // Of a package that all upstreams forbid the mirror says 502: clients try that again, and the file may be there a moment later.
      seen[path] = [401, 403, 404, 410, 502].includes(got.status) && got.isWhole ? "absent" : String(got.status);
    }
    return seen;
  };
}

const ABSENT_PATHS = [
  "pool/main/nothing_1.0_amd64.deb",
  "Packages/nothing-1.0-1.noarch.rpm",
  "dists/none/InRelease",
  "none/repodata/repomd.xml",
  "none/none.db",
  "none/APKINDEX.tar.gz",
  "keys/none.asc",
  "none/.treeinfo",
  "dists/none/main/binary-amd64/by-hash/SHA256/3f5c0ad1b5b7e0a0ce0ba2a4ddd2e46ea1bbb7f0f2f53f77c5f1b3d4fa0b8e7a",
];

function lacking(id: string, status: number): Shape["play"] {
  return async ({ upstream, second, ...stage }) => {
    upstream.origin.absentStatus = status;
    const debs = debSuite({
      folder: "dists/stable",
      date: dateOf(1),
      entries: [deb(`${id}-tool`, id, { filename: `pool/main/${id}-tool_1.0_amd64.deb` })],
    });
    const rpms = rpmMd({
      folder: "os",
      revision: dateOf(1),
      entries: [rpm(`${id}-tool`, `${id} r`, { href: `${id}-tool-1.0-1.noarch.rpm` })],
    });
    const all: Files = { ...debs, ...rpms, "keys/RPM-GPG-KEY-q": makeNoise(`${id} key`, 900) };
    second.put(all);
    // The first has the roots and some members, and none of the packages.
    upstream.put(Object.fromEntries(Object.entries(all).filter(([path]) => !/pool\/|\.rpm$|^keys|filelists/.test(path))));
    for (const client of [apt(), dnf({ folder: "os", types: ["filelists"] }), plainFiles("keys/RPM-GPG-KEY-q")]) {
      const direct = await stage.direct(client, second.url);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
    }
  };
}

export const ABSENCE: readonly Shape[] = [
  ...[401, 403, 404, 410].map((status): Shape => ({
    id: `absent-everywhere-${status}`,
    upstream: `whatever is absent is answered by ${status}: packages, roots, databases, keys, by-hash files`,
    clients: "all",
    promised:
      "each is absent for the client too (a forbidden package: 502), and the upstream is not taken for broken: what is there is served beside it",
    play: async (stage) => {
      stage.upstream.origin.absentStatus = status;
      stage.upstream.put({ "pool/main/there_1.0_amd64.deb": makeDeb(`absent-everywhere-${status}`, 20_000) });
      const client = absences(...ABSENT_PATHS);
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "again");
      const there = plainFiles("pool/main/there_1.0_amd64.deb");
      await stage.same(there, await stage.direct(there), "what is there");
    },
  })),
  ...[403, 404].map((status): Shape => ({
    id: `first-lacks-packages-${status}`,
    upstream: `two upstreams; the first has the roots, but answers ${status} for packages, a key and filelists, which the second has`,
    clients: "apt, dnf",
    promised: "the second is asked",
    upstreams: 2,
    play: lacking(`first-lacks-packages-${status}`, status),
  })),
  {
    id: "forbidden-real-pacman",
    upstream: "a pacman repository in an object store: the databases' .sig and the packages' .sig are 403",
    clients: "pacman, run as it is",
    promised: "pacman installs",
    tools: ["pacman", "tar", "zstd"],
    play: async (stage) => {
      const repository = await openPacmanRepository();
      cpSync(repository.folder, stage.upstream.origin.folder, { recursive: true, preserveTimestamps: true });
      stage.upstream.origin.absentStatus = 403;
      const client: Client = async (url) => {
        const root = openPacman(url);
        try {
          const refreshed = await root.refresh();
          const installed = await root.install({ name: "mirror-test-a", path: "" });
          if (refreshed.code !== 0 || installed.code !== 0) throw new Refusal(`${refreshed.stderr}\n${installed.stderr}`);
          return Object.fromEntries([...root.downloads()].map(([name, bytes]) => [name, String(bytes.length)]));
        } finally {
          root.remove();
        }
      };
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
    },
  },
  {
    id: "package-forbidden-then-there",
    upstream: "an object store: a package is 403 while its upload is under way, and there a moment later",
    clients: "apt, dnf",
    promised: "it is served within seconds, and the upstream is not taken for broken",
    play: async (stage) => {
      const id = "package-forbidden-then-there";
      stage.upstream.origin.absentStatus = 403;
      const path = `pool/${id}_1.0_amd64.deb`;
      const other = `pool/${id}-other_1.0_amd64.deb`;
      stage.upstream.put({ [other]: makeDeb(`${id} other`, 20_000) });
      for (let time = 0; time < 8; time++) await stage.same(absences(path), await stage.direct(absences(path)), `absent, time ${time}`);
      await stage.same(plainFiles(other), await stage.direct(plainFiles(other)), "another package");
      stage.upstream.put({ [path]: makeDeb(id, 20_000) });
      await stage.soon(plainFiles(path), await stage.direct(plainFiles(path)), "uploaded");
    },
  },
  {
    id: "old-package-gone",
    upstream: "the second generation drops the first one's package, and the file with it",
    clients: "apt",
    promised: "the newest generation is served with all that it names; the old file is kept or absent, never wrong",
    play: async (stage) => {
      const id = "old-package-gone";
      const publish = (n: number): Files =>
        debSuite({
          folder: "dists/stable",
          date: dateOf(n),
          entries: [deb(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, filename: `pool/${id}-tool_${n}.0_amd64.deb` })],
        });
      await generations(
        apt(),
        ({ upstream }) => upstream.put(publish(1)),
        ({ upstream }) => {
          upstream.remove("pool");
          upstream.put(publish(2));
        },
      )(stage);
    },
  },
  {
    id: "moved-away",
    upstream: "packages are 302 to another path of the same host, with a signed query that changes each time",
    clients: "dnf, apt",
    promised: "they are served as they are directly",
    play: async (stage) => {
      const id = "moved-away";
      const publish = ({ upstream }: Stage, n: number): void => {
        upstream.origin.clearFaults();
        const entry = rpm(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, href: `Packages/${id}-tool-${n}.0-1.noarch.rpm` });
        upstream.put({ ...rpmMd({ revision: dateOf(n), entries: [entry] }), [`blobs/${n}`]: entry.bytes });
        upstream.origin.fault(/\.rpm$/, { kind: "redirect", to: `/blobs/${n}?X-Signature=${n}abc` });
      };
      const follow = (client: Client): Client => client;
      stage.upstream.origin.absentStatus = 403;
      publish(stage, 1);
      // The model client follows no redirect: directly it is asked at the redirect's end.
      const first = await download(`${stage.upstream.url}/blobs/1`);
      const got = await download(`${stage.url()}/Packages/${id}-tool-1.0-1.noarch.rpm`);
      if (got.sha256 !== first.sha256 || got.status !== 200) throw new Refusal(`the package is answered by ${got.status}`);
      await follow(dnf())(stage.url());
    },
  },
  {
    id: "roots-disappear",
    upstream: "a repository that answers 403 for everything for a while (a bucket's policy), then as before",
    clients: "dnf",
    promised: "the held generation is served meanwhile, and the next one after that",
    play: async (stage) => {
      const id = "roots-disappear";
      const publish = ({ upstream }: Stage, n: number): void => {
        const entry = rpm(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, href: `Packages/${id}-tool-${n}.0-1.noarch.rpm` });
        upstream.put(rpmMd({ revision: dateOf(n), entries: [entry] }));
      };
      publish(stage, 1);
      const first = await stage.direct(dnf());
      await stage.same(dnf(), first, "generation 1");
      const fault = stage.upstream.origin.fault(/./, { kind: "status", status: 403 });
      await stage.same(dnf(), first, "while all is forbidden");
      fault.clear();
      publish(stage, 2);
      await stage.soon(dnf(), await stage.direct(dnf()), "generation 2", first);
    },
  },
];
