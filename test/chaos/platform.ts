import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";

/**
 * What workerd has and Node lacks, or does in a thread of its own: there a virtual clock could run ahead of the work. All of it works in the same turn,
 * so that a history is the same each time. Returns the function that takes it away again.
 */
export function installPlatform(): () => void {
  const { subtle } = crypto;
  const readers = ReadableStreamBYOBReader.prototype as { readAtLeast?: unknown };
  const undo = [
    replace(globalThis, "FixedLengthStream", FixedLength),
    replace(globalThis, "IdentityTransformStream", TransformStream),
    replace(globalThis, "DecompressionStream", Gunzip),
    replace(crypto, "DigestStream", SyncDigestStream),
    replace(subtle, "digest", async (name: string, bytes: Uint8Array) => hashOf(name).update(bytes).digest().buffer),
    replace(readers, "readAtLeast", readAtLeast),
  ];
  return () => undo.forEach((one) => one());
}

function replace(owner: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  return () => void (before === undefined ? Reflect.deleteProperty(owner, name) : Object.defineProperty(owner, name, before));
}

function hashOf(name: string) {
  return createHash(name.toLowerCase().replace("-", ""));
}

class FixedLength extends TransformStream<Uint8Array, Uint8Array> {
  constructor(length: number) {
    let sent = 0;
    super({
      transform(chunk, controller) {
        sent += chunk.length;
        if (sent > length) throw new TypeError(`Attempt to write too many bytes through a FixedLengthStream of ${length}`);
        controller.enqueue(chunk);
      },
      flush() {
        if (sent < length) throw new TypeError(`FixedLengthStream did not see all expected bytes: ${sent} of ${length}`);
      },
    });
  }
}

class Gunzip {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  constructor() {
    const packed: Uint8Array[] = [];
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk) => void packed.push(chunk.slice()),
      flush: (controller) => controller.enqueue(new Uint8Array(gunzipSync(Buffer.concat(packed)))),
    });
    [this.readable, this.writable] = [readable, writable];
  }
}

class SyncDigestStream extends WritableStream<Uint8Array> {
  readonly digest: Promise<ArrayBuffer>;
  constructor(algorithm: string) {
    const hash = hashOf(algorithm);
    const done = Promise.withResolvers<ArrayBuffer>();
    super({
      write: (chunk) => void hash.update(chunk),
      close: () => done.resolve(new Uint8Array(hash.digest()).buffer),
      abort: (reason) => done.reject(reason),
    });
    this.digest = done.promise;
    this.digest.catch(() => {});
  }
}

async function readAtLeast(this: ReadableStreamBYOBReader, _atLeast: number, view: Uint8Array<ArrayBuffer>) {
  return this.read(view);
}
