import type { CreateDigest } from "../../verify/digest-ranges.ts";

/** Incremental digests by workerd's `crypto.DigestStream`, which Node lacks. */
export const createStreamDigest: CreateDigest = (algorithm) => {
  const stream = new crypto.DigestStream(algorithm);
  const writer = stream.getWriter();
  return {
    update: (chunk) => writer.write(chunk),
    async digest() {
      await writer.close();
      return new Uint8Array(await stream.digest);
    },
  };
};
