import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { sendRequest } from "../../../src/local/send-request.ts";

async function listen(answer: RequestListener): Promise<URL> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

async function read(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const part of response as AsyncIterable<Buffer>) text += String(part);
  return text;
}

test("a request goes out as it is written, and a redirect is an answer like any other", async () => {
  const url = await listen((request, response) => {
    response.writeHead(302, { Location: "/elsewhere" }).end(`${request.headers.host ?? ""} ${request.url ?? ""}`);
  });
  const response = await sendRequest(url, { path: "/a//%2e/b?c", headers: { host: "fedora.lan" }, agent: false });
  expect(response.statusCode).toBe(302);
  expect(await read(response)).toBe("fedora.lan /a//%2e/b?c");
});

test("a body that breaks off throws, and is not complete", async () => {
  const url = await listen((_request, response) => {
    response.writeHead(200, { "Content-Length": "10" }).write("half", () => response.destroy());
  });
  const response = await sendRequest(url, { agent: false });
  await expect(read(response)).rejects.toThrow("aborted");
  expect(response.complete).toBe(false);
});

test("without an answer it says why", async () => {
  const silent = await listen(() => {});
  await expect(sendRequest(silent, { agent: false, timeout: 50 })).rejects.toThrow("no answer for 0.05 s");
  await expect(sendRequest(new URL("http://127.0.0.1:1/"), { agent: false })).rejects.toThrow("ECONNREFUSED");
});
