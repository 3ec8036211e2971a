import { commandName } from "../command-name.ts";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { adminTokenPath, readAdminToken, readReadToken } from "../admin-token.ts";
import type { Config } from "../../config/config.ts";
import { formatHostPattern } from "../../config/host-names.ts";
import { formatNetwork } from "../../http/network.ts";
import { resolveOwnHost } from "../server/announcement.ts";
import { formatEndpoint, resolveEndpoint } from "../server/free-port.ts";
import { lockFolder } from "../server/state-folder.ts";
import { done, refused, type Step } from "../step.ts";
import { startAnnouncer } from "./announcer.ts";
import type { InstancesOptions } from "./command-line.ts";
import { haproxyConfig, type HaproxyOptions } from "./haproxy-config.ts";
import { checkHaproxyConfig, findHaproxy } from "./haproxy-program.ts";
import { basicAuthorization, instanceVars, type Vars, writeInstance } from "./instance-config.ts";
import { type Kept, keepRunning } from "./keep-running.ts";

export interface Project {
  /** The node, the file and its first arguments that start one instance. */
  readonly server: readonly [string, ...string[]];
}

/** All that runs. */
export interface RunningInstances {
  /** Settles with a reason when something ended at its start. */
  readonly refused: Promise<string>;
  /** Settles when haproxy answers through every instance; false: it was stopped before. */
  readonly ready: Promise<boolean>;
  readonly description: string;
  /** Lets downloads under way end, `graceSeconds` at most, and ends everything. */
  stop(): Promise<void>;
}

const HEALTH_RETRY_MS = 100;
/** Beyond the grace an instance flushes its files and closes its databases. */
const END_MS = 20_000;

/** The addresses below which everything listens, all on loopback. */
function addressesOf({ firstPort, count }: Pick<InstancesOptions, "firstPort" | "count">) {
  const names = Array.from({ length: count }, (_, at) => String(at + 1));
  return {
    peers: `127.0.0.1:${firstPort}`,
    instances: names.map((name) => ({ name, address: `127.0.0.1:${firstPort + Number(name)}` })),
  };
}

/** What a balancer's configuration is made of, with these options. */
export function balancerOptions(options: InstancesOptions, config: Config): HaproxyOptions {
  const { listen, threads, graceSeconds } = options;
  const { peers, instances } = addressesOf(options);
  return {
    bind: formatEndpoint(listen),
    peerBind: peers,
    announcer: peers,
    instances,
    hosts: hostsOf(config),
    trusted: config.trustedProxies.map(formatNetwork),
    threads,
    graceSeconds,
  };
}

/** The hosts of each mirror, that are the mirror as a whole, as the operator wrote them. Of a host's folder the path is the file's home: under each name of the mirror another one. */
function hostsOf(config: Config): readonly (readonly [string, readonly string[]])[] {
  return [...config.mirrors.values()].map(({ name, hosts }) => [name, hosts.filter(({ folder }) => folder === "").map(formatHostPattern)]);
}

