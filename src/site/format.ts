/** `12,345`: a number of things. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** `3 min`: in one unit, rounded. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.round(whole / 60)} min`;
  if (whole < 172_800) return `${Math.round(whole / 3_600)} h`;
  return `${Math.round(whole / 86_400)} days`;
}

/** `2026-11-22 14:05:09 UTC`, from milliseconds since the epoch. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `75.0 %`, from a share of 0 to 1. */
export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
