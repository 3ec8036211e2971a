import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { matchClearsigned, matchSignature } from "../../../../src/metadata/formats/match-signature.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
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
  expect(await matchClearsigned(bytes(clear))).toBe("matches");
  expect(await matchClearsigned(bytes(clear.replaceAll("\n", "\r\n")))).toBe("matches");
  expect(await matchClearsigned(bytes(`Sent from a list\n\n${clear}\nbye`))).toBe("matches");
  expect(await matchClearsigned(bytes(`\uFEFF${clear}`))).toBe("matches");
  expect(await matchClearsigned(bytes(clear.replace("one", "two")))).toBe("differs");
  // As gpg writes them: escaped dashes, blanks at line ends, bytes that are no UTF-8.
  writeFileSync(file, Buffer.concat([Buffer.from("-----BEGIN\n- x \t\n\n  caf"), Buffer.of(0xe9, 0x0a), Buffer.from("end")]));
  gpg("--clearsign", "--output", `${file}.asc`, file);
  expect(await matchClearsigned(readFileSync(`${file}.asc`))).toBe("matches");
});

test.skipIf(signedLists.length === 0)("the InRelease files that apt verified on this machine match their own signatures", async () => {
  for (const name of signedLists) {
    const message = readFileSync(`${LISTS}/${name}`);
    expect(await matchClearsigned(message)).toBe("matches");
    expect(await matchClearsigned(bytes(message.toString("utf8").replace("Codename: b", "Codename: B")))).toBe("differs");
  }
});

test("what is no signature is unknown, whatever its bytes", async () => {
  expect(await matchSignature(new Uint8Array(3), new TextEncoder().encode("<html>not found</html>"))).toBe("unknown");
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.string(), async (packet, text) => {
      expect(["matches", "differs", "unknown"]).toContain(await matchSignature(new Uint8Array(), packet));
      await matchClearsigned(bytes(`-----BEGIN PGP SIGNED MESSAGE-----\n\n${text}\n-----BEGIN PGP SIGNATURE-----\n${text}`));
    }),
  );
});

const BEGIN = "-----BEGIN PGP SIGNATURE-----\n";
const END = "-----END PGP SIGNATURE-----\n";
const MESSAGE = "-----BEGIN PGP SIGNED MESSAGE-----\n";
const MIB = 1024 * 1024;

// Each took minutes, or for ever, as a pattern with backtracking.
test.each<[string, string]>([
  ["thousands of empty armor lines", `${BEGIN}${"\n".repeat(200_000)}${END}`],
  ["lines of colons", `${BEGIN}${":\n".repeat(500_000)}`],
  ["lines of colons in a whole block", `${BEGIN}${"a: b\n".repeat(200_000)}${END}`],
  ["thousands of beginnings", BEGIN.repeat(200_000)],
  ["blanks for ever", `${BEGIN}${" ".repeat(7 * MIB)}`],
  ["blanks between beginnings and no end", `${BEGIN}${" \n \t".repeat(MIB)}${BEGIN}`],
  ["one line without an end", `${BEGIN}${"A".repeat(8 * MIB)}`],
])("armor of %s is read at once", async (_name, text) => {
  const started = performance.now();
  expect(await matchSignature(bytes("document"), bytes(text))).toBe("unknown");
  expect(await matchClearsigned(bytes(`${MESSAGE}\nx\n${text}`))).toBe("unknown");
  expect(await matchClearsigned(bytes(`${MESSAGE}${text}\n${BEGIN}${END}`))).toBe("unknown");
  expect(performance.now() - started).toBeLessThan(10_000);
});

test("each signature packet is a turn of its own, since it costs a hash of the whole document", async () => {
  const packet = [0x88, 10, 4, 0, 1, 8, 0, 0, 0, 0, 0, 0];
  let turns = 0;
  const breathe = async (): Promise<void> => void turns++;
  await matchSignature(bytes("document"), Uint8Array.from(Array.from({ length: 16 }, () => packet).flat()), breathe);
  // The first that differs is the last that is looked at: these cannot be compared at all.
  const unknown = packet.with(5, 99);
  await matchSignature(bytes("document"), Uint8Array.from(Array.from({ length: 16 }, () => unknown).flat()), breathe);
  expect(turns).toBe(1 + 16);
});
