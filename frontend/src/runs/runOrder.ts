import type { Versioned } from "../live/frames";

/** The fields of a run that determine its order. */
export interface ListedRun extends Versioned {
  createdAt: string;
}

/** Negative if `a` is newer than `b`. Times may differ in precision. */
export function byTime(a: ListedRun, b: ListedRun): number {
  const [early, late] = [Date.parse(b.createdAt), Date.parse(a.createdAt)];
  if (early !== late) return early - late;
  const [exact, other] = [a.createdAt.replace("Z", ""), b.createdAt.replace("Z", "")];
  return exact === other ? 0 : exact < other ? 1 : -1;
}

/**
 * Negative if `a` precedes `b`: newest first. The server's order of runs created at the same time is unknown
 * here, so none of them counts as older than another.
 */
export function before(a: ListedRun, b: ListedRun): number {
  return byTime(a, b) || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}
