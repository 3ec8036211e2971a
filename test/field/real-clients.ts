import { readdirSync } from "node:fs";
import { sha256 } from "../support/fixture.ts";
import { openApt } from "../support/clients/apt.ts";
import type { ClientRoot } from "../support/clients/client.ts";
import { openDnf } from "../support/clients/dnf.ts";
import { openZypper } from "../support/clients/zypper.ts";
import { type Client, Refusal } from "./model-clients.ts";

/** The real apt over `deb [trusted=yes] URL <source>`: update, then download `name`. It checks all digests, and no signature. */
export function aptDownload(source: string, name: string): Client {
  return run((url) => openApt(url, { source: `deb [trusted=yes] ${url} ${source}` }), name);
}

/** The real dnf, without signature checks: makecache, then download `name`. */
export function dnfDownload(name: string): Client {
  return run((url) => openDnf(url, { baseurl: url }, { isUnsigned: true }), name);
}

/** The real zypper, which asks for signatures and takes their absence. */
export function zypperDownload(name: string): Client {
  return run((url) => openZypper(url, { isUnsigned: true }), name);
}

function run(open: (url: string) => ClientRoot, name: string): Client {
  return async (url) => {
    const client = open(url);
    try {
      const refreshed = await client.refresh();
      if (refreshed.code !== 0) throw new Refusal(`refresh fails: ${tail(refreshed)}`);
      const got = await client.download({ name, path: "" });
      if (got.code !== 0) throw new Refusal(`download fails: ${tail(got)}`);
      const files = [...client.downloads()].map(([file, bytes]) => [file.replaceAll("%3a", ":"), sha256(bytes)] as const);
      if (files.length === 0) throw new Refusal(`nothing is downloaded: ${tail(got)} ${readdirSync(client.root).join(" ")}`);
      return Object.fromEntries(files);
    } finally {
      client.remove();
    }
  };
}

function tail({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string {
  return `${stdout}\n${stderr}`.split("\n").slice(-12).join("\n");
}
