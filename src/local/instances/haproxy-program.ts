import { spawnSync } from "node:child_process";
import { done, refused, type Step } from "../step.ts";

/** The first release whose `balance hash` takes an expression. */
const NEEDED: readonly [number, number] = [2, 6];

/** The version of the haproxy in PATH (`2.6.12`). Refuses where there is none, or one that is too old. */
export function findHaproxy(file = "haproxy"): Step<string> {
  const { error, stdout } = spawnSync(file, ["-v"], { encoding: "utf8" });
  if (error !== undefined)
    return refused(`Cannot run haproxy: ${error.message}; install it (apt-get install haproxy, dnf install haproxy).`);
  const [version = "", major = "", minor = ""] = /\d+\.\d+\S*/.exec(stdout)?.[0].match(/(\d+)\.(\d+)\S*/) ?? [];
  if (version === "") return refused(`Cannot find the version of haproxy in what "${file} -v" says: ${stdout.slice(0, 100).trim()}`);
  const isOld = Number(major) < NEEDED[0] || (Number(major) === NEEDED[0] && Number(minor) < NEEDED[1]);
  return isOld ? refused(`Cannot use haproxy ${version}: it must be ${NEEDED.join(".")} or later.`) : done(version);
}

/** Checks a configuration as haproxy itself does, without listening. Refuses with what haproxy says of it. */
export function checkHaproxyConfig(path: string, file = "haproxy"): Step<void> {
  const { status, stderr } = spawnSync(file, ["-c", "-f", path], { encoding: "utf8" });
  return status === 0 ? done(undefined) : refused(`haproxy does not take "${path}": ${stderr.trim()}`);
}
