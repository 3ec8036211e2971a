import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TOKEN_BYTES = 32;

/** Path of the server's admin token. A user who can read this file can use the operator's verbs. */
export function adminTokenPath(stateFolder: string): string {
  return join(stateFolder, "admin-token");
}

/** Path of the token that opens only what changes nothing: status, metrics and why. Monitoring reads this file. */
export function readTokenPath(stateFolder: string): string {
  return join(stateFolder, "read-token");
}

/** What a header can carry. After a power cut the file may hold zeros, and with those no operator could log in any more. */
const USABLE = /^[\x21-\x7e]+$/;

/** The admin token of the state folder; a call that finds none that can be used makes one. Throws if the file can be neither read nor written. */
export function readAdminToken(stateFolder: string): string {
  return readOrMake(adminTokenPath(stateFolder));
}

/** The same for the read token. */
export function readReadToken(stateFolder: string): string {
  return readOrMake(readTokenPath(stateFolder));
}

function readOrMake(path: string): string {
  try {
    const kept = readFileSync(path, "utf8").trim();
    if (USABLE.test(kept)) return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  return token;
}
