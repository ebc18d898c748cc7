import type { Versioned } from "../live/frames";

/** What the list needs of a run to keep it in order. */
export interface ListedRun extends Versioned {
  createdAt: string;
}

/** Negative where `a` is newer than `b`. Times may differ in how exact they are written. */
export function byTime(a: ListedRun, b: ListedRun): number {
  const [early, late] = [Date.parse(b.createdAt), Date.parse(a.createdAt)];
  if (early !== late) return early - late;
  const [exact, other] = [a.createdAt.replace("Z", ""), b.createdAt.replace("Z", "")];
  return exact === other ? 0 : exact < other ? 1 : -1;
}

/**
 * Negative where `a` stands above `b`: the newest first. The server has an order of its own for those that
 * were created in one moment, which nobody sees here: never take one of them for older than another.
 */
export function before(a: ListedRun, b: ListedRun): number {
  return byTime(a, b) || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}
