import type { Target } from "../../route/target.ts";
import { streamBody } from "../answer/body.ts";
import { redirectToFolder, refuse, refuseAbsent, refuseFailure, refuseUnsatisfiable } from "../answer/failure.ts";
import { type Client, isLengthBlind } from "../shared/client.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";
import { createCheckedSink } from "../judge/checked-sink.ts";
import { passNatively, rangeToPass } from "./natively.ts";
import { passedHeaders } from "./head.ts";

/** Encoded, or long and without a length: passed on as it is, neither stored nor shared; a clean end only where nothing speaks against it. */
export async function passThrough(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const { mirror, path, query } = target;
  const range = deps.native === null ? undefined : rangeToPass(client);
  const upstream = await deps.upstreams.open({ mirror, path, query, class: target.class, ...(range === undefined ? {} : { range }) });
  if (upstream.kind === "absent") return refuseAbsent(upstream.status, target);
  if (upstream.kind === "folder") return redirectToFolder(target);
  if (upstream.kind === "failure") return refuseFailure(upstream);
  if (upstream.kind === "unsatisfiable") return refuseUnsatisfiable(upstream.size);
  if (upstream.kind !== "body") return refuse(502, `The upstream answered with ${upstream.kind}`);
  const { representation, source } = upstream;
  const headers = passedHeaders(representation);
  const passed = await passNatively(client, target, upstream, deps);
  if (passed !== null) {
    for (const [name, value] of Object.entries(passed.headers)) headers.set(name, value);
    return new Response(passed.body, { status: passed.status, headers });
  }
  const isPlain = representation.contentEncoding === undefined;
  const isChunked = representation.size === undefined || isLengthBlind(client);
  const body = streamBody(client, representation.size ?? null, isChunked, async (sink) => {
    try {
      // What is known of a file is known of its bytes, not of an encoding.
      const checked = isPlain ? await createCheckedSink(target, representation, deps, sink) : null;
      for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) await (checked ?? sink).write(chunk.slice());
      await checked?.finish();
    } finally {
      source.cancel("the client has been served");
    }
  });
  if (isChunked) headers.delete("Content-Length");
  return new Response(body, { headers, ...(isPlain ? {} : { encodeBody: "manual" }) });
}
