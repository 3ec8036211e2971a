import type { Target } from "../../route/target.ts";
import { identityBody, type IdentityBody } from "../../upstream/identity-body.ts";
import { SourceError } from "../../upstream/upstream.ts";
import { streamBody } from "../answer/body.ts";
import { redirectToFolder, refuse, refuseAbsent, refuseFailure, refuseUnsatisfiable } from "../answer/failure.ts";
import { type Client, isLengthBlind } from "../shared/client.ts";
import type { ServeDependencies } from "../shared/dependencies.ts";
import { createCheckedSink } from "../judge/checked-sink.ts";
import { passNatively, rangeToPass } from "./natively.ts";
import { passedHeaders } from "./head.ts";

/** Too long for this plan's CPU, or of another version by now: passed on, neither stored nor shared; a clean end only where nothing speaks against it. */
export async function passThrough(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const { mirror, path, query } = target;
  const range = deps.native === null ? undefined : rangeToPass(client);
  const upstream = await deps.upstreams.open({ mirror, path, query, class: target.class, ...(range === undefined ? {} : { range }) });
  if (upstream.kind === "absent") return refuseAbsent(upstream, target);
  if (upstream.kind === "folder") return redirectToFolder(target);
  if (upstream.kind === "failure") return refuseFailure(upstream);
  if (upstream.kind === "unsatisfiable") return refuseUnsatisfiable(upstream.size);
  if (upstream.kind !== "body") return refuse(502, `The upstream answered with ${upstream.kind}`);
  const passed = await passNatively(client, target, upstream, deps);
  if (passed !== null) {
    const headers = passedHeaders(target, upstream.representation);
    for (const [name, value] of Object.entries(passed.headers)) headers.set(name, value);
    return new Response(passed.body, { status: passed.status, headers });
  }
  let body: IdentityBody;
  try {
    body = await identityBody(upstream.source, { path, representation: upstream.representation });
  } catch (error) {
    upstream.source.cancel("not readable");
    if (error instanceof SourceError) return refuseFailure(error.failure);
    throw error;
  }
  const { source, size } = body;
  const representation = { ...upstream.representation, size, contentEncoding: undefined };
  const isChunked = size === undefined || isLengthBlind(client);
  const stream = streamBody(client, size ?? null, isChunked, async (sink) => {
    try {
      const checked = await createCheckedSink(target, { ...representation, isKept: false }, deps, sink);
      for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) await checked.write(chunk.slice());
      await checked.finish();
    } finally {
      source.cancel("the client has been served");
    }
  });
  const headers = passedHeaders(target, representation);
  if (isChunked) headers.delete("Content-Length");
  return new Response(stream, { headers });
}
