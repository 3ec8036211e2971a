import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TOKEN_BYTES = 32;

/** Path of the server's admin token. A user who can read this file can use the operator's verbs. */
export function adminTokenPath(stateFolder: string): string {
  return join(stateFolder, "admin-token");
}

/** The admin token of the state folder; the first call makes one. Throws if the file can be neither read nor written. */
export function readAdminToken(stateFolder: string): string {
  const path = adminTokenPath(stateFolder);
  try {
    const kept = readFileSync(path, "utf8").trim();
    if (kept !== "") return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  return token;
}
