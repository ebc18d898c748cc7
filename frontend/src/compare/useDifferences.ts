import { useEffect, useState } from "react";
import { type Action, type ActionForest, useForestVersion } from "../actions/useForest";
import { inSlices } from "../ui/slices";
import { type Difference, differenceOf, firstDivergence, inOrder } from "./difference";
import { type Pair, matchActions } from "./match";

export interface Differences {
  /** All pairs, those that differ first. */
  all: readonly Difference<Action>[];
  counts: ReadonlyMap<string, number>;
  divergence: ReturnType<typeof firstDivergence<Action>>;
}

/** How often a comparison follows runs in progress, in milliseconds. */
const FOLLOW_MS = 3_000;

/** The compared actions of two runs; null until both are known. */
export function useDifferences(before: ActionForest, after: ActionForest): Differences | null {
  const old = useForestVersion(before, FOLLOW_MS, "version");
  const now = useForestVersion(after, FOLLOW_MS, "version");
  const [found, setFound] = useState<{
    of: ActionForest;
    with: ActionForest;
    differences: Differences;
  } | null>(null);
  const isKnown = before.synced && after.synced;
  useEffect(() => {
    if (!isKnown) return;
    const stopped = new AbortController();
    void inSlices(compare(before, after), stopped.signal).then((differences) => {
      if (differences) setFound({ of: before, with: after, differences });
    });
    return () => stopped.abort();
  }, [before, after, isKnown, old, now]);
  return found?.of === before && found.with === after ? found.differences : null;
}

function* compare(before: ActionForest, after: ActionForest): Generator<void, Differences> {
  const pairs: Pair<Action>[] = yield* matchActions(before, after);
  const differences: Difference<Action>[] = [];
  const counts = new Map<string, number>();
  for (const [at, pair] of pairs.entries()) {
    const difference = differenceOf(pair);
    differences.push(difference);
    counts.set(difference.kind, (counts.get(difference.kind) ?? 0) + 1);
    if (at % 500 === 499) yield;
  }
  yield;
  // Only what differs is sorted; all else stays in the order of the tree.
  const differing = inOrder(differences.filter(({ kind }) => kind !== "same"));
  yield;
  const equal = differences.filter(({ kind }) => kind === "same");
  const divergence = firstDivergence(differing, before.firstMs, after.firstMs);
  return { all: [...differing, ...equal], counts, divergence };
}
