import { useEffect, useMemo, useState } from "react";
import { type ActionForest, useForestVersion } from "../actions/useForest";
import type { TreeFilter } from "../actions/visible";
import { inSlices } from "../ui/slices";
import { criticalMarks, matchMarks } from "./marks";
import type { Graph } from "./model";

/** The matches of a filter by node; null without a filter, and until they are counted. */
export function useMatchMarks(
  graph: Graph | null,
  forest: ActionForest,
  filter: TreeFilter | null,
): ReadonlyMap<string, number> | null {
  const version = useForestVersion(forest, 1_000, "version");
  const [counts, setCounts] = useState<ReadonlyMap<string, number> | null>(null);
  const changes = filter?.phases.length ? version : 0;
  useEffect(() => {
    if (!graph || !filter) return;
    const stopped = new AbortController();
    void inSlices(matchMarks(graph, forest, filter), stopped.signal).then((found) => {
      if (found) setCounts(found);
    });
    return () => stopped.abort();
  }, [graph, forest, filter, changes]);
  return filter ? counts : null;
}

/** The nodes and edges on the critical path; null if it is not shown. */
export function useCriticalMarks(
  graph: Graph | null,
  forest: ActionForest,
  isShown: boolean,
): ReturnType<typeof criticalMarks> | null {
  const version = useForestVersion(forest, 1_000, "version");
  return useMemo(
    () => (graph && isShown ? criticalMarks(graph, forest) : null),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the forest changes in place
    [graph, forest, isShown, version],
  );
}
