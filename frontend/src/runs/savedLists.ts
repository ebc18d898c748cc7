import type { LiveRuns } from "./useRunList";

/** The number of lists kept, for the newest history entries. */
const MOST = 5;
const kept = new Map<string, LiveRuns>();

/** The saved list of a history entry. */
export function findList(entry: string | undefined): LiveRuns | undefined {
  return entry === undefined ? undefined : kept.get(entry);
}

/** Saves the list of a history entry. */
export function keepList(entry: string | undefined, list: LiveRuns): void {
  if (entry === undefined) return;
  kept.delete(entry);
  kept.set(entry, list);
  for (const oldest of [...kept.keys()].slice(0, -MOST)) kept.delete(oldest);
}
