import { download } from "../support/download.ts";
import { makeNoise, sha256 } from "../support/fixture.ts";
import { pack, unpack } from "../support/miniature/compress.ts";
import { deb, packagesText } from "../support/miniature/deb-archive.ts";
import { isSignatureOf, signDetached } from "../support/miniature/openpgp.ts";
import { signedPair } from "./model-clients.ts";
import type { Shape } from "./shape.ts";

interface Pair {
  readonly id: string;
  readonly upstream: string;
  readonly clients: string;
  readonly first: string;
  readonly second: string;
  /** Bytes of both in generation `n`. */
  readonly make: (n: number) => readonly [Buffer, Buffer];
  readonly isPair: (first: Buffer, second: Buffer) => boolean;
}

/**
 * One of the two was asked for before the second generation, the other one after it: their lifetimes must not run apart. In both orders, each with a mirror
 * of its own; and then both as clients ask for them.
 */
function shape({ id, upstream, clients, first, second, make, isPair }: Pair): Shape {
  return {
    id,
    upstream,
    clients,
    promised: "both are of one generation, whichever was asked for first",
    mirrors: ["first", "second", "both"],
    play: async (stage) => {
      const put = (n: number): void => {
        const [one, two] = make(n);
        stage.upstream.put({ [first]: one, [second]: two });
      };
      put(1);
      const client = signedPair(first, second, isPair);
      const reverse = signedPair(second, first, (one, two) => isPair(two, one));
      const before = await stage.direct(client);
      await stage.same(client, before, "generation 1");
      await stage.same(reverse, await stage.direct(reverse), "generation 1, signature first");
      await download(`${stage.url("first")}/${first}`);
      await download(`${stage.url("second")}/${second}`);
      put(2);
      const after = await stage.direct(client);
      for (const name of ["first", "second", "both"]) {
        // Old or new: what counts is that they fit.
        for (const [way, one] of [
          ["file first", client],
          ["signature first", reverse],
        ] as const) {
          try {
            await one(stage.url(name));
          } catch (error) {
            throw new Error(`${way}, at a mirror that had asked for ${name}: ${String(error)}`, { cause: error });
          }
        }
      }
      await stage.same(client, after, "generation 2, cold", stage.url("both"));
    },
  };
}

/** As ostree's summary.sig: a binary file that says of which summary it is. */
const signatureOf = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from("ostree.gpgsigs"), Buffer.from(sha256(bytes), "hex")]);

function packagesOf(id: string, n: number): Buffer {
  return Buffer.from(packagesText([deb(`${id}-tool`, `${id} ${n}`, { version: `${n}.0`, filename: `${id}-tool_${n}.0_all.ipk` })]));
}

export const PAIRS: readonly Shape[] = [
  shape({
    id: "ostree-summary",
    upstream: "an ostree repository: summary and summary.sig, replaced together",
    clients: "ostree, flatpak",
    first: "repo/summary",
    second: "repo/summary.sig",
    make: (n) => {
      const summary = makeNoise(`ostree-summary ${n}`, 4000);
      return [summary, signatureOf(summary)];
    },
    isPair: (one, two) => signatureOf(one).equals(two),
  }),
  shape({
    id: "opkg-packages-sig",
    upstream: "an opkg feed without a Release: Packages.gz and Packages.sig, which signs the open form",
    clients: "opkg",
    first: "packages/Packages.gz",
    second: "packages/Packages.sig",
    make: (n) => {
      const text = packagesOf("opkg-packages-sig", n);
      return [pack(".gz", text), signDetached(text)];
    },
    isPair: (one, two) => isSignatureOf(unpack(".gz", one), two),
  }),
  shape({
    id: "opkg-packages-forms",
    upstream: "an opkg feed without a Release: Packages and Packages.gz, two forms of one text",
    clients: "opkg, apt",
    first: "feed/Packages",
    second: "feed/Packages.gz",
    make: (n) => {
      const text = packagesOf("opkg-packages-forms", n);
      return [text, pack(".gz", text)];
    },
    // A client reads one form; what counts is that each is there, and whole.
    isPair: (_one, two) => unpack(".gz", two).length > 0,
  }),
  shape({
    id: "sha256sums",
    upstream: "SHA256SUMS and SHA256SUMS.gpg beside images",
    clients: "curl, simplestreams, packer",
    first: "noble/current/SHA256SUMS",
    second: "noble/current/SHA256SUMS.gpg",
    make: (n) => {
      const sums = Buffer.from(`${sha256(makeNoise(`sha256sums ${n}`, 100))} *noble-server-cloudimg-amd64.img\n`);
      return [sums, signDetached(sums)];
    },
    isPair: isSignatureOf,
  }),
  shape({
    id: "checksum-and-asc",
    upstream: "CHECKSUM and CHECKSUM.asc of a release's images",
    clients: "curl, virt-builder",
    first: "releases/44/CHECKSUM",
    second: "releases/44/CHECKSUM.asc",
    make: (n) => {
      const sums = Buffer.from(`SHA256 (x.iso) = ${sha256(makeNoise(`checksum-and-asc ${n}`, 100))}\n`);
      return [sums, signDetached(sums)];
    },
    isPair: isSignatureOf,
  }),
  shape({
    id: "unparseable-root",
    upstream: "a repomd.xml that is no XML, and its .asc",
    clients: "curl",
    first: "odd/repodata/repomd.xml",
    second: "odd/repodata/repomd.xml.asc",
    make: (n) => {
      const text = Buffer.from(`this repository moved to https://example.com/${n}\n`);
      return [text, signDetached(text)];
    },
    isPair: isSignatureOf,
  }),
  shape({
    id: "unparseable-release",
    upstream: "a Release that names nothing, and its Release.gpg",
    clients: "curl, apt",
    first: "odd/dists/x/Release",
    second: "odd/dists/x/Release.gpg",
    make: (n) => {
      const text = Buffer.from(`just a note ${n}\n`);
      return [text, signDetached(text)];
    },
    isPair: isSignatureOf,
  }),
];
