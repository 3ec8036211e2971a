import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { matchClearsigned, matchSignature } from "../../../../src/metadata/formats/match-signature.ts";

const LISTS = "/var/lib/apt/lists";
const signedLists = existsSync(LISTS) ? readdirSync(LISTS).filter((name) => name.endsWith("_InRelease")) : [];

const home = mkdtempSync(join(tmpdir(), "lm-gpg-"));
const gpg = (...args: string[]): void => {
  execFileSync("gpg", ["--homedir", home, "--batch", "--quiet", "--yes", "--passphrase", "", ...args], { stdio: "ignore" });
};
const hasGpg = ((): boolean => {
  try {
    gpg("--quick-gen-key", "test@example.com", "ed25519", "sign");
    return true;
  } catch {
    return false;
  }
})();
afterAll(() => {
  try {
    execFileSync("gpgconf", ["--homedir", home, "--kill", "all"], { stdio: "ignore" });
  } catch {
    // No gpg, no agent.
  }
  rmSync(home, { recursive: true, force: true });
});

test.skipIf(!hasGpg)("a signature matches the bytes it was made over and no others, armored or bare, binary or text", async () => {
  const file = join(home, "document");
  writeFileSync(file, "<repomd>one</repomd>\nsecond line \n");
  const document = readFileSync(file);
  for (const mode of [["--armor", "--detach-sign"], ["--detach-sign"], ["--armor", "--textmode", "--detach-sign"]]) {
    gpg(...mode, "--output", `${file}.sig`, file);
    const signature = readFileSync(`${file}.sig`);
    expect(await matchSignature(document, signature)).toBe("matches");
    expect(await matchSignature(Buffer.concat([document, Buffer.from("x")]), signature)).toBe("differs");
  }
  gpg("--clearsign", "--output", `${file}.asc`, file);
  const clear = readFileSync(`${file}.asc`, "utf8");
  expect(await matchClearsigned(clear)).toBe("matches");
  expect(await matchClearsigned(clear.replace("one", "two"))).toBe("differs");
});

test.skipIf(signedLists.length === 0)("the InRelease files that apt verified on this machine match their own signatures", async () => {
  for (const name of signedLists) {
    const message = readFileSync(`${LISTS}/${name}`, "utf8");
    expect(await matchClearsigned(message)).toBe("matches");
    expect(await matchClearsigned(message.replace("Codename: b", "Codename: B"))).toBe("differs");
  }
});

test("what is no signature is unknown, whatever its bytes", async () => {
  expect(await matchSignature(new Uint8Array(3), new TextEncoder().encode("<html>not found</html>"))).toBe("unknown");
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.string(), async (bytes, text) => {
      expect(["matches", "differs", "unknown"]).toContain(await matchSignature(new Uint8Array(), bytes));
      await matchClearsigned(`-----BEGIN PGP SIGNED MESSAGE-----\n\n${text}\n-----BEGIN PGP SIGNATURE-----\n${text}`);
    }),
  );
});
