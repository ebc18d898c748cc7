import { hasEnded } from "../ui/phases";
import type { Span } from "./useZoom";

/** A segment of a timeline line. */
export interface Bar {
  from: number;
  to: number;
  kind: "queued" | "running" | "earlier";
  phase: string;
  label: string;
}

interface Timed {
  phase: string;
  attempts: number;
  createdAt: string;
  startedAt?: string | null;
  endedAt?: string | null;
}

export interface AttemptTimes {
  attempt: number;
  phase: string;
  startedAt: string;
  endedAt?: string | null;
}

/**
 * The segments of a timeline line: waiting, earlier attempts, and the latest attempt. An unfinished one
 * extends to `until`: now, or the end of a finished run.
 */
export function barsOf(
  action: Timed,
  earlier: readonly AttemptTimes[],
  until: number,
  isOver = false,
): Bar[] {
  const created = Date.parse(action.createdAt);
  const started = action.startedAt ? Date.parse(action.startedAt) : null;
  const end = action.endedAt
    ? Date.parse(action.endedAt)
    : hasEnded(action.phase)
      ? (started ?? created)
      : until;
  const isCutOff = isOver && !action.endedAt && !hasEnded(action.phase);
  const bars: Bar[] = earlier
    .filter(({ attempt, endedAt }) => attempt < action.attempts && endedAt)
    .map(({ attempt, phase, startedAt, endedAt }) => ({
      from: Date.parse(startedAt),
      to: Date.parse(endedAt ?? startedAt),
      kind: "earlier",
      phase,
      label: `attempt ${attempt}`,
    }));
  const waitedFrom = bars.length ? Math.max(...bars.map(({ to }) => to)) : created;
  const waitedTo = started ?? end;
  if (waitedTo > waitedFrom) {
    const phase = started === null && !hasEnded(action.phase) ? action.phase : "QUEUED";
    bars.push({
      from: waitedFrom,
      to: waitedTo,
      kind: "queued",
      phase,
      label: isCutOff && started === null ? "never ran" : "waited",
    });
  }
  if (started !== null) {
    const ran = action.attempts > 1 ? `attempt ${action.attempts}` : "ran";
    const label = isCutOff ? `${ran}, no end reported` : ran;
    bars.push({ from: started, to: Math.max(end, started), kind: "running", phase: action.phase, label });
  }
  return bars;
}

/** The position of a bar within the span, in percent; null if it lies outside. */
export function placed(
  { from, to }: { from: number; to: number },
  span: Span,
): { left: number; width: number } | null {
  const width = span.to - span.from;
  if (to < span.from || from > span.to || width <= 0) return null;
  const left = Math.max(0, ((from - span.from) / width) * 100);
  const right = Math.min(100, ((to - span.from) / width) * 100);
  return { left, width: Math.max(0, right - left) };
}
