import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { SourceError } from "../../../src/upstream/upstream.ts";
import type { FileOptions } from "./loopback.ts";
import { STALL_MS, createBench, cutAfter, listen, readAll, refusingUrl, serveFile, sourceOf } from "./loopback.ts";

const file = Buffer.from(Uint8Array.from({ length: 700_000 }, (_, at) => (at * 31 + (at >> 8)) & 255));
/** A re-signed rpm: the same name, size and date, other bytes in its header. */
const resigned = Buffer.from(file).fill(7, 200, 300);
const DATE = "Thu, 01 Jan 2026 00:00:00 GMT";

/** Only the first answer is cut. */
function cutOnce(share: number): Parameters<typeof serveFile>[1] {
  return {
    etag: '"a"',
    lastModified: DATE,
    send: (response, body, request) => (request === 0 ? cutAfter(share)(response, body) : void response.end(body)),
  };
}

/** The first answer is cut, later ones do not come. */
function breakThenRefuse(share: number): { readonly send: NonNullable<FileOptions["send"]> } {
  return { send: (response, body, request) => (request === 0 ? cutAfter(share)(response, body) : void response.destroy()) };
}

/** Adds the label behind Node's fetch, which would decode the body. */
function labelling(contentEncoding: string): NonNullable<Parameters<typeof createBench>[0]> {
  return async (url, init) => {
    const { body, status, headers } = await fetch(url, init);
    return new Response(body, { status, headers: [...headers, ["content-encoding", contentEncoding]] });
  };
}

