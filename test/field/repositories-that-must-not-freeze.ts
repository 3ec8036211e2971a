import { download } from "../support/download.ts";
import { makeNoise, sha256 } from "../support/fixture.ts";
import { deb, type DebEntry, debSuite, type Files, packagesText, type SuiteOptions } from "../support/miniature/deb-archive.ts";
import { pack } from "../support/miniature/compress.ts";
import { signAnew, signDetached } from "../support/miniature/openpgp.ts";
import { rpm, rpmMd, type RpmMdOptions } from "../support/miniature/rpm-md.ts";
import { pacmanDatabase, pacmanPackage } from "../support/miniature/pacman-database.ts";
import { apt, dnf, getOptional, pacman, plainFiles, Refusal } from "./model-clients.ts";
import { dnfDownload, aptDownload, zypperDownload } from "./real-clients.ts";
import { dateOf, generations, generationsAndCold, type Shape, type Stage } from "./shape.ts";

const SUITE = "dists/stable";
const INDEX = "main/binary-amd64/Packages";

/** Generation `n` of an rpm repository with one package of its own. */
function rpmGeneration(id: string, n: number, options: Partial<RpmMdOptions> = {}): Files {
  const entry = rpm(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, href: `Packages/${id}-tool-${n}.0-1.noarch.rpm` });
  return rpmMd({ revision: dateOf(n), entries: [entry], ...options });
}

function debsOf(id: string, n: number): DebEntry[] {
  return [deb(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, filename: `pool/main/${id}-tool_${n}.0_amd64.deb` })];
}

/** Generation `n` of a deb archive with one package of its own. */
function debGeneration(id: string, n: number, options: Partial<SuiteOptions> = {}): Files {
  return debSuite({ folder: SUITE, date: dateOf(n), entries: debsOf(id, n), ...options });
}

const twice = (publish: (stage: Stage, n: number) => void): [typeof publish, typeof publish] => [publish, publish];
const absentIs = (status: number) => (stage: Stage) => void (stage.upstream.origin.absentStatus = status);

/** An rpm repository whose repomd.xml names `type`, which is not there in any generation. */
function rpmHole(id: string, type: string, status: number, client = dnf({ types: ["filelists"] })): Shape["play"] {
  return async (stage) => {
    absentIs(status)(stage);
    const publish = (at: Stage, n: number): void => {
      const bytes = makeNoise(`${id} ${type} ${n}`, 900);
      at.upstream.put(rpmGeneration(id, n, { more: { [type]: { bytes, name: `${type}.gz`, isThere: false } } }));
    };
    await generationsAndCold(client, publish, publish, publish)(stage);
  };
}

