/** How often we check that the npm that started us still runs: an npm that was killed passes no signal on to us. */
const PARENT_CHECK_MS = 1000;
const PARENT = process.ppid;

/** Calls `gone` once the process that started this one has ended, where npm started it. */
export function watchParent(gone: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const check = setInterval(() => {
    if (process.ppid === PARENT) return;
    clearInterval(check);
    gone();
  }, PARENT_CHECK_MS);
  check.unref();
}