describe("a body that ends early", () => {
  test.each([0.01, 0.6, 0.99])("at %d of it goes on at the exact byte on the same upstream, under its strong ETag", async (share) => {
    const one = await listen(serveFile(file, cutOnce(share)));
    const two = await listen(serveFile(file, { etag: '"b"', lastModified: DATE }));
    const bench = createBench();
    const bytes = await readAll(sourceOf(await bench.open([one.url, two.url])));
    expect(bytes.equals(file)).toBe(true);
    expect(one.requests[1]?.headers).toMatchObject({ range: `bytes=${Math.floor(file.length * share)}-`, "if-range": '"a"' });
    expect(two.requests).toHaveLength(0);
    expect(bench.events.map((event) => event.kind)).toEqual(["broken", "resumed"]);
  });

  test.each([0.01, 0.25, 0.6, 0.99])("at %d goes on with another upstream once its bytes are proven equal", async (share) => {
    const one = await listen(
      serveFile(file, {
        etag: '"a"',
        ...breakThenRefuse(share),
      }),
    );
    const two = await listen(serveFile(file, { etag: '"b"' }));
    const bytes = await readAll(sourceOf(await createBench().open([one.url, two.url])));
    expect(bytes.equals(file)).toBe(true);
    const offset = Math.floor(file.length * share);
    const ranges = two.requests.map((request) => request.headers.range);
    expect(ranges).toEqual(offset <= 196_608 ? [undefined] : [`bytes=${offset - 65_536}-`, "bytes=0-131071"]);
  });

  test("that came encoded is begun anew by its reader, never gone on with: positions in it are none in the file", async () => {
    const one = await listen(serveFile(file, cutOnce(0.6)));
    const bench = createBench(labelling("gzip"));
    await expect(readAll(sourceOf(await bench.open([one.url])))).rejects.toThrow(SourceError);
    expect(one.requests).toHaveLength(1);
    expect((await readAll(sourceOf(await bench.open([one.url])))).equals(file)).toBe(true);
  });

  test("under a version that was prescribed goes on, whatever its label: that version is the file itself", async () => {
    const one = await listen(serveFile(file, cutOnce(0.6)));
    const sameAs = {
      size: file.length,
      etag: '"a"',
      lastModified: DATE,
      contentType: undefined,
      contentEncoding: undefined,
      upstream: one.url,
    };
    const bench = createBench(labelling("x-gzip"));
    const answer = await bench.open([one.url], { sameAs, range: { first: 100_000 }, known: async (from, to) => file.subarray(from, to) });
    expect((await readAll(sourceOf(answer))).equals(file.subarray(100_000))).toBe(true);
    expect(one.requests).toHaveLength(2);
  });

  test("is never gone on with from another file of the same name, size and date", async () => {
    const one = await listen(
      serveFile(file, {
        lastModified: DATE,
        ...breakThenRefuse(0.6),
      }),
    );
    const two = await listen(serveFile(resigned, { etag: '"a"', lastModified: DATE }));
    const source = sourceOf(await createBench().open([one.url, two.url]));
    await expect(readAll(source)).rejects.toThrow(/other bytes in a file of the same name and size/);
  });

  test("is never gone on with from the same upstream if that changed the file meanwhile", async () => {
    let current = serveFile(file, { etag: '"a"', send: cutAfter(0.6) });
    const one = await listen((request, response) => current(request, response));
    const source = sourceOf(await createBench().open([one.url]));
    const head = await source.read();
    current = serveFile(resigned, { etag: '"a2"' });
    expect(head).not.toBeNull();
    const rest = readAll(source);
    await expect(rest).rejects.toBeInstanceOf(SourceError);
    await expect(rest).rejects.toMatchObject({ failure: { kind: "failure", status: 502 } });
  });

  test("is not gone on with from a file of another size", async () => {
    const one = await listen(serveFile(file, { ...breakThenRefuse(0.6) }));
    const two = await listen(serveFile(Buffer.concat([file, file])));
    await expect(readAll(sourceOf(await createBench().open([one.url, two.url])))).rejects.toThrow(/another size/);
  });

  test("takes no 200 for a resume when the way to the offset is long, and reads over a short one", async () => {
    const long = Buffer.alloc(3_000_000, 5);
    const whole = (body: Buffer) => (share: number) => {
      let count = 0;
      return (_: unknown, response: Parameters<ReturnType<typeof cutAfter>>[0]): void => {
        response.writeHead(200, { "content-length": body.length, etag: '"a"' });
        if (count++ === 0) cutAfter(share)(response, body);
        else response.end(body);
      };
    };
    const far = await listen(whole(long)(0.9));
    await expect(readAll(sourceOf(await createBench().open([far.url])))).rejects.toThrow(/ignores Range/);
    const near = await listen(whole(long)(0.1));
    expect((await readAll(sourceOf(await createBench().open([near.url])))).equals(long)).toBe(true);
  });

  test("takes no 206 from another offset, and asks for the whole file again", async () => {
    let wholes = 0;
    const one = await listen((request, response) => {
      const isResume = request.headers.range !== undefined;
      if (isResume) response.setHeader("content-range", `bytes 0-${file.length - 1}/${file.length}`);
      response.writeHead(isResume ? 206 : 200, { "content-length": file.length, etag: '"a"' });
      if (isResume || wholes++ > 0) response.end(isResume ? Buffer.alloc(file.length) : file);
      else cutAfter(0.6)(response, file);
    });
    expect((await readAll(sourceOf(await createBench().open([one.url])))).equals(file)).toBe(true);
    expect(one.requests.map(({ headers }) => headers.range === undefined)).toEqual([true, false, true]);
  });

  test("takes a 206 whose Content-Range leaves the size open, as the size is known", async () => {
    const one = await listen((request, response) => {
      const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (first > 0) response.setHeader("content-range", `bytes ${first}-${file.length - 1}/*`);
      response.writeHead(first > 0 ? 206 : 200, { "content-length": file.length - first, etag: '"a"' });
      if (first > 0) response.end(file.subarray(first));
      else cutAfter(0.6)(response, file);
    });
    expect((await readAll(sourceOf(await createBench().open([one.url])))).equals(file)).toBe(true);
    expect(one.requests).toHaveLength(2);
  });

  test("ends visibly when the upstream is gone and there is no other", async () => {
    const gone = await refusingUrl();
    const one = await listen(
      serveFile(file, {
        etag: '"a"',
        ...breakThenRefuse(0.6),
      }),
    );
    await expect(readAll(sourceOf(await createBench().open([one.url, gone])))).rejects.toBeInstanceOf(SourceError);
  });

  test("ends visibly where the upstream cuts each answer short without end", async () => {
    const one = await listen(serveFile(Buffer.alloc(60_000_000), { etag: '"a"', send: cutAfter(0.05) }));
    await expect(readAll(sourceOf(await createBench().open([one.url])))).rejects.toBeInstanceOf(SourceError);
    expect(one.requests.length).toBeLessThanOrEqual(11);
  });

  test("keeps to the last byte of a range over a resume", async () => {
    const one = await listen(serveFile(file, cutOnce(0.5)));
    const answer = await createBench().open([one.url], { range: { first: 100_000, last: 299_999 } });
    expect((await readAll(sourceOf(answer))).equals(file.subarray(100_000, 300_000))).toBe(true);
    expect(one.requests[1]?.headers.range).toBe("bytes=200000-299999");
  });

  test.each([
    ["goes on", file, true],
    ["fails", resigned, false],
  ])("in a range %s by what the caller knows of the bytes before it", async (_, second, isSame) => {
    const one = await listen(serveFile(file, breakThenRefuse(0.5)));
    const two = await listen(serveFile(second));
    const known = async (from: number, to: number) => file.subarray(from, to);
    const body = readAll(sourceOf(await createBench().open([one.url, two.url], { range: { first: 400_000 }, known })));
    if (isSame) expect((await body).equals(file.subarray(400_000))).toBe(true);
    else await expect(body).rejects.toBeInstanceOf(SourceError);
  });

  test("goes on to the end of the file where a range was answered with the whole", async () => {
    const one = await listen((request, response) => {
      if (request.headers["if-range"] === undefined) delete request.headers.range;
      serveFile(file, { etag: '"a"', send: request.headers.range === undefined ? cutAfter(0.6) : undefined })(request, response);
    });
    const answer = await createBench().open([one.url], { range: { first: 0, last: 99 } });
    expect(answer).toMatchObject({ first: 0 });
    expect((await readAll(sourceOf(answer))).equals(file)).toBe(true);
  });

  test("keeps to the last byte of a range where the next upstream sends the whole", async () => {
    const one = await listen(serveFile(file, breakThenRefuse(0.5)));
    const two = await listen((_, response) => void response.writeHead(200, { "content-length": file.length }).end(file));
    const known = async (from: number, to: number) => file.subarray(from, to);
    const answer = await createBench().open([one.url, two.url], { range: { first: 100_000, last: 299_999 }, known });
    expect((await readAll(sourceOf(answer))).equals(file.subarray(100_000, 300_000))).toBe(true);
  });

  test("never comes back to an upstream on the strength of an ETag of which no byte was delivered", async () => {
    const mine = Buffer.alloc(3_000_000, 1);
    const theirs = Buffer.alloc(3_000_000, 2);
    const one = await listen(
      serveFile(mine, {
        etag: '"a"',
        send(response, body, request) {
          if (request === 0) response.flushHeaders();
          if (request < 2) setImmediate(() => response.destroy());
          else response.end(body);
        },
      }),
    );
    const two = await listen(serveFile(theirs, { etag: '"b"', ...breakThenRefuse(0.6) }));
    const source = sourceOf(await createBench().open([one.url, two.url]));
    const pieces: Buffer[] = [];
    const read = async (): Promise<void> => {
      for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) pieces.push(Buffer.from(chunk));
    };
    await expect(read()).rejects.toBeInstanceOf(SourceError);
    expect(Buffer.concat(pieces).every((byte) => byte === 2)).toBe(true);
    expect(pieces.length).toBeGreaterThan(0);
  });

  test("without Content-Length and without an end is broken, not complete", async () => {
    const one = await listen((_, response) => {
      response.write(file.subarray(0, 1000), () => response.destroy());
    });
    await expect(readAll(sourceOf(await createBench().open([one.url])))).rejects.toBeInstanceOf(SourceError);
  });

  test("chunked and whole, is complete although no header states its length", async () => {
    const one = await listen((_, response) => {
      response.write(file.subarray(0, 1000));
      response.end(file.subarray(1000));
    });
    const answer = await createBench().open([one.url]);
    expect(answer).toMatchObject({ representation: { size: undefined } });
    expect((await readAll(sourceOf(answer))).equals(file)).toBe(true);
  });
});