export const FREEZE: readonly Shape[] = [
  {
    id: "productid-absent",
    upstream: "repomd.xml names productid, which is 404 in every generation",
    clients: "dnf",
    promised: "each generation is adopted; the file is a hole",
    mirrors: ["cold"],
    play: rpmHole("productid-absent", "productid", 404),
  },
  {
    id: "other-forbidden",
    upstream: "repomd.xml names other.xml.gz, which is 403 in every generation",
    clients: "dnf",
    promised: "each generation is adopted; the file is a hole",
    mirrors: ["cold"],
    play: rpmHole("other-forbidden", "other", 403),
  },
  {
    id: "updateinfo-unauthorized",
    upstream: "repomd.xml names updateinfo, which is 401 in every generation",
    clients: "dnf",
    promised: "each generation is adopted; the file is a hole",
    mirrors: ["cold"],
    play: rpmHole("updateinfo-unauthorized", "updateinfo", 401),
  },
  {
    id: "group-absent-real-dnf",
    upstream: "repomd.xml names productid, which is 403 and always was",
    clients: "dnf 4, run as it is",
    promised: "dnf installs from the second generation too",
    mirrors: ["cold"],
    tools: ["dnf"],
    play: rpmHole("group-absent-real-dnf", "productid", 403, dnfDownload("group-absent-real-dnf-tool")),
  },
  {
    id: "updateinfo-other-bytes",
    upstream: "repomd.xml names updateinfo, and other bytes lie under that name in every generation",
    clients: "dnf",
    promised: "each generation is adopted; the wrong bytes are never given out",
    mirrors: ["cold"],
    play: async (stage) => {
      const id = "updateinfo-other-bytes";
      const publish = ({ upstream }: Stage, n: number): void => {
        const bytes = makeNoise(`${id} named ${n}`, 900);
        const served = makeNoise(`${id} there ${n}`, 900);
        upstream.put(rpmGeneration(id, n, { more: { updateinfo: { bytes, name: "updateinfo.xml.gz", served } } }));
      };
      await generationsAndCold(dnf({ types: ["filelists"] }), ...twice(publish))(stage);
    },
  },
  {
    id: "plain-packages-absent",
    upstream: "Release names Packages, .gz and .xz; only the packed ones are there, and a client asked for the plain one",
    clients: "apt",
    promised: "the plain one is 404, and the next generations are adopted",
    mirrors: ["cold"],
    play: async (stage) => {
      const publish = ({ upstream }: Stage, n: number): void => upstream.put(debGeneration("plain-packages-absent", n));
      const plain = `${SUITE}/${INDEX}`;
      publish(stage, 1);
      for (const path of [plain, plain]) {
        const direct = await stage.direct(plainFiles(path));
        await stage.same(plainFiles(path), direct, "the absent plain index");
      }
      await stage.same(apt(), await stage.direct(apt()), "generation 1");
      publish(stage, 2);
      await stage.soon(apt(), await stage.direct(apt()), "generation 2");
      await stage.same(plainFiles(plain), await stage.direct(plainFiles(plain)), "the absent plain index, later");
      publish(stage, 3);
      await stage.soon(apt(), await stage.direct(apt()), "generation 3");
      await stage.same(apt(), await stage.direct(apt()), "generation 3, cold", stage.url("cold"));
    },
  },
  {
    id: "plain-by-hash-absent",
    upstream:
      "Release has Acquire-By-Hash and names Packages, .gz and .xz; the plain one is absent by hash and by name, and a client asked for both",
    clients: "apt",
    promised: "the next generation is adopted",
    play: async (stage) => {
      const id = "plain-by-hash-absent";
      const publish = (n: number): void => stage.upstream.put(debGeneration(id, n, { isByHash: true }));
      const client = apt({ isByHash: true });
      publish(1);
      await stage.same(client, await stage.direct(client), "generation 1");
      await download(`${stage.url()}/${SUITE}/${INDEX}`);
      const text = Buffer.from(packagesText(debsOf(id, 1)));
      await download(`${stage.url()}/${SUITE}/main/binary-amd64/by-hash/SHA256/${sha256(text)}`);
      publish(2);
      await stage.soon(client, await stage.direct(client), "generation 2");
      await stage.same(client, await stage.direct(client), "generation 2, warm");
    },
  },
  {
    id: "used-translation-vanishes",
    upstream: "Release names Translation-en and Contents, which clients got; from the second generation on they are named and absent",
    clients: "apt, apt-file",
    promised: "the next generation is adopted without them",
    play: async (stage) => {
      const id = "used-translation-vanishes";
      const extra = ["main/i18n/Translation-en.gz", "main/Contents-amd64.gz"];
      const client = apt({ extra });
      const more = (n: number): Files => Object.fromEntries(extra.map((path) => [path, pack(".gz", Buffer.from(`${id} ${path} ${n}`))]));
      await generations(
        client,
        ({ upstream }) => upstream.put(debGeneration(id, 1, { more: more(1) })),
        ({ upstream }) => {
          upstream.remove(...extra.map((path) => `${SUITE}/${path}`));
          upstream.put(debGeneration(id, 2, { holes: more(2) }));
        },
        ({ upstream }) => upstream.put(debGeneration(id, 3, { holes: more(3) })),
      )(stage);
    },
  },
  {
    id: "line-without-colon",
    upstream: "the second generation's Release has a line that has no colon",
    clients: "apt, run as it is",
    promised: "it is adopted, as it is by a cold mirror",
    tools: ["apt-get"],
    mirrors: ["cold"],
    play: async (stage) => {
      const id = "line-without-colon";
      const bend = (text: string): string => text.replace("Codename:", "a line that says nothing\nCodename:");
      await generationsAndCold(
        aptDownload(`${SUITE.replace("dists/", "")} main`, `${id}-tool`),
        ({ upstream }) => upstream.put(debGeneration(id, 1)),
        ({ upstream }) => upstream.put(debGeneration(id, 2, { bend })),
        ({ upstream }) => upstream.put(debGeneration(id, 3, { bend })),
      )(stage);
    },
  },
  {
    id: "fields-in-lower-case",
    upstream: "the second generation's Release writes its field names in lower case and continues its lists by tabs",
    clients: "apt, run as it is",
    promised: "it is adopted",
    tools: ["apt-get"],
    play: async (stage) => {
      const id = "fields-in-lower-case";
      const bend = (text: string): string =>
        text.replaceAll(/^[A-Z][\w-]*:/gm, (name) => name.toLowerCase()).replaceAll(/^ (?=[0-9a-f]{64})/gm, "\t");
      await generations(
        aptDownload("stable main", `${id}-tool`),
        ({ upstream }) => upstream.put(debGeneration(id, 1)),
        ({ upstream }) => upstream.put(debGeneration(id, 2, { bend })),
      )(stage);
    },
  },
  {
    id: "odd-repomd",
    upstream: "the second generation's repomd.xml has unknown elements, a timestamp with a fraction, and a record without size",
    clients: "dnf, run as it is",
    promised: "it is adopted",
    tools: ["dnf"],
    play: async (stage) => {
      const id = "odd-repomd";
      const bend = (text: string): string =>
        text
          .replace("<revision>", '<vendor:note xmlns:vendor="http://x">hello</vendor:note><revision>')
          .replaceAll(/<timestamp>(\d+)<\/timestamp>/g, "<timestamp>$1.25</timestamp>")
          .replace(/<size>\d+<\/size>/, "");
      await generations(
        dnfDownload(`${id}-tool`),
        ({ upstream }) => upstream.put(rpmGeneration(id, 1)),
        ({ upstream }) => upstream.put(rpmGeneration(id, 2, { bend })),
      )(stage);
    },
  },
  ...[403, 401].map((status): Shape => ({
    id: `signature-absent-${status}`,
    upstream: `everything absent is answered by ${status}: there is no repomd.xml.asc and no .key`,
    clients: "zypper, dnf",
    promised: "repomd.xml is served; the signature is absent",
    mirrors: ["cold"],
    play: async (stage) => {
      absentIs(status)(stage);
      const client = dnf({ checksSignature: true, wantsKey: true });
      await generationsAndCold(client, ...twice(({ upstream }, n) => upstream.put(rpmGeneration(`signature-absent-${status}`, n))))(stage);
    },
  })),
  {
    id: "signature-without-key",
    upstream: "everything absent is answered by 403: repomd.xml.asc is there and repomd.xml.key is not",
    clients: "zypper, dnf",
    promised: "repomd.xml and its signature are served, the key is absent",
    play: async (stage) => {
      absentIs(403)(stage);
      await generations(
        dnf({ checksSignature: true, wantsKey: true }),
        ...twice(({ upstream }, n) => upstream.put(rpmGeneration("signature-without-key", n, { isSigned: true }))),
      )(stage);
    },
  },
  {
    id: "signature-forbidden-real-zypper",
    upstream: "everything absent is answered by 403, repomd.xml.asc, .key and media.1/media too",
    clients: "zypper, run as it is",
    promised: "zypper installs as it does directly",
    tools: ["zypper"],
    play: async (stage) => {
      absentIs(403)(stage);
      const id = "signature-forbidden-real-zypper";
      await generations(zypperDownload(`${id}-tool`), ({ upstream }, n) => upstream.put(rpmGeneration(id, n)))(stage);
    },
  },
  {
    id: "by-hash-forbidden",
    upstream: "Release has Acquire-By-Hash, but everything below by-hash/ is 403; the plain names are there",
    clients: "debootstrap, reprepro",
    promised: "each generation is adopted by the plain names",
    mirrors: ["cold"],
    play: async (stage) => {
      stage.upstream.origin.fault(/\/by-hash\//, { kind: "status", status: 403 });
      await generationsAndCold(
        apt(),
        ...twice(({ upstream }, n) => upstream.put(debGeneration("by-hash-forbidden", n, { isByHash: true }))),
      )(stage);
    },
  },
  {
    id: "inrelease-only",
    upstream: "InRelease only; Release and Release.gpg are 403",
    clients: "apt",
    promised: "each generation is adopted",
    mirrors: ["cold"],
    play: async (stage) => {
      absentIs(403)(stage);
      const client = apt();
      await generationsAndCold(
        client,
        ...twice(({ upstream }, n) => upstream.put(debGeneration("inrelease-only", n, { roots: ["InRelease"] }))),
      )(stage);
    },
  },
  ...([403, 404] as const).map((status): Shape => ({
    id: `release-and-signature-${status}`,
    upstream: `Release and Release.gpg; InRelease is ${status}`,
    clients: "apt",
    promised: "each generation is adopted",
    mirrors: ["cold"],
    play: async (stage) => {
      absentIs(status)(stage);
      await generationsAndCold(
        apt(),
        ...twice(({ upstream }, n) =>
          upstream.put(debGeneration(`release-and-signature-${status}`, n, { roots: ["Release", "Release.gpg"] })),
        ),
      )(stage);
    },
  })),
  {
    id: "unsigned-release",
    upstream: "Release only; InRelease and Release.gpg are 403",
    clients: "apt with [trusted=yes]",
    promised: "each generation is adopted",
    play: async (stage) => {
      absentIs(403)(stage);
      await generations(
        apt({ isTrusted: true }),
        ...twice(({ upstream }, n) => upstream.put(debGeneration("unsigned-release", n, { roots: ["Release"] }))),
      )(stage);
    },
  },
  {
    id: "flat-without-release",
    upstream: "Packages.gz and packages in one folder, and no Release at all",
    clients: "apt with [trusted=yes], run as it is",
    promised: "apt installs from each generation",
    tools: ["apt-get"],
    play: async (stage) => {
      const id = "flat-without-release";
      await generations(
        aptDownload("./", `${id}-tool`),
        ...twice(({ upstream }, n) => {
          const entry = deb(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, filename: `./${id}-tool_${n}.0_amd64.deb` });
          upstream.put({
            "Packages.gz": pack(".gz", Buffer.from(packagesText([entry]))),
            [entry.filename.slice(2)]: entry.bytes,
          });
        }),
      )(stage);
    },
  },
  {
    id: "repodata-without-repomd",
    upstream: "files in repodata/ and no repomd.xml",
    clients: "curl",
    promised: "they are asked of the upstream like any other file, and what is absent is 404",
    play: async (stage) => {
      const paths = ["repodata/primary.xml.gz", "repodata/comps.xml", "repodata/nothing.xml"];
      stage.upstream.put({
        "repodata/primary.xml.gz": pack(".gz", Buffer.from("<metadata>repodata-without-repomd</metadata>")),
        "repodata/comps.xml": Buffer.from("<comps>repodata-without-repomd</comps>\n"),
      });
      const client = plainFiles(...paths);
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
    },
  },
  {
    id: "members-not-named",
    upstream: "a good InRelease and a good repomd.xml beside files of metadata that they do not name",
    clients: "curl, apt-file",
    promised: "they are asked of the upstream like any other file",
    play: async (stage) => {
      const id = "members-not-named";
      const paths = [
        `${SUITE}/Contents-amd64.gz`,
        `${SUITE}/main/binary-all/Packages.gz`,
        "os/repodata/TRANS.TBL",
        "os/repodata/comps-extra.xml.gz",
      ];
      stage.upstream.put({
        ...debGeneration(id, 1),
        ...rpmGeneration(id, 1, { folder: "os" }),
        ...Object.fromEntries(paths.map((path) => [path, pack(".gz", Buffer.from(`${id} ${path}`))])),
      });
      await stage.same(apt(), await stage.direct(apt()), "the archive");
      const rpms = dnf({ folder: "os" });
      await stage.same(rpms, await stage.direct(rpms), "the repository");
      const client = plainFiles(...paths, `${SUITE}/main/binary-armhf/Packages.gz`);
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
    },
  },
  {
    id: "far-future-second",
    upstream: "two upstreams; the first is down once, and the second's repomd.xml has the revision 9999999999",
    clients: "dnf",
    promised: "the first one's generation is back as soon as it answers",
    upstreams: 2,
    play: async (stage) => {
      const id = "far-future-second";
      const { upstream, second } = stage;
      upstream.put(rpmGeneration(id, 1));
      second.put(rpmGeneration(`${id}-other`, 1, { revision: 9_999_999_999 }));
      await upstream.origin.close();
      try {
        await stage.same(dnf(), await stage.direct(dnf(), second.url), "from the second upstream");
      } finally {
        await upstream.origin.restart();
      }
      await stage.soon(dnf(), await stage.direct(dnf()), "the first upstream is back");
      upstream.put(rpmGeneration(id, 2));
      await stage.soon(dnf(), await stage.direct(dnf()), "generation 2 of the first");
    },
  },
  {
    id: "far-future-deb",
    upstream: "one upstream, whose Release was once dated in 2099 by a wrong clock",
    clients: "apt",
    promised: "the next generation is adopted, dated as it is",
    play: async (stage) => {
      const id = "far-future-deb";
      await generations(
        apt(),
        ({ upstream }) => upstream.put(debGeneration(id, 1, { date: Date.UTC(2099, 0, 1) / 1000 })),
        ({ upstream }) => upstream.put(debGeneration(id, 2)),
        ({ upstream }) => upstream.put(debGeneration(id, 3)),
      )(stage);
    },
  },
  {
    id: "first-lacks-files",
    upstream: "two upstreams; the first lacks InRelease, a key and .treeinfo (404), and the second has them",
    clients: "apt, dnf, anaconda",
    promised: "the second is asked",
    upstreams: 2,
    play: async (stage) => {
      const id = "first-lacks-files";
      const files = {
        ...debGeneration(id, 1),
        "RPM-GPG-KEY-x": makeNoise(`${id} key`, 700),
        "os/.treeinfo": Buffer.from(`[general]\n# ${id}\n`),
      };
      stage.second.put(files);
      const client = plainFiles(`${SUITE}/InRelease`, "RPM-GPG-KEY-x", "os/.treeinfo");
      const direct = await stage.direct(client, stage.second.url);
      await stage.same(client, direct, "cold");
      await stage.same(client, direct, "warm");
      await stage.same(apt(), await stage.direct(apt(), stage.second.url), "the archive");
    },
  },
  {
    id: "first-loses-files",
    upstream: "two upstreams; the first loses repomd.xml and a key that it had, and the second keeps them",
    clients: "dnf",
    promised: "nothing is taken for absent, and no stored copy is deleted",
    upstreams: 2,
    play: async (stage) => {
      const id = "first-loses-files";
      const files = { ...rpmGeneration(id, 1), "keys/RPM-GPG-KEY-x": makeNoise(`${id} key`, 700) };
      stage.upstream.put(files);
      stage.second.put(files);
      const client = plainFiles("keys/RPM-GPG-KEY-x", "repodata/repomd.xml");
      const direct = await stage.direct(client);
      await stage.same(client, direct, "cold");
      stage.upstream.remove("keys", "repodata");
      for (const what of ["the first lost them", "again"]) {
        await stage.same(client, await stage.direct(client, stage.second.url), what);
      }
      await stage.same(dnf(), await stage.direct(dnf(), stage.second.url), "the repository");
    },
  },
  {
    id: "second-behind-cannot-confirm",
    upstream: "two upstreams, the second a generation behind: the first shows a newer root whose primary is absent",
    clients: "dnf",
    promised: "the held generation is served as stale, with a reason, and the new one as soon as it is whole",
    upstreams: 2,
    play: async (stage) => {
      const id = "second-behind-cannot-confirm";
      const { upstream, second } = stage;
      upstream.put(rpmGeneration(id, 1));
      second.put(rpmGeneration(id, 1));
      const first = await stage.direct(dnf());
      await stage.same(dnf(), first, "generation 1");
      const next = rpmGeneration(id, 2);
      const whole = Object.entries(next);
      upstream.put(Object.fromEntries(whole.filter(([path]) => !path.includes("primary"))));
      for (let time = 1; time <= 3; time++) {
        await stage.same(dnf(), first, `the held generation, time ${time}`);
        const { headers } = await download(`${stage.url()}/repodata/repomd.xml`);
        const status = String(headers["cache-status"]);
        // RFC 9211: a hit says what is left of its freshness; what is stale must not look confirmed.
        if (/; hit(?!.*(ttl=-|detail))/.test(status) || /fwd=stale; fwd-status=304(?!.*detail)/.test(status)) {
          throw new Refusal(`repomd.xml is "${status}", as if an upstream had confirmed it`);
        }
      }
      if (!JSON.stringify(await stage.status()).includes(id)) throw new Refusal("/-/status.json says nothing of it");
      upstream.put(next);
      await stage.soon(dnf(), await stage.direct(dnf()), "the new generation is whole");
    },
  },
  {
    id: "signed-anew",
    upstream: "repomd.xml.asc, Release.gpg and core.db.sig are made anew (key rotation), and what they sign stays",
    clients: "dnf, zypper, apt, pacman",
    promised: "the new signature is served within METADATA_TTL",
    play: async (stage) => {
      const id = "signed-anew";
      const signatures = ["os/repodata/repomd.xml", `${SUITE}/Release`, "core/core.db"] as const;
      const ends = [".asc", ".gpg", ".sig"];
      const files: Record<string, Buffer> = {
        ...rpmGeneration(id, 1, { folder: "os", isSigned: true }),
        ...debGeneration(id, 1, { roots: ["Release", "Release.gpg"] }),
        ...(await pacmanDatabase("core", "core", [pacmanPackage(`${id}-p`, `${id} p`)])),
      };
      files["core/core.db.sig"] = signDetached(files["core/core.db"] ?? Buffer.alloc(0));
      stage.upstream.put(files);
      const client = plainFiles(...signatures.flatMap((path, at) => [path, path + ends[at]]));
      const before = await stage.direct(client);
      await stage.same(client, before, "as first signed");
      stage.upstream.put(
        Object.fromEntries(signatures.map((path, at) => [path + ends[at], signAnew(files[path] ?? Buffer.alloc(0), dateOf(7))])),
      );
      await stage.soon(client, await stage.direct(client), "signed anew");
    },
  },
  {
    id: "release-gpg-late",
    upstream: "Release is uploaded some seconds before Release.gpg, and a client asks in between",
    clients: "apt",
    promised: "Release.gpg is served as soon as it is there",
    play: async (stage) => {
      const id = "release-gpg-late";
      const all = debGeneration(id, 1, { roots: ["Release", "Release.gpg"] });
      const { [`${SUITE}/Release.gpg`]: signature = Buffer.alloc(0), ...early } = all;
      stage.upstream.put(early);
      const trusting = apt({ isTrusted: true });
      await stage.same(trusting, await stage.direct(trusting), "without a signature");
      if ((await getOptional(`${stage.url()}/${SUITE}/Release.gpg`)) !== null) throw new Refusal("Release.gpg is there too early");
      stage.upstream.put({ [`${SUITE}/Release.gpg`]: signature });
      await stage.soon(apt(), await stage.direct(apt()), "Release.gpg is there");
    },
  },
  {
    id: "database-signature-403",
    upstream: "a pacman database whose .sig is 403 in every generation",
    clients: "pacman",
    promised: "each database is adopted; the signature is absent",
    play: async (stage) => {
      const id = "database-signature-403";
      absentIs(403)(stage);
      await generations(
        pacman({ folder: "core", database: "core", checksSignature: true }),
        ...([1, 2] as const).map((n) => async ({ upstream }: Stage) => {
          upstream.put(await pacmanDatabase("core", "core", [pacmanPackage(`${id}-p`, `${id} ${n}`, { version: `${n}-1` })]));
        }),
      )(stage);
    },
  },
  {
    id: "root-turns-unparseable",
    upstream: "a text that is no Release lies under InRelease, signature and all, and changes",
    clients: "curl",
    promised: "it is passed on as it is, each version within METADATA_TTL",
    play: async (stage) => {
      const client = plainFiles("odd/InRelease", "odd/Release.gpg");
      await generations(
        client,
        ...twice(({ upstream }, n) =>
          upstream.put({
            "odd/InRelease": Buffer.from(`just a note ${n}\n`),
            "odd/Release.gpg": Buffer.from(`note of a signature ${n}\n`),
          }),
        ),
      )(stage);
    },
  },
];
