import { quotasOf } from "../../../src/retention/batch.ts";
import type { SiteDependencies } from "../../../src/app.ts";
import { createCounters } from "../../../src/watch/counters.ts";
import { parseConfig } from "../../../src/config/parse-config.ts";

/** A site of one mirror of each kind. */
export function siteDependencies(vars: Record<string, unknown> = {}): SiteDependencies {
  const mirror = (distro?: string) => ({ upstreams: ["http://one.example/tree"], ...(distro === undefined ? {} : { distro }) });
  const distros = ["fedora", "opensuse", "debian", "debian-security", "archlinux", "alpine", "koji"];
  const parsed = parseConfig({
    MIRRORS: { ...Object.fromEntries(distros.map((distro) => [distro, mirror(distro)])), plain: mirror() },
    ...vars,
  });
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return {
    config: parsed.config,
    ownHosts: [],
    operator: {
      token: undefined,
      budget: 1,
      retentionDays: 1,
      ledger: () => ({}) as never,
      flush: async () => {},
      forget: async () => {},
      onPurged: async () => {},
      transfer: {} as never,
    },
    pages: {
      isLocal: true,
      status: {
        counters: createCounters(),
        mirrors: [...parsed.config.mirrors.keys()],
        quotas: quotasOf(parsed.config),
        budget: 1,
        verify: "index",
        now: () => 0,
        fills: () => [],
        upstreams: () => [],
        storage: () => Promise.reject(new Error("no ledger")),
        repositories: () => Promise.reject(new Error("no ledger")),
        history: () => Promise.reject(new Error("no ledger")),
      },
      why: {} as never,
    },
    links: {
      repositories: { metalink: async () => null, resolve: async () => ({ kind: "opaque" }) },
      refuseClient: async () => null,
    },
  };
}
