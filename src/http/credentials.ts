/** The credentials of an Authorization header, in the two schemes that package managers and programs use. */
export type Credentials =
  | { readonly kind: "basic"; readonly user: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string };

/** Parses an Authorization header (RFC 7617 §2, RFC 6750 §2.1); null when it is absent, malformed or of another scheme. */
export function parseCredentials(header: string | null): Credentials | null {
  const [, scheme = "", value = ""] = /^(basic|bearer) +([\w.~+/-]+=*) *$/i.exec(header ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return { kind: "bearer", token: value };
  const [, user, password] = /^([^:]*):(.*)$/s.exec(decodeBase64Text(value) ?? "") ?? [];
  return user === undefined || password === undefined ? null : { kind: "basic", user, password };
}

/** Whether two secrets are equal. It always compares all bytes of their digests, so that the time does not reveal where the secrets differ. */
export async function isSameSecret(given: string, wanted: string): Promise<boolean> {
  const [one, other] = await Promise.all([digest(given), digest(wanted)]);
  return one.reduce((differs, byte, at) => differs | (byte ^ (other[at] ?? 0)), 0) === 0;
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** The text whose UTF-8 is encoded; null where the value is not base64, or its bytes are not UTF-8. */
function decodeBase64Text(value: string): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(atob(value), (byte) => byte.charCodeAt(0)));
  } catch {
    return null;
  }
}
