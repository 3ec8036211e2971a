import { MalformedError } from "./parsed-root.ts";

/** Reads bits, the highest of each byte first, 24 at most; throws MalformedError at the end of the bytes. */
export type ReadBits = (count: number) => number;

/** A step of the work: `units` were done, of which one is about what a byte costs elsewhere; `bytes`: what came out. */
export interface BlockStep {
  readonly units: number;
  readonly bytes?: Uint8Array;
}

const MAX_CODE_BITS = 20;
const MAX_TREES = 6;
const GROUP_SYMBOLS = 50;
const [RUN_A, RUN_B] = [0, 1] as const;
/** Four equal bytes are followed by how many more of them there are. */
const RUN_START = 4;

/** To read the codes of a block costs so many units, however little it holds; real blocks hold hundreds of KB. */
const UNITS_PER_BLOCK = 16 * 1024;
/** A symbol costs as much as so many units, whatever its code and its place in the list. */
const UNITS_PER_SYMBOL = 8;
const SYMBOLS_PER_STEP = 8 * 1024;
const ENTRIES_PER_STEP = 64 * 1024;
const BYTES_PER_STEP = 32 * 1024;

/**
 * Opens one block of a bzip2 stream, behind its magic, step by step: the Huffman codes and the list of recent bytes, the Burrows-Wheeler transform, the runs
 * (https://github.com/dsnet/compress/blob/master/doc/bzip2-format.pdf). Returns the block's checksum. Throws MalformedError.
 * @param table has an entry for each byte that a block of this stream may have before its runs are written out.
 */
export function* openBlock(read: ReadBits, table: Uint32Array): Generator<BlockStep, number> {
  const checksum = ((read(16) << 16) | read(16)) >>> 0;
  if (read(1) !== 0) throw altered("a block is randomized, as bzip2 has not written them for decades");
  const origin = read(24);
  const used = readUsedBytes(read);
  const trees = read(3);
  const selectors = readSelectors(read, trees);
  const codes = Array.from({ length: trees }, () => readCode(read, used.length + 2));
  yield { units: UNITS_PER_BLOCK + 4 * selectors.length };
  const count = yield* readSymbols(read, used, selectors, codes, table);
  if (origin >= count) throw altered("a block has no such beginning");
  yield* invert(table, count);
  const found = yield* writeRuns(table, count, origin);
  if (found !== checksum) throw altered("its checksum is another");
  return checksum;
}

/** The bytes that the block holds, in order. */
function readUsedBytes(read: ReadBits): Uint8Array {
  const ranges = read(16);
  const used: number[] = [];
  for (let high = 0; high < 16; high++) {
    if ((ranges & (0x8000 >> high)) === 0) continue;
    const lows = read(16);
    for (let low = 0; low < 16; low++) if ((lows & (0x8000 >> low)) !== 0) used.push(high * 16 + low);
  }
  if (used.length === 0) throw altered("a block holds no bytes");
  return Uint8Array.from(used);
}

/** Which code each group of symbols is written in. */
function readSelectors(read: ReadBits, trees: number): Uint8Array {
  const length = read(15);
  if (trees < 2 || trees > MAX_TREES || length === 0) throw altered("a block has no codes");
  const recent = Uint8Array.from({ length: trees }, (_, tree) => tree);
  const selectors = new Uint8Array(length);
  for (let at = 0; at < length; at++) {
    let place = 0;
    while (read(1) === 1) if (++place >= trees) throw altered("a block names a code that it does not have");
    selectors[at] = moveToFront(recent, place);
  }
  return selectors;
}

/** Moves what stands at `place` to the front of the list, and returns it. */
function moveToFront(list: Uint8Array, place: number): number {
  const moved = list[place] ?? 0;
  list.copyWithin(1, 0, place);
  list[0] = moved;
  return moved;
}

/** A canonical Huffman code: for each length of codes the last one, and where its symbols stand among all, which are sorted by their codes. */
interface Code {
  readonly minBits: number;
  readonly maxBits: number;
  readonly limits: Int32Array;
  readonly offsets: Int32Array;
  readonly symbols: Uint16Array;
}

function readCode(read: ReadBits, symbolCount: number): Code {
  const lengths = new Uint8Array(symbolCount);
  let bits = read(5);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    for (;;) {
      if (bits < 1 || bits > MAX_CODE_BITS) throw altered("a code is too long");
      if (read(1) === 0) break;
      bits += read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = bits;
  }
  const [minBits, maxBits] = [Math.min(...lengths), Math.max(...lengths)];
  const limits = new Int32Array(MAX_CODE_BITS + 1);
  const offsets = new Int32Array(MAX_CODE_BITS + 1);
  const symbols = new Uint16Array(symbolCount);
  let [code, place] = [0, 0];
  for (let length = minBits; length <= maxBits; length++) {
    offsets[length] = place - code;
    for (let symbol = 0; symbol < symbolCount; symbol++) if (lengths[symbol] === length) symbols[place++] = symbol;
    code = place - (offsets[length] ?? 0);
    limits[length] = code - 1;
    code *= 2;
  }
  return { minBits, maxBits, limits, offsets, symbols };
}

