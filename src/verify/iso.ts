import { beginsWith, broken, type Walk, type WalkedFile } from "./walk.ts";

/** Sector 16, the first one behind the system area. */
const PRIMARY_DESCRIPTOR_AT = 32_768;
const PRIMARY_DESCRIPTOR_START = [1, ...new TextEncoder().encode("CD001")];
const DESCRIPTOR_BYTES = 130;
const BLOCK_SIZES = [512, 1024, 2048];

/**
 * Walks an ISO 9660 image (ECMA-119 §8.4). Its primary volume descriptor states the size of the volume; the image may be longer (padding, appended
 * partitions), so the declared length is "at least", and no digest covers the content. A file without that descriptor is `unknown`.
 */
export function* walkIso(file: WalkedFile): Walk {
  const descriptor = yield { at: PRIMARY_DESCRIPTOR_AT, size: DESCRIPTOR_BYTES };
  if (!beginsWith(descriptor, PRIMARY_DESCRIPTOR_START)) return { kind: "unknown" };
  if (descriptor.length < DESCRIPTOR_BYTES) return broken("the image ends inside its primary volume descriptor");
  const view = new DataView(descriptor.buffer, descriptor.byteOffset, DESCRIPTOR_BYTES);
  const blocks = view.getUint32(80, true);
  const blockBytes = view.getUint16(128, true);
  if (blocks !== view.getUint32(84)) return broken("the image's two statements of its volume's size differ");
  if (!BLOCK_SIZES.includes(blockBytes))
    return broken(`the image's blocks have ${blockBytes} bytes: ${BLOCK_SIZES.join(", ")} are allowed`);
  file.declare({ kind: "at-least", bytes: blocks * blockBytes });
  return { kind: "whole" };
}
