import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { isNoise, messageOf, parseListening, readLines } from "../../../../src/local/server/workerd-output.ts";

test("lines come whole, however the stream cuts them, and the last one without its end", async () => {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line));
  const [begin, end] = [Buffer.from('{"a":"ä"}\n\nb').subarray(0, 7), Buffer.from('{"a":"ä"}\n\nb').subarray(7)];
  stream.write(begin);
  stream.write(end);
  stream.end("c\nd");
  await new Promise((resolve) => void stream.once("end", resolve));
  expect(lines).toEqual(['{"a":"ä"}', "bc", "d"]);
});

test("a message is taken out of its line, and a line of another form is one itself", () => {
  expect(messageOf(JSON.stringify({ timestamp: 1, level: "log", message: '{"method":"GET"}\n{"method":"HEAD"}' }))).toBe(
    '{"method":"GET"}\n{"method":"HEAD"}',
  );
  for (const line of ["*** Received signal #11: Segmentation fault", '{"level":"log"}', "null", "[1]"]) expect(messageOf(line)).toBe(line);
});

test("a line of the control pipe names a socket and its port", () => {
  expect(parseListening('{"event":"listen","socket":"0","port":8787}')).toEqual({ socket: "0", port: 8787 });
  for (const line of ['{"event":"listen-inspector","port":1}', '{"event":"listen","socket":"0"}', "x", "null"]) {
    expect(parseListening(line)).toBeNull();
  }
});

test.each([
  "NOSENTRY Cached data for an ESM module failed its compatibility check; name = worker.js",
  "NOSENTRY per-isolate bootstrap compile cache failed its compatibility check; scripts will be compiled from source; normalized = primordials",
  "stack: 7f3a12 5500aa 0 1234abcd",
])("what workerd says for those who develop it is noise: %s", (message) => {
  expect(isNoise(message)).toBe(true);
});

test("errors of workerd are none", () => {
  for (const message of ["*** Received signal #11: Segmentation fault", "Uncaught exception: boom", "NOSENTRY V8 message callback"]) {
    expect(isNoise(message)).toBe(false);
  }
});
