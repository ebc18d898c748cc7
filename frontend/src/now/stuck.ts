import { formatDuration } from "../ui/durations";

/** Runs that must have succeeded before others are compared with them. */
export const ENOUGH = 5;

export interface Compared {
  createdAt: string;
  typicalDuration?: { runs: number; p95Ms: number | string } | null;
}

/** How many times as long as 95 % of its task's runs it takes; null if it does not take longer. */
export function excess({ createdAt, typicalDuration }: Compared, now: number): number | null {
  if (!typicalDuration || typicalDuration.runs < ENOUGH) return null;
  const usual = Number(typicalDuration.p95Ms);
  const took = now - Date.parse(createdAt);
  return took > usual ? took / Math.max(usual, 1) : null;
}

/** `6.4 × as long`; whole numbers from 10 on. */
export function describeExcess(by: number): string {
  if (by < 1.1) return "a little longer";
  return `${by < 10 ? by.toFixed(1) : Math.round(by).toLocaleString("en")} × as long`;
}

const ago = (time: string, now: number): string => formatDuration(Math.max(0, now - Date.parse(time)));

/** Why a run without reports is listed. */
export function describeSilence(
  run: { executor?: string | null; leaseExpiresAt?: string | null; lastReportedAt?: string | null },
  now: number,
): string {
  const silence = run.lastReportedAt ? `no report for ${ago(run.lastReportedAt, now)}` : "no report yet";
  if (!run.leaseExpiresAt || Date.parse(run.leaseExpiresAt) > now) return silence;
  return `executor ${run.executor ?? ""} lost: its lease ended ${ago(run.leaseExpiresAt, now)} ago; ${silence}`;
}

const times = (count: number): string => (count === 1 ? "once" : `${count} times`);

/** Why an abort is listed. */
export function describeAbort(abort: {
  state: string;
  attemptCount: number;
  lastError?: string | null;
}): string {
  const { state, attemptCount, lastError } = abort;
  if (state === "FAILED")
    return `abort failed after ${attemptCount} attempts: check whether it still runs${lastError ? ` (${lastError})` : ""}`;
  if (state === "REQUESTED" && !attemptCount) return "abort requested, executor not notified yet";
  return `executor notified ${times(attemptCount)}, has not confirmed${lastError ? ` (${lastError})` : ""}`;
}
