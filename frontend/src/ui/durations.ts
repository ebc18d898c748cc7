const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const two = (value: number): string => String(value).padStart(2, "0");

/** A short duration: `340 ms`, `7.9 s`, `1 m 07 s`, `3 h 05 m`, `2 d 04 h`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return "0 s";
  if (ms < SECOND) return `${Math.floor(ms)} ms`;
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} m ${two(Math.floor((ms % MINUTE) / SECOND))} s`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${two(Math.floor((ms % HOUR) / MINUTE))} m`;
  return `${Math.floor(ms / DAY)} d ${two(Math.floor((ms % DAY) / HOUR))} h`;
}

/** An elapsed time in whole seconds: tenths would flicker. */
export function formatTicking(ms: number): string {
  return formatDuration(ms < 10 * SECOND ? Math.max(0, Math.floor(ms / SECOND)) * SECOND : ms).replace(
    /^0 ms$|\.0(?= s)/,
    (found) => (found === "0 ms" ? "0 s" : ""),
  );
}

/** An exact duration, so that different ones look different: `1.25 s`, `1 m 30 s`, `2h 00m 10s`. */
export function formatExactly(ms: number): string {
  const whole = Math.round(ms);
  if (whole < SECOND) return `${whole} ms`;
  const fraction = whole % SECOND ? String((whole % SECOND) / SECOND).slice(1) : "";
  const amounts: [number, string][] = [
    [Math.floor(whole / DAY), "d"],
    [Math.floor((whole % DAY) / HOUR), "h"],
    [Math.floor((whole % HOUR) / MINUTE), "m"],
    [Math.floor((whole % MINUTE) / SECOND), "s"],
  ];
  const first = amounts.findIndex(([amount]) => amount > 0);
  const last = fraction ? amounts.length - 1 : amounts.findLastIndex(([amount]) => amount > 0);
  const gap = last - first < 2 ? " " : "";
  return amounts
    .slice(first, last + 1)
    .map(([amount, unit], at) => `${at ? two(amount) : amount}${unit === "s" ? fraction : ""}${gap}${unit}`)
    .join(" ");
}

const UNITS: Record<string, number> = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY };

/** The milliseconds of `90s`, `15m`, `1h30m`, `7d`; null for anything else. */
export function parseDuration(text: string): number | null {
  const parts = text
    .trim()
    .toLowerCase()
    .matchAll(/(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*/gy);
  let total = 0;
  let length = 0;
  for (const [all, amount, unit] of parts) {
    total += Number(amount) * (UNITS[unit ?? ""] ?? 0);
    length += all.length;
  }
  return length > 0 && length === text.trim().length ? Math.round(total) : null;
}
