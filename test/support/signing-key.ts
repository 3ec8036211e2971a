import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "./run-tool.ts";

/** A throwaway OpenPGP key in a keyring of its own. */
export interface SigningKey {
  /** GNUPGHOME. */
  readonly home: string;
  /** The armored public key's file. */
  readonly publicKeyFile: string;
  readonly fingerprint: string;
}

/** The key kept in `home`, made when there is none. RSA, because old rpm versions know nothing newer. */
export async function openSigningKey(home: string): Promise<SigningKey> {
  const publicKeyFile = join(home, "public.asc");
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const env = { GNUPGHOME: home };
  let listed = await mustRun("gpg", ["--batch", "--with-colons", "--list-secret-keys"], { env });
  if (!listed.includes("fpr:")) {
    await mustRun(
      "gpg",
      ["--batch", "--passphrase", "", "--quick-generate-key", "Mirror Test <test@example.com>", "rsa2048", "sign", "never"],
      { env },
    );
    listed = await mustRun("gpg", ["--batch", "--with-colons", "--list-secret-keys"], { env });
    writeFileSync(publicKeyFile, await mustRun("gpg", ["--batch", "--armor", "--export"], { env }));
  }
  // Even listing secret keys starts one.
  await stopAgent(home);
  return { home, publicKeyFile, fingerprint: /^fpr:+([0-9A-F]+):/m.exec(listed)?.[1] ?? "" };
}

/** Writes the signature of `file` to `target`: clear-signed text, or a detached armored signature. */
export async function signFile(key: SigningKey, how: "clear-sign" | "detach-sign", file: string, target: string): Promise<void> {
  rmSync(target, { force: true });
  await mustRun("gpg", ["--batch", "--armor", "--digest-algo", "SHA256", `--${how}`, "--output", target, file], {
    env: { GNUPGHOME: key.home },
  });
  await stopAgent(key.home);
}

/** Ends the agent that gpg started for this keyring: it would outlive the test. */
export async function stopAgent(home: string): Promise<void> {
  await mustRun("gpgconf", ["--kill", "gpg-agent"], { env: { GNUPGHOME: home } });
}
