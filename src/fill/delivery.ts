import type { FillEnd } from "./shared/fill.ts";

/** Takes delivered bytes. Both methods reject when the client has left. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  /** Takes a whole stream natively; rejects where it ends before `length` bytes. */
  pipe(stream: ReadableStream<Uint8Array>, length: number): Promise<void>;
}

/** The bytes wanted cannot be delivered: a body that has begun must be aborted. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
  readonly end: FillEnd;
  constructor(end: FillEnd) {
    super(end.kind === "failure" ? end.detail : explain(end.kind));
    this.end = end;
  }
}

function explain(kind: Exclude<FillEnd["kind"], "failure">): string {
  return kind === "unproven"
    ? "nothing shows that what the upstream sends now continues what was sent"
    : `the upstream's file is ${kind} now`;
}
