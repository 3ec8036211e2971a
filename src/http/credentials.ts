/** What an Authorization header shows, of the two schemes that package managers and programs have. */
export type Credentials =
  | { readonly kind: "basic"; readonly user: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string };

/** Parses an Authorization header (RFC 7617 §2, RFC 6750 §2.1); null for none, for other schemes and for what is malformed. */
export function parseCredentials(header: string | null): Credentials | null {
  const [, scheme = "", value = ""] = /^([a-z]+) +([\w.~+/-]+=*) *$/i.exec(header ?? "") ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return { kind: "bearer", token: value };
    case "basic": {
      const text = decodeBase64(value);
      const colon = text?.indexOf(":") ?? -1;
      return text === null || colon < 0 ? null : { kind: "basic", user: text.slice(0, colon), password: text.slice(colon + 1) };
    }
    default:
      return null;
  }
}

/** Compares digests of equal length, and all of them: how long it takes says nothing of where two texts differ. */
export async function isSameSecret(given: string, wanted: string): Promise<boolean> {
  const [one, other] = await Promise.all([digest(given), digest(wanted)]);
  return one.reduce((differs, byte, at) => differs | (byte ^ (other[at] ?? 0)), 0) === 0;
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** The UTF-8 in base64; null for what is neither. */
function decodeBase64(value: string): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(atob(value), (byte) => byte.charCodeAt(0)));
  } catch {
    return null;
  }
}
