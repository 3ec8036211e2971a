import { createHash } from "node:crypto";
import { createInflateRaw, gunzipSync } from "node:zlib";
import { createRandom } from "./random.ts";

export interface Platform {
  /** Whether a thread of node:zlib is at work: the clock must wait for it. */
  isBusy(): boolean;
  uninstall(): void;
}

/**
 * What workerd has and Node lacks, or does in a thread of its own, where a virtual clock could run ahead of the work; and chance, which follows from
 * `seed`: so a history is the same each time.
 */
export function installPlatform(seed = 1): Platform {
  const random = createRandom(seed);
  const streams = Object.getPrototypeOf(Object.getPrototypeOf(createInflateRaw())) as { _transform: Transform };
  const transform = streams._transform;
  let busy = 0;
  const { subtle } = crypto;
  const readers = ReadableStreamBYOBReader.prototype as { readAtLeast?: unknown };
  const undo = [
    replace(globalThis, "FixedLengthStream", FixedLength),
    replace(globalThis, "IdentityTransformStream", TransformStream),
    replace(globalThis, "DecompressionStream", Gunzip),
    replace(crypto, "DigestStream", SyncDigestStream),
    replace(subtle, "digest", async (name: string, bytes: Uint8Array) => hashOf(name).update(bytes).digest().buffer),
    replace(readers, "readAtLeast", readAtLeast),
    replace(Math, "random", random.next),
    replace(crypto, "randomUUID", () => uuidOf(random.bytes(16))),
    replace(streams, "_transform", function (this: unknown, chunk: unknown, encoding: unknown, done: (error: unknown) => void) {
      busy++;
      transform.call(this, chunk, encoding, (error: unknown) => {
        busy--;
        done(error);
      });
    }),
  ];
  return { isBusy: () => busy > 0, uninstall: () => undo.forEach((one) => one()) };
}

type Transform = (this: unknown, chunk: unknown, encoding: unknown, done: (error: unknown) => void) => void;

function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
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
