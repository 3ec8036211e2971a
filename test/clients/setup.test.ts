import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Origin } from "../support/origin.ts";
import { startOrigin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";
import { SETUP_CASES, type Tree } from "./setup-cases.ts";
import { canRunSystems, runInSystem } from "./setup-system.ts";

const write = (files: Readonly<Record<string, string>>) =>
  Object.entries(files)
    .map(([path, content]) => `mkdir -p ${dirname(path)}\nprintf %s '${content}' > ${path}\n`)
    .join("");

describe.runIf(canRunSystems())("the set-up script", () => {
  for (const one of SETUP_CASES) {
    describe.runIf(requireTools("unshare", "curl", "wget", "busybox", ...one.tools))(`for ${one.distro}`, () => {
      let tree: Tree;
      let served: string;
      let origin: Origin;
      let mirror: MirrorProcess;

      beforeAll(async () => {
        tree = await one.openTree();
        served = mkdtempSync(join(tmpdir(), "lazy-mirror-tree-"));
        for (const [place, folder] of Object.entries(tree.links)) {
          mkdirSync(dirname(join(served, place)), { recursive: true });
          symlinkSync(folder, join(served, place));
        }
        origin = await startOrigin(served);
        const table = (distro: string) => ({ [distro]: { distro, upstreams: [origin.url] } });
        const broken = { broken: { distro: one.distro, upstreams: [`${origin.url}/nothing-here`] } };
        const closed = { distro: one.distro, upstreams: [origin.url], access: { users: { alice: "correct:horse/%" } } };
        mirror = await startMirror({
          // The first mirror of a distribution is the one for its security archive, so the others come behind.
          mirrors: { ...table(one.distro), ...(one.also === undefined ? {} : table(one.also)), ...broken },
          vars: { MIRRORS_CLOSED: JSON.stringify({ closed }) },
        });
      });
      afterAll(async () => {
        await mirror?.remove();
        await origin?.close();
        for (const folder of [served, tree?.folder]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
      });

      const url = (name = one.distro) => `${mirror.url}/-/setup/${name}.sh`;
      const script = (name?: string) => `curl -fsS ${url(name)}`;
      /** All that undo has to bring back: kinds, modes, owners, and the bytes. */
      const list = `{ find ${one.etc} -exec stat -c '%n %N %a %u %g' {} + | sort; find -L ${one.etc} -type f -exec md5sum {} + | sort; }`;
      const machine = () => `${one.clear}\n${one.install(tree)}\n${write(one.own)}${write(one.foreign)}`;
      const foreign = Object.keys(one.foreign).join(" ");

      // Each test has a machine of its own, and they share nothing but the mirror: all cores have something to do.
      it.concurrent("makes the package manager install from the mirror, leaves every byte of others alone, and names what it leaves", async () => {
        const run = await runInSystem(`${machine()}
          md5sum ${foreign} > /tmp/before
          ${script()} | sh >/dev/null
          md5sum -c /tmp/before >/dev/null; ${one.distro === "archlinux" ? "" : `rm ${foreign}`}
          ${one.find}`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stdout).toMatch(one.found);
        const left =
          Object.values(one.foreign)
            .join("\n")
            .match(/^[^#\n]*https?:\/\/[^\s]+/gm) ?? [];
        if (one.distro !== "archlinux")
          for (const line of left) expect(run.stderr).toContain(`left as it is: ${line.replace(/^.*?(?=https?:)/, "")}`);
        expect(run.stderr).toContain(`sudo sh /var/lib/lazy-mirror/${one.distro}/undo`);
        expect(run.stderr).toContain(`curl -fsS ${url()} | sudo sh -s -- --undo`);
      });

      // The script is the same text in both ways to start a mirror.
      if (process.env["MIRROR"] !== "npm start") return;

      it.concurrent("changes nothing the second time, in busybox's shell and fetched with wget, and undo without the mirror restores everything", async () => {
        const [linked = ""] = Object.keys(one.own);
        const run = await runInSystem(`${machine()}
          mkdir -p /opt/kept; mv ${linked} /opt/kept/linked; ln -s /opt/kept/linked ${linked}; chmod 640 /opt/kept/linked; chown 0:1 /opt/kept/linked
          ${list} > /tmp/before; stat -c '%a %u %g' /opt/kept/linked >> /tmp/before
          ${script()} | dash >/dev/null; ${list} > /tmp/once
          wget -qO- ${url()} | busybox sh >/dev/null; ${list} > /tmp/twice
          diff /tmp/once /tmp/twice; if cmp -s /tmp/before /tmp/once; then exit 9; fi
          busybox sh /var/lib/lazy-mirror/${one.distro}/undo; ${list} > /tmp/after; stat -c '%a %u %g' /opt/kept/linked >> /tmp/after
          diff /tmp/before /tmp/after; [ ! -e /var/lib/lazy-mirror ]
          ${script()} | sh >/dev/null; ${script()} | sh -s -- --undo
          ${list} > /tmp/after; stat -c '%a %u %g' /opt/kept/linked >> /tmp/after; diff /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0, stdout: "" });
      });

      it.concurrent("undoes itself when the update fails", async () => {
        const run = await runInSystem(`${machine()}
          ${list} > /tmp/before; if ${script("broken")} | sh >/dev/null; then exit 9; fi; ${list} > /tmp/after
          diff /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stderr).toContain("everything is as it was before");
      });

      it.concurrent("restores what a run that was killed had changed", async () => {
        const command = one.distro === "alpine" ? "apk" : one.tools[0];
        const run = await runInSystem(`${machine()}
          real=$(command -v ${command}); cp "$real" /tmp/real; ${list} > /tmp/before
          ${script()} > /tmp/script
          printf '#!/bin/sh\\n[ ! -e /var/lib/lazy-mirror/*/files ] || kill -9 0\\nexec /tmp/real "$@"\\n' > /tmp/killer; chmod +x /tmp/killer
          rm "$real"; mv /tmp/killer "$real"
          if setsid -w sh /tmp/script >/dev/null; then exit 9; fi
          ${list} > /tmp/between; if cmp -s /tmp/before /tmp/between; then exit 8; fi
          rm "$real"; cp /tmp/real "$real"; sh /tmp/script --undo; ${list} > /tmp/after; diff /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0 });
      });

      it.concurrent("writes a file of its own on a machine that has no such source, and takes it away again", async () => {
        const run = await runInSystem(`${one.clear}
          ${one.install(tree)}
          ${list} > /tmp/before; ${script()} | sh >/dev/null; ${one.distro === "alpine" ? "apk update" : one.find.replace(/ && cat .*?;.*| && pacman-conf.*/, "")} >/dev/null
          grep -rqF '${mirror.url}/${one.distro}' ${one.etc}
          sh /var/lib/lazy-mirror/${one.distro}/undo; ${list} > /tmp/after; diff /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0 });
      });

      it.concurrent("logs in where the mirror requires it, with a password that only root can read, and forgets it with undo", async () => {
        const run = await runInSystem(`${machine()}
          ${list} > /tmp/before
          if ${script("closed")} | setsid -w sh >/dev/null; then exit 9; fi
          ${script("closed")} | LAZY_MIRROR_PASSWORD='correct:horse/%' sh -s -- --user alice >/dev/null
          for path in $(grep -rlE 'correct:horse/%|alice|%61' ${one.etc} /var/lib/lazy-mirror); do stat -c '%a' "$path"; done | sort -u
          sh /var/lib/lazy-mirror/closed/undo; ${list} > /tmp/after; diff /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0, stdout: "600\n" });
        expect(run.stderr).toContain("LAZY_MIRROR_PASSWORD");
      });

      it.concurrent("refuses a machine of another distribution, and one that is not root, before it touches anything", async () => {
        const run = await runInSystem(`${machine()}
          printf 'ID=plan9\\n' > /usr/lib/os-release; ${list} > /tmp/before
          if ${script()} | sh; then exit 9; fi
          ${script()} > /tmp/script; if setpriv --reuid 65534 --clear-groups sh /tmp/script; then exit 9; fi; ${list} > /tmp/after
          diff /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stderr).toContain("Cannot set up plan9");
        expect(run.stderr).toContain("run it as root");
      });

      it.concurrent("keeps what was changed by hand since", async () => {
        const [changed = ""] = Object.keys(one.own);
        const run = await runInSystem(`${machine()}
          ${script()} | sh >/dev/null 2>&1; echo '# by hand' >> ${changed}; ${script()} | sh -s -- --undo
          grep -l 'by hand' /var/lib/lazy-mirror/*.changed`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stderr).toContain(`${changed} was changed after the set-up`);
      });

      const hiddenBy: Readonly<Record<string, string>> = {
        debian: `mv /etc/apt/sources.list.d /etc/apt/other.d; printf 'Dir::Etc::SourceParts "/etc/apt/other.d";' > /etc/apt/apt.conf.d/99other`,
        fedora: `mkdir /etc/other.repos.d; cp /etc/yum.repos.d/* /etc/other.repos.d; printf '[main]\\nreposdir=/etc/other.repos.d\\n' > /etc/dnf/dnf.conf`,
        archlinux: `mv /etc/pacman.d/mirrorlist /etc/pacman.d/deeper; echo 'Include = /etc/pacman.d/deeper' > /etc/pacman.d/mirrorlist`,
      };
      const hidden = hiddenBy[one.distro];
      if (hidden === undefined) return;
      it.concurrent("fails, and undoes itself, when the package manager would still ask the distribution", async () => {
        const run = await runInSystem(`${machine()}
          ${hidden}
          ${list} > /tmp/before; if ${script()} | sh >/dev/null; then exit 9; fi; ${list} > /tmp/after
          diff /tmp/before /tmp/after`);
        expect(run).toMatchObject({ code: 0 });
        expect(run.stderr).toContain("it still goes to the distribution's own servers");
      });

      if (one.distro !== "debian") return;
      it.concurrent("needs nothing but apt to be fetched, and replaces another mirror that it is asked to", async () => {
        const run = await runInSystem(`${machine()}
          printf 'deb http://other.invalid/pub/debian/ stable main\\n' > /etc/apt/sources.list
          /usr/lib/apt/apt-helper download-file ${url()} /tmp/script >/dev/null
          sh /tmp/script --replace http://other.invalid/pub/debian/ >/dev/null; cat /etc/apt/sources.list`);
        expect(run).toMatchObject({
          code: 0,
          stdout: `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror.url}/debian stable main\n`,
        });
      });
    });
  }
});
