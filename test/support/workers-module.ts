/** What the source takes from `cloudflare:workers`, for tests of the whole Worker in Node: classes without the platform behind them. */
export class DurableObject<Env> {
  readonly ctx: unknown;
  readonly env: Env;
  constructor(ctx: unknown, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class RpcTarget {}

export function waitUntil(work: Promise<unknown>): void {
  void work.catch(() => {});
}
