import { type FailableData, hasFailed, kindOf } from "../actions/failures";
import { hasEnded } from "../ui/phases";
import type { Pair } from "./match";

/** What differs between two actions. The first that applies counts. */
export type Kind =
  "fails" | "error" | "phase" | "added" | "removed" | "slower" | "fixed" | "faster" | "attempts" | "same";

/** All kinds with their names, the most telling first. */
export const KINDS: readonly { kind: Kind; label: string }[] = [
  { kind: "fails", label: "Failed only after" },
  { kind: "error", label: "Another error" },
  { kind: "phase", label: "Another phase" },
  { kind: "added", label: "Only after" },
  { kind: "removed", label: "Only before" },
  { kind: "slower", label: "Slower" },
  { kind: "fixed", label: "Failed only before" },
  { kind: "faster", label: "Faster" },
  { kind: "attempts", label: "Other attempts" },
  { kind: "same", label: "Equal" },
];

export interface ComparedData extends FailableData {
  attempts: number;
  type: string;
}

export interface Difference<Data extends ComparedData = ComparedData> extends Pair<Data> {
  kind: Kind;
  /** The run times in milliseconds; null while it runs, or if it never ran. */
  beforeMs: number | null;
  afterMs: number | null;
}

/** From this factor and this many milliseconds on an action is slower or faster. */
const FACTOR = 1.5;
const LEAST_MS = 1_000;

/** From start to end, in milliseconds. */
export function runTimeOf(action: ComparedData | null): number | null {
  if (!action?.startedAt || !action.endedAt) return null;
  return Math.max(0, Date.parse(action.endedAt) - Date.parse(action.startedAt));
}

export function differenceOf<Data extends ComparedData>(pair: Pair<Data>): Difference<Data> {
  const beforeMs = runTimeOf(pair.before);
  const afterMs = runTimeOf(pair.after);
  return { ...pair, beforeMs, afterMs, kind: kindOfPair(pair, beforeMs, afterMs) };
}

function kindOfPair(
  { before, after }: Pair<ComparedData>,
  beforeMs: number | null,
  afterMs: number | null,
): Kind {
  if (!before) return "added";
  if (!after) return "removed";
  const [failedBefore, failsAfter] = [hasFailed(before.phase), hasFailed(after.phase)];
  if (failsAfter && !failedBefore) return "fails";
  if (failsAfter && kindOf(before.error) !== kindOf(after.error)) return "error";
  if (failedBefore && hasEnded(after.phase) && !failsAfter) return "fixed";
  if (before.phase !== after.phase) return "phase";
  if (beforeMs !== null && afterMs !== null && Math.abs(afterMs - beforeMs) >= LEAST_MS) {
    if (afterMs >= beforeMs * FACTOR) return "slower";
    if (beforeMs >= afterMs * FACTOR) return "faster";
  }
  return before.attempts === after.attempts ? "same" : "attempts";
}

/** Differences by kind, within a kind the largest change of time first, or the first in time. */
export function inOrder<Data extends ComparedData>(
  differences: readonly Difference<Data>[],
): Difference<Data>[] {
  const order = new Map(KINDS.map(({ kind }, at) => [kind, at]));
  const keys = new Map(differences.map((each) => [each, sortKey(each)]));
  return [...differences].sort(
    (one, other) =>
      (order.get(one.kind) ?? 0) - (order.get(other.kind) ?? 0) ||
      (keys.get(one) ?? 0) - (keys.get(other) ?? 0),
  );
}

function sortKey({ kind, before, after, beforeMs, afterMs }: Difference): number {
  if (kind === "slower" || kind === "faster") return -Math.abs((afterMs ?? 0) - (beforeMs ?? 0));
  const action = after ?? before;
  return Date.parse(action?.endedAt ?? action?.createdAt ?? "");
}

/** Where two runs part. */
export interface Divergence<Data extends ComparedData = ComparedData> {
  difference: Difference<Data>;
  /** When, in milliseconds after the start of its run. */
  at: number;
}

const OUTCOMES: readonly Kind[] = ["fails", "error", "phase", "added", "removed", "fixed"];

/**
 * The first difference in outcome, and the first action that took longer, each by the time since its run began. What is
 * further down counts if several happened at once: a parent fails because of its child.
 */
export function firstDivergence<Data extends ComparedData>(
  differences: readonly Difference<Data>[],
  beganBefore: number,
  beganAfter: number,
): { outcome: Divergence<Data> | null; slower: Divergence<Data> | null } {
  let outcome: Divergence<Data> | null = null;
  let slower: Divergence<Data> | null = null;
  const earlier = (one: Divergence<Data>, known: Divergence<Data> | null): boolean =>
    !known || one.at < known.at || (one.at === known.at && one.difference.depth > known.difference.depth);
  for (const difference of differences) {
    const { kind, depth, before, after } = difference;
    if (depth === 0) continue;
    if (kind === "slower" && after?.startedAt) {
      // When it had ended in the run before.
      const found = { difference, at: Date.parse(after.startedAt) - beganAfter + (difference.beforeMs ?? 0) };
      if (earlier(found, slower)) slower = found;
    } else if (OUTCOMES.includes(kind)) {
      const action = after ?? before;
      const time =
        kind === "added" || kind === "removed" ? action?.createdAt : (action?.endedAt ?? action?.createdAt);
      const found = { difference, at: Date.parse(time ?? "") - (after ? beganAfter : beganBefore) };
      if (earlier(found, outcome)) outcome = found;
    }
  }
  return { outcome, slower };
}

/** A change of time: `×3.2`, `÷2`; empty if it is small or unknown. */
export function factorOf(beforeMs: number | null, afterMs: number | null): string {
  if (beforeMs === null || afterMs === null || Math.abs(afterMs - beforeMs) < LEAST_MS) return "";
  const ratio = Math.max(afterMs, 1) / Math.max(beforeMs, 1);
  const text = (factor: number): string =>
    factor >= 10 ? Math.round(factor).toLocaleString("en") : String(Math.round(factor * 10) / 10);
  if (ratio >= FACTOR) return `×${text(ratio)}`;
  return 1 / ratio >= FACTOR ? `÷${text(1 / ratio)}` : "";
}