/** Writes the bytes of the block's last column into the low bits of `table`: returns how many there are. */
function* readSymbols(
  read: ReadBits,
  used: Uint8Array,
  selectors: Uint8Array,
  codes: readonly Code[],
  table: Uint32Array,
): Generator<BlockStep, number> {
  const recent = used.slice();
  const end = used.length + 1;
  let [count, run, runUnit] = [0, 0, 1];
  for (let symbols = 0; ; symbols++) {
    if (symbols > 0 && symbols % SYMBOLS_PER_STEP === 0) yield { units: SYMBOLS_PER_STEP * UNITS_PER_SYMBOL };
    const code = codes[selectors[Math.floor(symbols / GROUP_SYMBOLS)] ?? MAX_TREES];
    if (code === undefined) throw altered("a block has more symbols than it says");
    const symbol = readSymbol(read, code);
    if (symbol === RUN_A || symbol === RUN_B) {
      run += runUnit << symbol;
      runUnit *= 2;
      if (run > table.length) throw altered("a block is too long");
      continue;
    }
    if (run > 0) {
      if (count + run > table.length) throw altered("a block is too long");
      table.fill(recent[0] ?? 0, count, count + run);
      count += run;
      [run, runUnit] = [0, 1];
    }
    if (symbol === end) {
      yield { units: (symbols % SYMBOLS_PER_STEP) * UNITS_PER_SYMBOL };
      return count;
    }
    if (count >= table.length) throw altered("a block is too long");
    table[count++] = moveToFront(recent, symbol - 1);
  }
}

function readSymbol(read: ReadBits, { minBits, maxBits, limits, offsets, symbols }: Code): number {
  let code = read(minBits);
  for (let bits = minBits; bits <= maxBits; bits++) {
    if (code <= (limits[bits] ?? -1)) {
      const symbol = symbols[code + (offsets[bits] ?? 0)];
      if (symbol !== undefined) return symbol;
      break;
    }
    if (bits < maxBits) code = code * 2 + read(1);
  }
  throw altered("a code stands for nothing");
}

/** Writes into the high bits of each entry of `table` where the byte after it stands. */
function* invert(table: Uint32Array, count: number): Generator<BlockStep, void> {
  const starts = new Uint32Array(257);
  for (let from = 0; from < count; from += ENTRIES_PER_STEP) {
    const to = Math.min(count, from + ENTRIES_PER_STEP);
    for (let at = from; at < to; at++) {
      const next = ((table[at] ?? 0) & 0xff) + 1;
      starts[next] = (starts[next] ?? 0) + 1;
    }
    yield { units: to - from };
  }
  for (let byte = 1; byte < 256; byte++) starts[byte] = (starts[byte] ?? 0) + (starts[byte - 1] ?? 0);
  for (let from = 0; from < count; from += ENTRIES_PER_STEP) {
    const to = Math.min(count, from + ENTRIES_PER_STEP);
    for (let at = from; at < to; at++) {
      const byte = (table[at] ?? 0) & 0xff;
      const place = starts[byte] ?? 0;
      starts[byte] = place + 1;
      table[place] = (table[place] ?? 0) | (at << 8);
    }
    yield { units: to - from };
  }
}

/** Follows the entries from `origin` on, and writes runs out: returns the checksum of what came out. */
function* writeRuns(table: Uint32Array, count: number, origin: number): Generator<BlockStep, number> {
  const out = new Uint8Array(BYTES_PER_STEP + 256);
  let [length, crc, equal, before] = [0, 0xffffffff, 0, -1];
  let entry = table[origin] ?? 0;
  for (let left = count; left > 0; left--) {
    entry = table[entry >>> 8] ?? 0;
    const byte = entry & 0xff;
    if (equal === RUN_START) {
      out.fill(before, length, length + byte);
      for (let n = 0; n < byte; n++) crc = addToChecksum(crc, before);
      length += byte;
      [equal, before] = [0, -1];
    } else {
      out[length++] = byte;
      crc = addToChecksum(crc, byte);
      equal = byte === before ? equal + 1 : 1;
      before = byte;
    }
    if (length < BYTES_PER_STEP) continue;
    yield { units: 4 * length, bytes: out.slice(0, length) };
    length = 0;
  }
  if (length > 0) yield { units: 4 * length, bytes: out.slice(0, length) };
  return ~crc >>> 0;
}

/** CRC-32 with its highest bit first, unlike that of gzip. */
const CHECKSUMS = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

function addToChecksum(crc: number, byte: number): number {
  return (crc << 8) ^ (CHECKSUMS[((crc >>> 24) ^ byte) & 0xff] ?? 0);
}

function altered(why: string): MalformedError {
  return new MalformedError(`it does not decompress: it is no bzip2 stream, or is altered: ${why}`);
}
