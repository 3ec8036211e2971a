import type { Access } from "../config/config.ts";
import { isSameSecret, parseCredentials } from "../http/credentials.ts";
import { isInNetwork } from "../http/network.ts";

/** The user that a client says to be; null: it sends no name and password. */
export function userOf(access: Access, authorization: string | null): { readonly user: string; readonly isUserKnown: boolean } | null {
  const given = parseCredentials(authorization);
  return given?.kind === "basic" ? { user: given.user, isUserKnown: access.users.has(given.user) } : null;
}

/**
 * Decides whether a client may read a mirror: from one of its networks, or as one of its users.
 * @param address the client's address as the platform reports it, never one that a header claims; null where it is not known.
 * @returns `unauthorised`: not without a user's name and password (401); `forbidden`: no credentials would help (403).
 */
export async function judgeAccess(access: Access, authorization: string | null, address: string | null) {
  if (address !== null && access.networks.some((network) => isInNetwork(address, network))) return "allowed";
  if (access.users.size === 0) return "forbidden";
  const given = parseCredentials(authorization);
  if (given?.kind !== "basic") return "unauthorised";
  const password = access.users.get(given.user);
  // Compared for an unknown user too: the time must not reveal which names exist.
  const isRight = await isSameSecret(given.password, password ?? "");
  return isRight && password !== undefined ? "allowed" : "unauthorised";
}