describe("a body that stalls", () => {
  test("goes on with the next upstream, in the middle of a read", async () => {
    const one = await listen(serveFile(file, { etag: '"a"', send: (response, body) => void response.write(body.subarray(0, 400_000)) }));
    const two = await listen(serveFile(file, { etag: '"b"' }));
    const bench = createBench();
    const source = sourceOf(await bench.open([one.url, two.url]));
    const pieces: Buffer[] = [];
    let length = 0;
    while (length < 400_000) {
      const chunk = Buffer.from((await source.read())!);
      pieces.push(chunk);
      length += chunk.length;
    }
    const left = once(one.requests[0]!.socket, "close");
    const next = source.read();
    await bench.runOut((ms) => ms === STALL_MS);
    pieces.push(Buffer.from((await next)!));
    pieces.push(await readAll(source));
    expect(Buffer.concat(pieces).equals(file)).toBe(true);
    expect(one.requests).toHaveLength(1);
    await left;
  });

  test("is 504 when no upstream is left to resume it", async () => {
    const one = await listen(
      serveFile(file, {
        send: (response, body, request) => (request === 0 ? void response.write(body.subarray(0, 10)) : response.destroy()),
      }),
    );
    const bench = createBench();
    const source = sourceOf(await bench.open([one.url]));
    await source.read();
    const next = source.read();
    await bench.runOut((ms) => ms === STALL_MS);
    await expect(next).rejects.toMatchObject({ failure: { status: 504 } });
  });
});

describe("cancelling", () => {
  test("lets the connection go, at any time and twice, and never looks like the end of the body", async () => {
    const one = await listen(serveFile(file, { send: (response, body) => void response.write(body.subarray(0, 10)) }));
    const bench = createBench();
    const source = sourceOf(await bench.open([one.url]));
    await source.read();
    const next = source.read();
    const left = once(one.requests[0]!.socket, "close");
    source.cancel("client left");
    source.cancel();
    await expect(next).rejects.toBeInstanceOf(SourceError);
    await left;
    expect(bench.upstreams.snapshot()).toMatchObject([{ bodies: 0 }]);
  });
});
