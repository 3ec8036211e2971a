/** The decoder inside npm's `unbzip2-stream`, which opens one block at a time. Its stream around that opens all that it gets in one turn. */
declare module "unbzip2-stream/lib/bzip2.js" {
  type ReadBits = (count: number | null) => number;
  const bzip2: {
    /** Reads the header of a stream: the block size, in units of 100,000 bytes. */
    header(bits: ReadBits): number;
    /** Reads a block and passes its bytes on one by one: the checksum so far; null at the end of the stream. Throws, also what is no Error. */
    decompress(bits: ReadBits, write: (byte: number) => void, scratch: Int32Array, length: number, crc: number): number | null;
  };
  export default bzip2;
}
