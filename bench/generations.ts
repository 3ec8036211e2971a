/**
 * 200 clients that update again and again while the upstream publishes new generations: what do they see that does not belong together? Once with
 * hash-prefixed names, once with plain ones, where a client may get repomd.xml of one generation and a member of the next: that cannot be helped, only
 * kept rare. Then real apt by the dozen. Run: node bench/generations.ts [seconds]
 */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { openAptRepository } from "../test/support/apt-repository.ts";
import { openApt } from "../test/support/clients/apt.ts";
import { download } from "../test/support/download.ts";
import { startMirror } from "../test/support/mirror.ts";
import { startOrigin } from "../test/support/origin.ts";
import { openRpmRepository } from "../test/support/rpm-repository.ts";

const SECONDS = Number(process.argv[2] ?? 30);
const CLIENTS = 200;
const APTS = 24;
const TTL_SECONDS = 2;
const PAUSE_MS = 3_000;

interface Count {
  updates: number;
  swaps: number;
  errors: number;
  /** Members that are not what the client's repomd.xml names. */
  mismatches: number;
  /** Signatures that are not those of the client's repomd.xml. */
  unsigned: number;
}

console.log("| repository | clients | swaps | updates | errors | members of another generation | signatures of another generation |");
console.log("|---|---|---|---|---|---|---|");
for (const simpleNames of [false, true]) {
  const { updates, swaps, errors, mismatches, unsigned } = await measureRpm(simpleNames);
  console.log(
    `| rpm-md, ${simpleNames ? "plain" : "hash-prefixed"} names | ${CLIENTS} | ${swaps} | ${updates} | ${errors} | ${mismatches} | ${unsigned} |`,
  );
}
const apt = await measureApt();
console.log(`| deb, by-hash, real apt | ${APTS} | ${apt.swaps} | ${apt.updates} | ${apt.errors} | - | - |`);

async function measureRpm(simpleNames: boolean): Promise<Count> {
  const repository = await openRpmRepository();
  await repository.publish({ simpleNames });
  const origin = await startOrigin(repository.folder);
  const mirror = await startMirror({ mirrors: { m: { upstreams: [origin.url] } }, vars: { METADATA_TTL_SECONDS: TTL_SECONDS } });
  const count: Count = { updates: 0, swaps: 0, errors: 0, mismatches: 0, unsigned: 0 };
  /** SHA-256 of each repomd.xml → of its signature. */
  const signatures = new Map<string, string>();
  const note = async (): Promise<void> => {
    const [root, signature] = [await get(`${origin.url}/repodata/repomd.xml`), await get(`${origin.url}/repodata/repomd.xml.asc`)];
    signatures.set(root.sha256, signature.sha256);
  };
  await note();
  let isOver = false;
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!isOver) {
      await update(mirror.prefixUrl("m"), signatures, count);
      await sleep(Math.random() * 500);
    }
  });
  for (const end = Date.now() + SECONDS * 1000; Date.now() < end; await sleep(PAUSE_MS)) {
    await repository.add({ name: "mirror-test-new", version: `1.${count.swaps}`, bytes: 3000 });
    await repository.publish({ simpleNames });
    await note();
    count.swaps++;
  }
  isOver = true;
  await Promise.all(clients);
  await mirror.remove();
  await origin.close();
  rmSync(repository.folder, { recursive: true });
  return count;
}

/** In zypper's order: signature, then repomd.xml, then its members. */
async function update(url: string, signatures: ReadonlyMap<string, string>, count: Count): Promise<void> {
  const signature = await get(`${url}/repodata/repomd.xml.asc`);
  const root = await get(`${url}/repodata/repomd.xml`);
  if (root.status !== 200 || signature.status !== 200) return void count.errors++;
  if (signatures.has(root.sha256) && signatures.get(root.sha256) !== signature.sha256) count.unsigned++;
  const data = root.bytes.toString().matchAll(/<checksum type="sha256">(\w+)<\/checksum>[^]*?<location href="([^"]+)"/g);
  for (const [, digest, href = ""] of data) {
    const member = await get(`${url}/${href}`);
    if (member.status !== 200 || !member.isWhole) count.errors++;
    else if (member.sha256 !== digest) count.mismatches++;
  }
  count.updates++;
}

async function measureApt(): Promise<Pick<Count, "updates" | "swaps" | "errors">> {
  const repository = await openAptRepository();
  const origin = await startOrigin(repository.folder);
  const mirror = await startMirror({
    mirrors: { m: { distro: "debian", upstreams: [origin.url] } },
    vars: { METADATA_TTL_SECONDS: TTL_SECONDS },
  });
  const count = { updates: 0, swaps: 0, errors: 0 };
  let isOver = false;
  const clients = Array.from({ length: APTS }, async () => {
    const client = openApt(mirror.prefixUrl("m"), repository.key);
    while (!isOver) {
      const { code, stderr } = await client.refresh();
      count.updates++;
      if (code === 0) continue;
      count.errors++;
      console.error(stderr);
    }
    client.remove();
  });
  for (const end = Date.now() + SECONDS * 1000; Date.now() < end; await sleep(PAUSE_MS)) {
    await repository.add({ name: "mirror-test-new", version: `1.${count.swaps}-1`, bytes: 3000 });
    await repository.publish();
    count.swaps++;
  }
  isOver = true;
  await Promise.all(clients);
  await mirror.remove();
  await origin.close();
  rmSync(repository.folder, { recursive: true });
  return count;
}

async function get(url: string): ReturnType<typeof download> {
  return download(url, { isKept: url.endsWith("repomd.xml") });
}
