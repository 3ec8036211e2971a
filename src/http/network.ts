/** A range of addresses in CIDR notation: those whose first `bits` bits equal those of `bytes`, 4 of IPv4 or 16 of IPv6. */
export interface Network {
  readonly bytes: readonly number[];
  readonly bits: number;
}

/** Parses `192.0.2.0/24`, `2001:db8::/32`, or one address; null for anything else, also where bits behind the prefix are set, as in `192.0.2.1/24`. */
export function parseNetwork(text: string): Network | null {
  const [, address = "", prefix] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const bytes = parseAddress(address);
  if (bytes === null) return null;
  const bits = prefix === undefined ? bytes.length * 8 : Number(prefix);
  if (bits > bytes.length * 8) return null;
  return bytes.every((byte, at) => (byte & ~maskOf(bits, at)) === 0) ? { bytes, bits } : null;
}

/** Whether an address, as `cf-connecting-ip` gives it, lies in a network. An IPv4 address mapped to IPv6 counts as that IPv4 address. */
export function isInNetwork(address: string, { bytes, bits }: Network): boolean {
  const given = parseAddress(address);
  return given?.length === bytes.length && given.every((byte, at) => ((byte ^ (bytes[at] ?? 0)) & maskOf(bits, at)) === 0);
}

/** Whether two texts are one address: each may be in any form of it, also mapped to IPv6. */
export function isSameAddress(one: string, other: string): boolean {
  const [bytes, others] = [parseAddress(one), parseAddress(other)];
  return bytes !== null && others !== null && bytes.length === others.length && bytes.every((byte, at) => byte === others[at]);
}

/** The network in CIDR notation. */
export function formatNetwork({ bytes, bits }: Network): string {
  if (bytes.length === 4) return `${bytes.join(".")}/${bits}`;
  const groups = Array.from({ length: 8 }, (_, at) => (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16));
  return `${groups.join(":")}/${bits}`;
}

/** The mask of byte `at` under a prefix of `bits` bits. */
function maskOf(bits: number, at: number): number {
  const inByte = Math.min(8, Math.max(0, bits - at * 8));
  return (0xff << (8 - inByte)) & 0xff;
}

function parseAddress(text: string): readonly number[] | null {
  if (!text.includes(":")) return parseIpv4(text);
  // `URL` reads all forms of RFC 4291 §2.2, also that with the last 32 bits written as IPv4, and writes them as groups.
  if (!URL.canParse(`http://[${text}]`)) return null;
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  const bytes = all.flatMap((group) => [group >> 8, group & 0xff]);
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped ? bytes.slice(12) : bytes;
}

/** Only four decimal numbers: programs disagree on the meaning of `010.1`. */
function parseIpv4(text: string): readonly number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null;
  return parts.map(Number);
}
