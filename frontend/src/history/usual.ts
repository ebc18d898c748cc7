import { hasSucceeded } from "./failureHistory";

/** How long runs of a task took, from creation to end: those that succeeded. */
export interface Usual {
  /** The number of runs. */
  count: number;
  p50: number;
  p95: number;
}

interface Timed {
  phase: string;
  durationMs?: number | null | undefined;
}

/** So few durations say nothing. */
const LEAST = 3;

/** The nearest rank of a percentage: a duration that some run took, as in the API. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0;
}

const durationsOf = (runs: readonly Timed[]): number[] =>
  runs.flatMap(({ phase, durationMs }) => (phase === "SUCCEEDED" && durationMs != null ? [durationMs] : []));

/** The usual durations of runs; null if too few succeeded. */
export function usualOf(runs: readonly Timed[]): Usual | null {
  const sorted = durationsOf(runs).sort((one, other) => one - other);
  if (sorted.length < LEAST) return null;
  return { count: sorted.length, p50: percentile(sorted, 50), p95: percentile(sorted, 95) };
}

/** A duration compared with the usual one: `2.3 × the usual`, or null if it is about the same. */
export function comparison(durationMs: number, { p50 }: Usual): string | null {
  if (!p50) return null;
  const times = durationMs / p50;
  if (times >= 1.25) return `${times < 10 ? times.toFixed(1) : Math.round(times).toLocaleString("en")} ×`;
  return times <= 0.8 ? `${Math.round(times * 100)} % of` : null;
}

/**
 * How much longer the newer half of the succeeded runs took than the older half, by their medians, in percent;
 * null if too few succeeded. The newest run is first.
 */
export function trendOf(runs: readonly Timed[]): number | null {
  const durations = durationsOf(runs);
  const half = Math.floor(durations.length / 2);
  if (half < LEAST) return null;
  const [newer, older] = [durations.slice(0, half), durations.slice(-half)].map((part) =>
    percentile(
      part.sort((one, other) => one - other),
      50,
    ),
  );
  return older ? Math.round(((newer ?? 0) / older - 1) * 100) : null;
}

/** The share of the ended runs that succeeded, of those that neither were aborted nor skipped. */
export function successesOf(runs: readonly Timed[]): { succeeded: number; ended: number } {
  const succeeded = runs.filter(({ phase }) => hasSucceeded(phase)).length;
  return { succeeded, ended: succeeded + runs.filter(({ phase }) => FAILED.includes(phase)).length };
}

const FAILED = ["FAILED", "TIMED_OUT"];
