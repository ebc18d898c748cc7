import type { LiveRuns } from "./useRunList";

/** Lists that are kept, those of the newest entries of the history. */
const MOST = 5;
const kept = new Map<string, LiveRuns>();

/** What the list of this entry of the history was when it was left. */
export function findList(entry: string | undefined): LiveRuns | undefined {
  return entry === undefined ? undefined : kept.get(entry);
}

/** Keeps the list for when somebody goes back to this entry. */
export function keepList(entry: string | undefined, list: LiveRuns): void {
  if (entry === undefined) return;
  kept.delete(entry);
  kept.set(entry, list);
  for (const oldest of [...kept.keys()].slice(0, -MOST)) kept.delete(oldest);
}
