import { hasFailed } from "../actions/failures";
import type { Action } from "../actions/useForest";
import { hasEnded } from "../ui/phases";
import { builtIn, type Context } from "./columns";

/** What the table says about its rows as a whole. */
export interface Summary {
  total: number;
  ended: number;
  failed: number;
  running: number;
  /** The median run time of those that ended, in milliseconds; null without any. */
  median: number | null;
  /** The one with the longest run time, also of those in progress. */
  slowest: { name: string; ms: number } | null;
  /** The estimated time until all have ended, in milliseconds; null if it cannot be said. */
  left: number | null;
}

/** An estimate needs this many ended actions. */
const ENOUGH = 3;

export const HOW_ESTIMATED =
  "Estimated: what is left of the running actions and the whole of those that wait, each at the median run time of " +
  "the ended ones, divided by the number that run now";

/** Summarises actions. */
export function summaryOf(rows: readonly Action[], context: Context): Summary {
  const runTime = builtIn.get("run")?.value;
  const times: number[] = [];
  const elapsed: number[] = [];
  let [ended, failed, waiting] = [0, 0, 0];
  let slowest: Summary["slowest"] = null;
  for (const row of rows) {
    const ms = runTime?.(row, context) ?? null;
    if (typeof ms === "number" && (!slowest || ms > slowest.ms)) slowest = { name: row.name, ms };
    if (hasFailed(row.phase)) failed += 1;
    if (hasEnded(row.phase)) {
      ended += 1;
      if (typeof ms === "number") times.push(ms);
    } else if (typeof ms === "number") elapsed.push(ms);
    else waiting += 1;
  }
  times.sort((one, other) => one - other);
  const median = times.length ? (times[Math.floor((times.length - 1) / 2)] ?? null) : null;
  let left: number | null = null;
  if (median !== null && times.length >= ENOUGH && elapsed.length && context.runEnd === null) {
    const rest = elapsed.reduce((sum, ms) => sum + Math.max(0, median - ms), 0);
    left = (rest + waiting * median) / elapsed.length;
  }
  return { total: rows.length, ended, failed, running: elapsed.length, median, slowest, left };
}

/** The action with the lowest or the highest number in a column; null without any. */
export function bestOf(rows: readonly Action[], id: string, lower: boolean, { valueOf }: Context) {
  let best: { name: string; value: number } | null = null;
  for (const { name } of rows) {
    const value = valueOf(name, id);
    if (typeof value !== "number") continue;
    if (!best || (lower ? value < best.value : value > best.value)) best = { name, value };
  }
  return best;
}
