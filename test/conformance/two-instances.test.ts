import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { DNF_TOOLS, openDnf } from "../support/clients/dnf.ts";
import { download } from "../support/download.ts";
import { sha256 } from "../support/fixture.ts";
import { findFreePort, startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { openRpmRepository } from "../support/rpm-repository.ts";
import type { RpmRepository } from "../support/rpm-repository.ts";
import { requireTools, runTool } from "../support/run-tool.ts";

/** As docs/operations.md has it. One file goes to one cache while that is well; what one instance cannot answer, the other is asked for. */
const haproxyConfig = (port: number, servers: readonly MirrorProcess[]): string => `
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response response-timeout 502 503 504
  option httpchk GET /-/health
frontend mirror
  bind 127.0.0.1:${port}
  default_backend instances
backend instances
  balance uri
  hash-type consistent
  default-server check inter 500ms fall 2 rise 1
${servers.map((server, at) => `  server m${at} 127.0.0.1:${server.port}`).join("\n")}
`;

/** koji's request_with_retry and downloadFile; \`tries\` is what its caller does about a body that was cut. */
const KOJI = `
import hashlib, sys, requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry
def download(url):
    session = requests.Session()
    retry = Retry(total=3, read=3, connect=3, backoff_factor=0.3, status_forcelist=(500, 502, 504, 408, 429))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    response = session.get(url, stream=True, headers={"User-Agent": "koji/1.35"})
    response.raise_for_status()
    digest, length = hashlib.sha256(), 0
    for chunk in response.iter_content(chunk_size=1024**2):
        digest.update(chunk)
        length += len(chunk)
    wanted = response.headers.get("Content-Length")
    if wanted is not None and int(wanted) != length:
        raise IOError("Downloaded file length differs")
    return digest.hexdigest()
for url in sys.argv[2:]:
    for left in reversed(range(int(sys.argv[1]))):
        try:
            print(download(url))
            break
        except (IOError, requests.RequestException):
            if left == 0:
                raise
`;

const BUILDS = 2;

describe.runIf(requireTools(...DNF_TOOLS, "haproxy", "python3"))("two instances of one mirror", () => {
  let folder: string;
  let repository: RpmRepository;
  let origin: Origin;
  let mirrors: readonly [MirrorProcess, MirrorProcess];
  let haproxy: ChildProcess;
  let balanced: string;
  let finished = 0;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-two-"));
    repository = await openRpmRepository();
    origin = await startOrigin(repository.folder);
    const setup = { mirrors: { m: { upstreams: [origin.url] } }, vars: { METADATA_TTL_SECONDS: 1, SLICE_MIB: 1, HOLD_MIB: 0.5 } };
    mirrors = [await startMirror(setup), await startMirror(setup)];
    const port = await findFreePort();
    writeFileSync(join(folder, "haproxy.cfg"), haproxyConfig(port, mirrors));
    haproxy = spawn("haproxy", ["-db", "-q", "-f", join(folder, "haproxy.cfg")], { stdio: "ignore" });
    balanced = `http://127.0.0.1:${port}/m`;
    const health = async (): Promise<void> => {
      const { status } = await download(`http://127.0.0.1:${port}/-/health`);
      if (status !== 200) throw new Error(`haproxy answers ${status}, should be 200`);
    };
    await vi.waitFor(health, { timeout: 20_000 });
  });
  afterAll(async () => {
    if (haproxy !== undefined && haproxy.exitCode === null) {
      haproxy.kill("SIGKILL");
      await once(haproxy, "exit");
    }
    await Promise.all((mirrors ?? []).map((mirror) => mirror.remove()));
    await origin?.close();
    for (const path of [folder, repository?.folder]) if (path !== undefined) rmSync(path, { recursive: true, force: true });
  });

  /** Installs a package of several megabytes with what needs it into a new root; what went wrong, or null. */
  async function buildWithDnf(baseurl: string): Promise<string | null> {
    // The key comes from elsewhere: real systems have it on disk.
    const dnf = openDnf(origin.url, { baseurl });
    const runs = [await dnf.refresh(), await dnf.install({ name: "mirror-test-small++", path: "" })];
    dnf.remove();
    const failed = runs.find(({ code }) => code !== 0);
    return failed === undefined ? null : `dnf ended with ${failed.code}: ${failed.stdout}${failed.stderr}`;
  }

  async function buildWithKoji(tries: number): Promise<string | null> {
    const paths = repository.paths();
    const run = await runTool("python3", [
      "-c",
      KOJI,
      String(tries),
      ...paths.map((path) => `${balanced}/${path.replaceAll("^", "%5E").replaceAll("+", "%2B")}`),
    ]);
    if (run.code !== 0) return `koji's download ended with ${run.code}: ${run.stderr}`;
    const digests = paths.map((path) => sha256(join(repository.folder, path)));
    return run.stdout.trimEnd() === digests.join("\n") ? null : "koji's download brought other bytes";
  }

  /** Builds again and again while `trouble` goes on, and once more after it. All that failed. */
  async function buildThrough(builds: readonly (() => Promise<string | null>)[], trouble: () => Promise<void>): Promise<readonly string[]> {
    let isOver = false;
    const failures: string[] = [];
    const clients = builds.map(async (build) => {
      for (let turn = 0; turn < BUILDS || !isOver; turn++) {
        const failure = await build();
        finished += 1;
        if (failure !== null) failures.push(failure);
      }
    });
    await trouble();
    isOver = true;
    await Promise.all(clients);
    return failures;
  }

  async function forEach(act: (mirror: MirrorProcess) => Promise<void>): Promise<void> {
    for (const mirror of mirrors) {
      await act(mirror);
      await moreBuilds();
      await mirror.start();
      await moreBuilds();
    }
  }

  /** Until every client has gone through what the last change did. */
  async function moreBuilds(): Promise<void> {
    const before = finished;
    await expect.poll(() => finished, { timeout: 60_000 }).toBeGreaterThan(before + 3);
  }

  test("behind haproxy, restarted or upgraded one after the other, fail no build and cut no download of koji's", async () => {
    const failures = await buildThrough([() => buildWithDnf(balanced), () => buildWithKoji(1), () => buildWithKoji(1)], async () => {
      await forEach((mirror) => mirror.stop());
      await repository.publish();
      await forEach((mirror) => mirror.stop());
    });
    expect(failures).toEqual([]);
  });

  test("behind haproxy, killed one after the other, fail no build", async () => {
    const failures = await buildThrough([() => buildWithDnf(balanced), () => buildWithKoji(3), () => buildWithKoji(3)], async () => {
      await forEach((mirror) => mirror.kill());
      await repository.publish();
      await forEach((mirror) => mirror.kill());
    });
    expect(failures).toEqual([]);
  });

  test("at two baseurls of dnf, stopped or killed one after the other, fail no build", async () => {
    const baseurl = mirrors.map((mirror) => mirror.prefixUrl("m")).join(" ");
    const failures = await buildThrough([() => buildWithDnf(baseurl), () => buildWithDnf(baseurl)], async () => {
      await forEach((mirror) => mirror.stop());
      await forEach((mirror) => mirror.kill());
    });
    expect(failures).toEqual([]);
  });
});