/** Starts instances, announcer and haproxy. Refuses with every problem that can be seen before. */
export async function runInstances(
  options: InstancesOptions,
  vars: Vars,
  config: Config,
  { server: [node, ...server] }: Project,
  print: (line: string) => void,
): Promise<Step<RunningInstances>> {
  const { count, graceSeconds, quiet, firstPort, listen } = options;
  if (firstPort + count > 65_535)
    return refused(`Cannot use --first-port ${firstPort}: it and the ${count} ports after it must be below 65536.`);
  if (listen.port >= firstPort && listen.port <= firstPort + count)
    return refused(
      `Cannot listen on port ${listen.port}: it is one of the instances' own, ${firstPort} to ${firstPort + count}; choose another with --port or --first-port.`,
    );
  const { peers, instances } = addressesOf(options);
  const state = resolve(options.state);
  const found = options.haproxy ? findHaproxy() : done("of your own");
  if (!found.ok) return found;
  const inner = await Promise.all(
    [...(options.haproxy ? [peers] : []), ...instances.map(({ address }) => address)].map((one) => resolveEndpoint(parseAddress(one))),
  );
  const outer = options.haproxy ? await resolveEndpoint(options.listen) : done(options.listen);
  const taken = [
    ...inner.flatMap((step) => (step.ok ? [] : step.problems.map((problem) => problem.replace("--port", "--first-port")))),
    ...(outer.ok ? [] : outer.problems),
  ];
  if (taken.length > 0) return refused(...taken);
  const locked = lockState(state);
  if (!locked.ok) return locked;
  const lock = locked.value;
  const refuseLocked = <T>(step: Step<T>): Step<T> => {
    lock.close();
    return step;
  };
  let tokens: Parameters<typeof writeInstance>[2];
  const haproxyFile = join(state, "haproxy.cfg");
  const secret = randomBytes(24).toString("base64url");
  let configs: readonly string[];
  try {
    tokens = { admin: readAdminToken(state), read: readReadToken(state) };
    configs = instances.map(({ name }) => writeInstance(join(state, name), instanceVars(vars, { name, count, peers, secret }), tokens));
    writeFileSync(haproxyFile, haproxyConfig(balancerOptions(options, config)), { mode: 0o600 });
  } catch (error) {
    return refuseLocked(describeUnwritable(state, error));
  }
  const checked = options.haproxy ? checkHaproxyConfig(haproxyFile) : done(undefined);
  if (!checked.ok) return refuseLocked(checked);

  const { host, port } = parseAddress(peers);
  const urls = instances.map(({ address }) => `http://${address}`);
  const announcer = await startAnnouncer({ host, port, instances: urls, authorization: basicAuthorization(secret), log: print });
  const { promise: refusal, resolve: refuse } = Promise.withResolvers<string>();
  let isStopping = false;
  const servers = instances.map(({ name, address }, at) =>
    keepRunning({
      name,
      command: [
        node,
        ...server,
        "--config",
        configs[at] ?? "",
        "--state",
        join(state, name),
        "--listen",
        address,
        "--grace",
        String(graceSeconds),
        ...(quiet ? ["--quiet"] : []),
      ],
      // Started by npm, a server looks whether its parent still runs: ours ends when we are killed.
      env: { ...process.env, npm_lifecycle_event: "start" },
      print,
      onRefused: () => refuse(`Instance ${name} does not start: see above.`),
    }),
  );
  // util-linux: the kernel ends haproxy when we are killed.
  const haproxy = !options.haproxy
    ? null
    : keepRunning({
        name: "haproxy",
        command: ["setpriv", "--pdeathsig", "TERM", "haproxy", "-db", "-q", "-f", haproxyFile],
        print,
        onRefused: () => refuse("haproxy does not start: see above."),
      });
  return done({
    refused: refusal,
    ready: waitUntilReady(),
    description: [
      `${count} instances behind ${options.haproxy ? `haproxy ${found.value}` : "a balancer of your own"}: http://${formatEndpoint(options.listen)}/`,
      `The operator's pages of an instance: /-/instances/1/-/status. Its commands: ${commandName("mirror")} --server http://127.0.0.1:${parseAddress(peers).port + 1} --state "${options.state}" status`,
      `The operator's token: ${adminTokenPath(options.state)}`,
    ].join("\n"),
    async stop() {
      if (isStopping) return;
      isStopping = true;
      // SIGUSR1: haproxy takes no new connection and ends with the last download, or by hard-stop-after.
      await haproxy?.stop("SIGUSR1", (graceSeconds + 1) * 1000);
      announcer.close();
      await Promise.all(servers.map((one: Kept) => one.stop("SIGTERM", graceSeconds * 1000 + END_MS)));
      lock.close();
    },
  });

  async function waitUntilReady(): Promise<boolean> {
    const own = `http://${formatEndpoint({ ...listen, host: resolveOwnHost(listen.host) })}`;
    const kept = [
      ...servers.map((program, at) => [program, urls[at] ?? ""] as const),
      ...(haproxy === null ? [] : [[haproxy, own] as const]),
    ];
    const all = await Promise.all(
      kept.map(async ([program, url]) => {
        while (!(await isHealthy(url))) {
          if (isStopping) return false;
          await sleep(HEALTH_RETRY_MS);
        }
        program.noteReady();
        return true;
      }),
    );
    return !isStopping && all.every(Boolean);
  }
}

/** Locks the state folder: a second command on it would overwrite the configurations by which what runs is started again. */
function lockState(state: string): ReturnType<typeof lockFolder> {
  try {
    mkdirSync(state, { recursive: true, mode: 0o700 });
  } catch (error) {
    return describeUnwritable(state, error);
  }
  return lockFolder(state);
}

function describeUnwritable(state: string, error: unknown): Step<never> {
  return refused(`Cannot keep state in "${state}": ${(error as Error).message}; choose a folder that can be written with --state.`);
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/-/health`, { signal: AbortSignal.timeout(5_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}
