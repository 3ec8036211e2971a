/** A range of addresses: those whose first `bits` are those of `bytes` (4 or 16 of them). */
export interface Network {
  readonly bytes: readonly number[];
  readonly bits: number;
}

/** Parses `192.0.2.0/24`, `2001:db8::/32`, or one address; null for anything else, also where bits behind the prefix are set: that is a slip. */
export function parseNetwork(text: string): Network | null {
  const [, address = "", prefix] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const bytes = parseAddress(address);
  if (bytes === null) return null;
  const bits = prefix === undefined ? bytes.length * 8 : Number(prefix);
  if (bits > bytes.length * 8) return null;
  return bytes.every((byte, at) => (byte & ~maskOf(bits, at)) === 0) ? { bytes, bits } : null;
}

/** Whether an address, as `cf-connecting-ip` gives it, lies in a network. An IPv4 address in IPv6 form is that IPv4 address. */
export function isInNetwork(address: string, { bytes, bits }: Network): boolean {
  const given = parseAddress(address);
  return given?.length === bytes.length && given.every((byte, at) => ((byte ^ (bytes[at] ?? 0)) & maskOf(bits, at)) === 0);
}

/** The bits of byte `at` that belong to a prefix of `bits`. */
function maskOf(bits: number, at: number): number {
  const inByte = Math.min(8, Math.max(0, bits - at * 8));
  return (0xff << (8 - inByte)) & 0xff;
}

function parseAddress(text: string): readonly number[] | null {
  if (!text.includes(":")) return parseIpv4(text);
  // RFC 4291 §2.2 form 3: the last 32 bits may be written as IPv4. `URL` knows the rest of the forms.
  if (!URL.canParse(`http://[${text}]`)) return null;
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  const bytes = all.flatMap((group) => [group >> 8, group & 0xff]);
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped ? bytes.slice(12) : bytes;
}

/** Four decimal numbers: forms such as `010.1` mean different addresses to different programs. */
function parseIpv4(text: string): readonly number[] | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null;
  return parts.map(Number);
}
