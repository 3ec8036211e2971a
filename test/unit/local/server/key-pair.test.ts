import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readKeyPair } from "../../../../src/local/server/key-pair.ts";
import { makeCertificate } from "../../../support/proxies.ts";
import { mustRun, requireTools } from "../../../support/run-tool.ts";

const DAY_MS = 86_400_000;

describe.runIf(requireTools("openssl"))("certificate and key", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-key-pair-"));
  const at = (name: string): string => join(folder, name);
  let one: { readonly certificate: string; readonly key: string };
  let two: typeof one;

  beforeAll(async () => {
    one = await makeCertificate(folder, ["IP:127.0.0.1"], "one");
    two = await makeCertificate(folder, ["IP:127.0.0.1"], "two");
    const [first, second] = [one, two].map(({ certificate }) => readFileSync(certificate, "utf8"));
    writeFileSync(at("chain"), `${first}${second}`);
    writeFileSync(at("wrong-order"), `${second}${first}`);
    writeFileSync(at("damaged"), (first ?? "").replace(/\n[^\n]+\n/, "\nAAAA\n"));
    await mustRun("openssl", ["pkey", "-in", one.key, "-aes256", "-passout", "pass:secret", "-out", at("encrypted")]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function refusalOf(certificate: string, key: string): string {
    const read = readKeyPair({ certificate, key });
    return read.ok ? "it was taken" : read.problems.join("\n");
  }

  test("are taken as they lie in the files, with the certificates of authorities after the server's own", () => {
    const read = readKeyPair({ certificate: at("chain"), key: one.key });
    const [certificate, key] = [at("chain"), one.key].map((path) => readFileSync(path, "utf8"));
    expect(read).toMatchObject({ ok: true, value: { certificate, key, warnings: [expect.stringContaining("expires on")] } });
  });

  test("are taken with a warning where every user can read the key", () => {
    chmodSync(two.key, 0o644);
    const read = readKeyPair(two);
    expect(read).toMatchObject({ ok: true, value: { warnings: [expect.stringContaining("chmod o="), expect.anything()] } });
  });

  test("are refused with what is wrong, and what would be right", () => {
    expect(refusalOf(at("none"), at("nokey"))).toBe(
      `Cannot read --certificate "${at("none")}": there is no such file.\nCannot read --key "${at("nokey")}": there is no such file.`,
    );
    expect(refusalOf(folder, one.key)).toContain("it is a folder; name a file");
    expect(refusalOf(one.key, one.key)).toContain("it holds no certificate");
    expect(refusalOf(at("damaged"), one.key)).toContain("a certificate in it is damaged");
    expect(refusalOf(one.certificate, one.certificate)).toContain("it is no private key in PEM");
    expect(refusalOf(one.certificate, at("encrypted"))).toContain("it is encrypted");
    expect(refusalOf(one.certificate, two.key)).toContain("it is not the key of the certificate");
    expect(refusalOf(at("wrong-order"), one.key)).toContain("the server's own certificate must be the first");
  });

  test("are taken with a warning at a time at which clients refuse them, so that plain HTTP beside TLS starts", () => {
    const readAt = (now: number) => readKeyPair(one, now);
    const expired = {
      isCurrent: false,
      warnings: [expect.stringMatching(/^Clients refuse the certificate in .*CN=one expired on .*; have it renewed\.$/)],
    };
    expect(readAt(Date.now() + 3 * DAY_MS)).toMatchObject({ ok: true, value: expired });
    const early = { isCurrent: false, warnings: [expect.stringMatching(/is valid only from .*; check this machine's clock\.$/)] };
    expect(readAt(Date.now() - DAY_MS)).toMatchObject({ ok: true, value: early });
    expect(readAt(Date.now())).toMatchObject({ ok: true, value: { isCurrent: true } });
  });
});
