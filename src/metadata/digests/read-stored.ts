import type { ObjectStore } from "../../store/object-store.ts";

/** The bytes of a stored object as they flow, inline or sliced; throws where the object or one of its slices is gone. */
export async function* readStored(store: ObjectStore, key: string): AsyncGenerator<Uint8Array> {
  const found = await store.get(key);
  if (found === null) throw new Error(`Cannot read ${key}: it is not in the store any more`);
  const { object, body } = found;
  if (object.sliceBytes === undefined) {
    if (body !== null) yield* readBody(body);
    return;
  }
  await body?.cancel();
  for (let index = 0; index * object.sliceBytes < object.size; index++) {
    const slice = await store.getSlice(object.version, index);
    if (slice === null) throw new Error(`Cannot read ${key}: slice ${index} is not in the store any more`);
    yield* readBody(slice);
  }
}

async function* readBody(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
