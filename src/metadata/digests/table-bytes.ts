/*
 * What digest tables are made of (table-format.ts). A number is a LEB128 varint of at most 53 bits; a text is the number of its bytes and UTF-8.
 */

/** The bytes are no page or manifest of this version. */
export class TableFormatError extends Error {
  override readonly name = "TableFormatError";
}

const ENCODER = new TextEncoder();

/** Writes numbers, texts and bytes one behind the other, after the bytes of `magic`. */
export function createWriter(magic: readonly number[]) {
  let bytes = new Uint8Array(512);
  let at = 0;
  const reserve = (more: number): void => {
    if (at + more <= bytes.length) return;
    const grown = new Uint8Array(Math.max(bytes.length * 2, at + more));
    grown.set(bytes.subarray(0, at));
    bytes = grown;
  };
  const number = (value: number): void => {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) + 0x80;
    bytes[at++] = rest;
  };
  for (const byte of magic) bytes[at++] = byte;
  return {
    /** Makes room for what comes next: only `bytes` does so by itself. */
    reserve,
    number,
    hex(digits: string): void {
      for (let digit = 0; digit < digits.length; digit += 2) {
        bytes[at++] = hexValue(digits.charCodeAt(digit)) * 16 + hexValue(digits.charCodeAt(digit + 1));
      }
    },
    text(text: string): void {
      // Nearly all texts are short ASCII, for which the encoder takes longer than this.
      if (text.length < 0x80 && isAscii(text)) {
        bytes[at++] = text.length;
        for (let unit = 0; unit < text.length; unit++) bytes[at++] = text.charCodeAt(unit);
      } else {
        const encoded = ENCODER.encode(text);
        number(encoded.length);
        bytes.set(encoded, at);
        at += encoded.length;
      }
    },
    bytes(more: Uint8Array): void {
      reserve(more.length);
      bytes.set(more, at);
      at += more.length;
    },
    get length() {
      return at;
    },
    finish: (): Uint8Array<ArrayBuffer> => bytes.slice(0, at),
    reset: (): void => void (at = magic.length),
  };
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= 0x80) return false;
  return true;
}

/** The value of a lower-case hex digit by its character code. */
function hexValue(code: number): number {
  return code < 0x40 ? code - 0x30 : code - 0x57;
}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads what `createWriter` wrote. Each call throws TableFormatError where the bytes are something else. */
export function createReader(bytes: Uint8Array, magic: readonly number[]) {
  let at = magic.length;
  if (!magic.every((byte, index) => bytes[index] === byte)) throw new TableFormatError("these bytes are no digest table of this version");
  const take = (length: number): Uint8Array => {
    const end = at + length;
    if (end > bytes.length) throw new TableFormatError("a digest table is cut off");
    const part = bytes.subarray(at, end);
    at = end;
    return part;
  };
  const number = (): number => {
    let [value, unit] = [0, 1];
    for (;;) {
      const [byte = 0] = take(1);
      value += (byte % 0x80) * unit;
      if (byte < 0x80) return value;
      unit *= 0x80;
      if (unit > Number.MAX_SAFE_INTEGER) throw new TableFormatError("a digest table holds a number of more than 53 bits");
    }
  };
  return {
    atEnd: () => at >= bytes.length,
    take,
    number,
    text: (): string => {
      try {
        return DECODER.decode(take(number()));
      } catch (error) {
        if (error instanceof TableFormatError) throw error;
        throw new TableFormatError("a digest table holds a text that is no UTF-8");
      }
    },
    rest: () => bytes.subarray(at),
  };
}
