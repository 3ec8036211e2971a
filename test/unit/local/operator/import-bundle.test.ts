import { createHash } from "node:crypto";
import { packTar } from "modern-tar";
import { describe, expect, it } from "vitest";
import { importBundle } from "../../../../src/local/operator/import-bundle.ts";

interface Entry {
  readonly name: string;
  readonly body: string;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

function described(name: string, body: string): Record<string, unknown> {
  return { name, mirror: "debian", key: name, size: body.length, sha256: sha256(body), contentType: "text/plain" };
}

function manifestOf(files: readonly object[], rest: object = {}): string {
  return JSON.stringify({ format: "lazy-mirror bundle", version: 1, files, generations: [], ...rest });
}

/** Comes in pieces, as from a disk or a pipe. */
async function* bundle(manifest: string, ...entries: readonly Entry[]): AsyncGenerator<Uint8Array> {
  const bytes = await packTar(
    [{ name: "manifest.json", body: manifest }, ...entries].map(({ name, body }) => ({ header: { name, size: body.length }, body })),
  );
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

/** Imports into a server that takes everything: what it got whole by key, how many bytes were sent of each, and what the report says. */
async function take(archive: AsyncIterable<Uint8Array>) {
  const stored: Record<string, string> = {};
  const sent: Record<string, number> = {};
  const done: Record<string, string | null> = {};
  const transfer = {
    describe: async () => null,
    async give({ key = "" }: Readonly<Record<string, string>>, { body }: { readonly body: AsyncIterable<Uint8Array> }): Promise<null> {
      let text = "";
      for await (const chunk of body) {
        text += new TextDecoder().decode(chunk);
        sent[key] = text.length;
      }
      stored[key] = text;
      return null;
    },
  };
  await importBundle(archive, { verb: async () => ({}) }, transfer, {
    onManifest: () => {},
    onBytes: () => {},
    onDone: (name, reason) => void (done[name] = reason),
  });
  return { stored, sent, done };
}

describe("a bundle", () => {
  it("brings its files, also an empty one", async () => {
    const files = [described("debian/a", "one"), described("debian/empty", "")];
    const { stored, done } = await take(bundle(manifestOf(files), { name: "debian/a", body: "one" }, { name: "debian/empty", body: "" }));
    expect(stored).toEqual({ "debian/a": "one", "debian/empty": "" });
    expect(done).toEqual({ "debian/a": null, "debian/empty": null });
  });

  it("brings nothing that its manifest does not name", async () => {
    const { stored, done } = await take(bundle(manifestOf([]), { name: "../../etc/passwd", body: "root" }));
    expect(stored).toEqual({});
    expect(done).toEqual({ "../../etc/passwd": "the manifest does not name it" });
  });

  it("is reported where it lacks a file", async () => {
    const { done } = await take(bundle(manifestOf([described("debian/a", "one")])));
    expect(done).toEqual({ "debian/a": "the archive lacks it" });
  });

  it.each([
    ["has other bytes", described("debian/a", "two")],
    ["is shorter than the manifest says", { ...described("debian/a", "one"), size: 4 }],
    ["is longer than the manifest says", { ...described("debian/a", "one"), size: 2 }],
  ])("has no file stored that %s", async (_what, file) => {
    const { stored, done } = await take(bundle(manifestOf([file]), { name: "debian/a", body: "one" }));
    expect(stored).toEqual({});
    expect(done).toEqual({ "debian/a": "its bytes are not those that the manifest names" });
  });

  it("sends no byte beyond the size that the manifest names: the server would read it as another request", async () => {
    const body = "x".repeat(1_000_000);
    const { sent } = await take(bundle(manifestOf([{ ...described("debian/a", body), size: 10 }]), { name: "debian/a", body }));
    expect(sent["debian/a"] ?? 0).toBeLessThanOrEqual(10);
  });
});

describe("what is no bundle is refused with the reason", () => {
  it.each([
    ["text", "no archive\n".repeat(200)],
    ["nothing", ""],
  ])("%s", async (_what, text) => {
    const archive = (async function* () {
      if (text !== "") yield new TextEncoder().encode(text);
    })();
    await expect(take(archive)).rejects.toThrow(/^it cannot be read as a tar archive: /);
  });

  it("an archive of no file", async () => {
    const archive = (async function* () {
      yield await packTar([]);
    })();
    await expect(take(archive)).rejects.toThrow(/^it is no bundle: it has no manifest\.json$/);
  });

  it("an archive of other files", async () => {
    const archive = (async function* () {
      yield await packTar([{ header: { name: "etc/hosts", size: 1 }, body: "x" }]);
    })();
    await expect(take(archive)).rejects.toThrow(/^it is no bundle: its first file is etc\/hosts and not manifest\.json$/);
  });

  it.each([
    ["is no JSON", "{", /^its manifest\.json is of no bundle of version 1: /],
    ["is of another version", manifestOf([], { version: 2 }), /^its manifest\.json is of no bundle of version 1: .*2/],
    ["has a negative size", manifestOf([{ ...described("debian/a", "one"), size: -1 }]), /of no bundle of version 1: .*-1/],
    ["has no digest", manifestOf([{ ...described("debian/a", "one"), sha256: "abc" }]), /of no bundle of version 1: .*abc/],
    ["names a file twice", manifestOf([described("debian/a", "one"), described("debian/a", "two")]), /names debian\/a twice$/],
  ])("a manifest that %s", async (_what, manifest, wanted) => {
    await expect(take(bundle(manifest))).rejects.toThrow(wanted);
  });
});
