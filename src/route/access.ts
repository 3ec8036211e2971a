import type { Access } from "../config/config.ts";
import { isSameSecret, parseCredentials } from "../http/credentials.ts";
import { isInNetwork } from "../http/network.ts";

/** `unauthorised`: a user's name and password would help; `forbidden`: nothing would. */
export type Verdict = "allowed" | "unauthorised" | "forbidden";

/**
 * Whether a client may read a mirror: from one of its networks, or as one of its users. `address` is the client's own as the platform tells it,
 * never one that a header claims; null where it is not known.
 */
export async function judgeAccess(access: Access, authorization: string | null, address: string | null): Promise<Verdict> {
  if (address !== null && access.networks.some((network) => isInNetwork(address, network))) return "allowed";
  if (access.users.size === 0) return "forbidden";
  const given = parseCredentials(authorization);
  if (given?.kind !== "basic") return "unauthorised";
  const password = access.users.get(given.user);
  // A comparison for an unknown user too: the time tells nobody which names there are.
  const isRight = await isSameSecret(given.password, password ?? "");
  return isRight && password !== undefined ? "allowed" : "unauthorised";
}
