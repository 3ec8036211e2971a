import { type Config, isLocalFolder } from "../../config/config.ts";
import { openGateway } from "../gateway/gateway.ts";
import { describeProxies, readProxies } from "../gateway/proxy-settings.ts";
import { done, type Step } from "../step.ts";
import type { StartOptions } from "./command-line.ts";
import { type KeyPair, readKeyPair } from "./key-pair.ts";

const RENEWAL_CHECK_MS = 60_000;

/** The ways into the server and out of it that plain HTTP is not. */
export interface Ways {
  /** The certificate and key of https endpoints as they were last read; null: there are none. */
  readonly keyPair: () => KeyPair | null;
  /** Looks at both files every minute, and at each `check`; where they are another pair that can be used, has `restart` put it into use. */
  readonly watchRenewal: (restart: () => Promise<void>) => { readonly check: () => void; end(): void };
  /** The path of the gateway's socket; null: workerd fetches everything itself. */
  readonly gateway: string | null;
  readonly isProxied: boolean;
  close(): void;
}

/** Reads certificate and key, and opens the gateway where a proxy or a local folder needs it. `print` takes lines for the operator. */
export async function openWays(
  { keyPair: files }: Pick<StartOptions, "keyPair">,
  { mirrors, offline }: Pick<Config, "mirrors" | "offline">,
  stateFolder: string,
  print: (line: string) => void,
): Promise<Step<Ways>> {
  const first = files === null ? done(null) : readKeyPair(files);
  if (!first.ok) return first;
  let pair = first.value;
  for (const warning of pair?.warnings ?? []) print(warning);
  const proxies = readProxies(process.env);
  if (!proxies.ok) return proxies;
  const upstreams = [...mirrors.values()].flatMap((mirror) => mirror.upstreams);
  const folders = upstreams.filter(isLocalFolder).map(({ url }) => url);
  if (offline) print("OFFLINE is true: no upstream is asked, and what is stored is served however old it is.");
  else if (proxies.value !== null) {
    const lines = describeProxies(
      proxies.value,
      upstreams.map(({ url }) => url),
    );
    for (const line of lines) print(line);
  }
  const isNeeded = !offline && (proxies.value !== null || folders.length > 0);
  const gateway = isNeeded ? await openGateway(stateFolder, proxies.value, folders) : done(null);
  if (!gateway.ok) return gateway;
  return done({
    keyPair: () => pair,
    watchRenewal(restart) {
      let said = "";
      const check = (): void => {
        if (files === null) return;
        const next = readKeyPair(files);
        // A renewal writes one file after the other: what is no pair now may be one a minute later.
        const wrong = next.ok ? (next.value.isCurrent ? [] : next.value.warnings) : next.problems;
        const problem = wrong.length === 0 ? "" : `The certificate in use stays. ${wrong.join(" ")}`;
        if (problem !== "" && problem !== said) print(problem);
        said = problem;
        if (!next.ok || !next.value.isCurrent || (next.value.certificate === pair?.certificate && next.value.key === pair.key)) return;
        pair = next.value;
        print("The certificate changed: workerd starts anew with it, once requests under way have ended.");
        void restart();
      };
      const timer = files === null ? undefined : setInterval(check, RENEWAL_CHECK_MS);
      return { check, end: () => clearInterval(timer) };
    },
    gateway: gateway.value?.socket ?? null,
    isProxied: !offline && proxies.value !== null,
    close: () => gateway.value?.close(),
  });
}
