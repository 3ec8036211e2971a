import { parseRange } from "../../src/http/byte-ranges.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";
import { createMirror } from "../chaos/mirror.ts";
import { createFarStore, generatedBytes, generatedStream } from "./far-store.ts";

const MIB = 1024 * 1024;
export const SLICE_BYTES = 8 * MIB;
/** The image that a far mirror has. */
export const FAR_PATH = "any/images/disk-1.0.img";
/** 200 Mbit/s. */
const LINK = 25_000_000;

interface FarMirrorOptions {
  readonly size?: number;
  readonly delayMs?: number;
  readonly isStored?: (index: number) => boolean;
  readonly isBroken?: (index: number) => boolean;
  readonly verified?: StoredObject["verified"];
  /** Whether the mirror takes its store for far; it is. */
  readonly isStoreFar?: boolean;
  /** The upstream sends bodies without a length. */
  readonly isUnsized?: boolean;
}

/** A mirror far from its bucket, which has an image; the image's bytes are generated when they are read. */
export function createFarMirror({
  size = 64 * MIB,
  delayMs = 200,
  isStored = () => true,
  isBroken = () => false,
  isUnsized = false,
  isStoreFar = true,
  verified = "digest",
}: FarMirrorOptions = {}) {
  const object: StoredObject = {
    version: "5".repeat(32),
    size,
    sliceBytes: SLICE_BYTES,
    contentType: "application/octet-stream",
    etag: '"v1"',
    upstream: "http://origin.test/any",
    storedAt: Date.now(),
    verified,
  };
  let events: string[] = [];
  let asked = 0;
  const mirror = createMirror({
    vars: { MIRRORS: { any: { upstreams: ["http://origin.test/any"] } } },
    isStoreFar,
    over: (store) => {
      const far = createFarStore(store, { delayMs, sliceBytes: SLICE_BYTES, size, isStored, isBroken });
      events = far.events;
      return far.store;
    },
    async fetch(_url, { headers }) {
      asked++;
      if (isUnsized) return new Response(generatedStream(0, size), { headers: { "transfer-encoding": "chunked" } });
      const [range = { first: 0 }] = parseRange(new Headers(headers).get("range")) ?? [];
      if (!("first" in range)) throw new Error("the pump asks for no suffix");
      const { first, last = size - 1 } = range;
      const said = { etag: '"v1"', "content-length": String(last - first + 1), "content-range": `bytes ${first}-${last}/${size}` };
      return new Response(generatedStream(first, last + 1), { status: 206, headers: said });
    },
  });
  const ready = mirror.store.put(FAR_PATH, object, new Uint8Array(0));
  return { mirror, ready, object, events: () => events, asked: () => asked };
}

interface Client {
  readonly headers?: Readonly<Record<string, string>>;
  readonly bytesPerSecond?: number;
  readonly leaveAfter?: number;
  /** Where the body begins in the file; null: it is not compared. */
  readonly from?: number | null;
}

interface Downloaded {
  readonly status: number;
  readonly length: number;
  /** Of the rate of the client's link, from the request to the last byte. */
  readonly share: number;
}

type FarMirror = ReturnType<typeof createFarMirror>;

/** Downloads as a client does whose link brings so many bytes a second, and compares what comes with what the file has there. */
export async function download({ mirror, ready }: FarMirror, client: Client = {}): Promise<Downloaded> {
  const { headers = {}, bytesPerSecond = LINK, leaveAfter = Infinity, from = 0 } = client;
  await ready;
  const began = Date.now();
  const response = await mirror.respond(FAR_PATH, { headers });
  let length = 0;
  let freeAt = Date.now();
  const reader = response.body?.getReader();
  for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
    for (let at = 0; from !== null && at < next.value.length;) {
      const position = from + length + at;
      const end = Math.min(position + next.value.length - at, (Math.floor(position / (MIB / 2)) + 1) * (MIB / 2));
      const part = next.value.subarray(at, at + end - position);
      if (Buffer.compare(part, generatedBytes(position, end)) !== 0) throw new Error(`other bytes than the file has at ${position}`);
      at += part.length;
    }
    length += next.value.length;
    freeAt = Math.max(freeAt, Date.now()) + (next.value.length * 1_000) / bytesPerSecond;
    await new Promise<void>((resolve) => setTimeout(resolve, freeAt - Date.now()));
    if (length >= leaveAfter) {
      await reader?.cancel();
      break;
    }
  }
  const share = (length * 1_000) / (Date.now() - began) / bytesPerSecond;
  return { status: response.status, length, share };
}
