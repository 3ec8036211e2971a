/** What the source takes from `cloudflare:workers`, for tests of the whole Worker in Node: classes without the platform behind them. */
export class DurableObject<Env> {
  readonly ctx: unknown;
  readonly env: Env;
  constructor(ctx: unknown, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** A class only to be extended. */
export abstract class RpcTarget {
  readonly isLocal = true;
}

export function waitUntil(work: Promise<unknown>): void {
  void work.catch(() => {});
}
