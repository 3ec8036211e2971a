import { isInNetwork, type Network } from "../http/network.ts";
import { printable } from "../http/printable.ts";

/** A name and password, or a token, that a client sent. */
export interface Login {
  /** What it is for, as it stands in the log: `the mirror closed`, `the operator's pages`. */
  readonly place: string;
  /** As the client wrote it; null: there is none. */
  readonly user: string | null;
  /** The client's address as the platform states it; null where it states none. */
  readonly address: string | null;
  /** Whether there is such a user. Names that do not exist are counted as one, so that a client cannot make us remember each that it invents. */
  readonly isUserKnown: boolean;
}

/** What became of logins in this isolate. */
export interface FailedLogins {
  /**
   * Seconds that the client has to wait before its credentials are looked at; 0: they are. It is never above 0 for a client whose address is not known:
   * all such clients count as one, and one that guesses would lock the operator out.
   */
  waitBefore(login: Login): number;
  /** Counts and logs one that failed. Returns the seconds that a client above its limit is asked to wait; 0: it is below. */
  failed(login: Login): number;
}

const WINDOW_MS = 60_000;
/** Failures of one user at one place from one address in a window; who fails more often is asked to wait, but let in with the right credentials … */
const MAX_FAILURES = 30;
/** … until it is no mistake any more, but guessing. Clients behind one address may wait for another's guesses then, each for its own user name. */
const MAX_GUESSES = 100;
/** Lines in a window, of all clients together: a flood of guesses does not fill the log. */
const MAX_LINES = 10;
const MAX_COUNTED = 1_000;
const MAX_SHOWN = 64;

/** 127.0.0.0/8 and ::1 (RFC 6890): a proxy on this machine took the request, and its address says nothing about the client. */
const LOOPBACK: readonly Network[] = [
  { bytes: [127, 0, 0, 0], bits: 8 },
  { bytes: [...Array.from({ length: 15 }, () => 0), 1], bits: 128 },
];

/** Logs failed logins and counts them by windows of a minute. `now` is in milliseconds; `log` takes one line. */
export function createFailedLogins({ now, log }: { readonly now: () => number; readonly log: (line: string) => void }): FailedLogins {
  let began = -Infinity;
  let lines = 0;
  let unlogged = 0;
  const counts = new Map<string, number>();

  function turn(): void {
    if (now() - began < WINDOW_MS && now() >= began) return;
    began = now();
    lines = 0;
    counts.clear();
  }

  function keyOf({ place, user, address, isUserKnown }: Login): string {
    return JSON.stringify([place, isUserKnown ? user : null, address]);
  }

  const secondsLeft = (): number => Math.max(1, Math.ceil((began + WINDOW_MS - now()) / 1000));

  return {
    waitBefore(login) {
      turn();
      return isOfOneClient(login.address) && (counts.get(keyOf(login)) ?? 0) >= MAX_GUESSES ? secondsLeft() : 0;
    },
    failed(login) {
      turn();
      const key = keyOf(login);
      const count = (counts.get(key) ?? 0) + 1;
      if (counts.has(key) || counts.size < MAX_COUNTED) counts.set(key, count);
      if (lines < MAX_LINES) {
        log(`Failed login at ${describe(login)}${unlogged > 0 ? ` (and ${unlogged} before it that are not in the log)` : ""}`);
        lines++;
        unlogged = 0;
      } else unlogged++;
      return count > MAX_FAILURES ? secondsLeft() : 0;
    },
  };
}

/** Whether an address tells this client from others. */
function isOfOneClient(address: string | null): boolean {
  return address !== null && !LOOPBACK.some((network) => isInNetwork(address, network));
}

function describe({ place, user, address }: Login): string {
  const shown = user === null ? "" : ` as ${JSON.stringify(user.length > MAX_SHOWN ? `${user.slice(0, MAX_SHOWN)}…` : user)}`;
  return printable(`${place}${shown}${address === null ? "" : ` from ${address}`}`);
}
