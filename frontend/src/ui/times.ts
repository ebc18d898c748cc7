import { formatExactly } from "./durations";

/** The time formats of the page. */
export type TimeMode = "relative" | "local" | "utc";

export const TIME_MODES: readonly TimeMode[] = ["relative", "local", "utc"];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const two = (value: number): string => String(value).padStart(2, "0");

/** The parts of a time, local or UTC. */
function parts(ms: number, utc: boolean): { date: string; time: string; seconds: string; year: number } {
  const date = new Date(utc ? ms : ms - new Date(ms).getTimezoneOffset() * MINUTE);
  const year = date.getUTCFullYear();
  return {
    year,
    date: `${year}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`,
    time: `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`,
    seconds: two(date.getUTCSeconds()),
  };
}

const WITHOUT_ZONE = /^(\d{4}-\d\d-\d\d)(?:[T ]+(\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?$/;

/** Parses typed text to milliseconds since 1970; without an offset it is UTC or local. */
export function parseTime(text: string, utc: boolean): number {
  const [, date, time = "00:00"] = WITHOUT_ZONE.exec(text.trim()) ?? [];
  return Date.parse(date ? `${date}T${time}${utc ? "Z" : ""}` : text);
}

/** Formats a time so that `parseTime` can parse it, to the second. */
export function formatForInput(ms: number, utc: boolean): string {
  const { date, time, seconds } = parts(ms, utc);
  return `${date} ${time}${seconds === "00" ? "" : `:${seconds}`}`;
}

/** A relative time with one unit: `now`, `12 s ago`, `5 m ago`, `in 3 h`. */
export function formatRelative(ms: number, now: number): string {
  const distance = Math.abs(now - ms);
  if (distance < 5_000) return "now";
  const text =
    distance < MINUTE
      ? `${Math.floor(distance / 1_000)} s`
      : distance < 60 * MINUTE
        ? `${Math.floor(distance / MINUTE)} m`
        : distance < DAY
          ? `${Math.floor(distance / (60 * MINUTE))} h`
          : distance < 61 * DAY
            ? `${Math.floor(distance / DAY)} d`
            : distance < 731 * DAY
              ? `${Math.floor(distance / (30.44 * DAY))} months`
              : `${Math.floor(distance / (365.25 * DAY))} years`;
  return ms <= now ? `${text} ago` : `in ${text}`;
}

/** A time in the page's mode, without today's date and without the current year. */
export function formatTime(ms: number, mode: TimeMode, now: number): string {
  if (mode === "relative") return formatRelative(ms, now);
  const utc = mode === "utc";
  const then = parts(ms, utc);
  const today = parts(now, utc);
  const clock = `${then.time}:${then.seconds}`;
  const date = then.year === today.year ? then.date.slice(5) : then.date;
  return `${then.date === today.date ? clock : `${date} ${clock}`}${utc ? " UTC" : ""}`;
}

/** The time of day to the millisecond, local or UTC. */
export function formatClock(ms: number, utc: boolean): string {
  const { time, seconds } = parts(ms, utc);
  return `${time}:${seconds}.${String(((ms % 1_000) + 1_000) % 1_000).padStart(3, "0")}`;
}

/** A time in all formats, for a tooltip. */
export function describeTime(ms: number, now: number): string {
  const local = parts(ms, false);
  const zone = new Intl.DateTimeFormat("en", { timeZoneName: "short" })
    .formatToParts(ms)
    .find((part) => part.type === "timeZoneName")?.value;
  return [
    new Date(ms).toISOString(),
    `${local.date} ${local.time}:${local.seconds} ${zone ?? "local"}`,
    formatRelative(ms, now),
  ].join("\n");
}

const STEPS = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  1_000,
  2_000,
  5_000,
  10_000,
  15_000,
  30_000,
  60_000,
  120_000,
  300_000,
  600_000,
  900_000,
  1_800_000,
  3_600_000,
  7_200_000,
  10_800_000,
  21_600_000,
  43_200_000,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
  28 * DAY,
  91 * DAY,
  365 * DAY,
];

/** At most `most` round times within a range: local, UTC, or relative to `start`. */
export function timeTicks(
  from: number,
  to: number,
  most: number,
  mode: TimeMode,
  start: number,
): { at: number; label: string }[] {
  if (!(to > from) || most < 1) return [];
  const step = STEPS.find((size) => (to - from) / size < most) ?? (to - from) / most;
  const origin =
    mode === "relative" ? start : mode === "utc" ? 0 : new Date(from).getTimezoneOffset() * MINUTE;
  const ticks: { at: number; label: string }[] = [];
  for (let n = Math.ceil((from - origin) / step); origin + n * step <= to; n += 1) {
    const at = mode === "local" && step > HOUR ? toLocalTime(origin + n * step, from) : origin + n * step;
    if (at < from || at > to) continue;
    ticks.push({ at, label: tickLabel(at, step, mode, start) });
  }
  return ticks;
}

/** Corrects for a daylight saving change since `from`: the time that shows the expected local time. */
function toLocalTime(at: number, from: number): number {
  const offset = (ms: number): number => new Date(ms).getTimezoneOffset() * MINUTE;
  const moved = at + offset(at) - offset(from);
  // In spring the clocks skip an hour.
  return offset(moved) === offset(at) ? moved : at;
}

function tickLabel(at: number, step: number, mode: TimeMode, start: number): string {
  if (mode === "relative") {
    const since = at - start;
    return since === 0 ? "0" : `${since < 0 ? "−" : "+"}${formatExactly(Math.abs(since))}`;
  }
  const { date, time, seconds } = parts(at, mode === "utc");
  const isMidnight = time === "00:00" && seconds === "00" && at % 1_000 === 0;
  if (step >= DAY || isMidnight) return step < DAY ? `${date.slice(5)} ${time}` : date;
  if (step >= MINUTE) return time;
  const fraction = step < 1_000 ? (((at % 1_000) + 1_000) % 1_000).toString().padStart(3, "0") : "";
  return `${time}:${seconds}${fraction ? `.${fraction}` : ""}`;
}
