import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TOKEN_BYTES = 32;

/** Where a server's admin token lies: whoever may read the state folder may use the operator's verbs. */
export function adminTokenPath(stateFolder: string): string {
  return join(stateFolder, "admin-token");
}

/** The token of the state folder, made at the first start. Throws where the folder cannot be read or written. */
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
