import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { type FragmentType, readFragment } from "../gql";
import type { ActionRowFragment as ActionRowData } from "../gql/graphql";
import { useApi, watchDocument } from "../live/api";
import type { Problem } from "../live/errors";
import type { RunName } from "../live/paths";
import { ActionRowFragment, WatchActions } from "./documents";
import { Forest, type TreeNode } from "./forest";

export type Action = ActionRowData;
export type ActionNode = TreeNode<Action>;
export type ActionForest = Forest<Action>;

/** The actions of a run, live; `withMetrics`, or without, which costs the server a third. */
export function useForest({ project, domain, name }: RunName, withMetrics: boolean) {
  const api = useApi();
  const [attempt, setAttempt] = useState(0);
  const forest = useMemo(
    () => new Forest<Action>(),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- another run has another forest
    [project, domain, name, attempt],
  );
  const [problem, setProblem] = useState<{ of: ActionForest; problem: Problem } | null>(null);
  useEffect(() => {
    let cursor: string | null = null;
    const variables = () => {
      if (cursor === null) forest.restart();
      return { run: { project, domain, name }, after: cursor, withMetrics };
    };
    return watchDocument(api, WatchActions, variables, {
      next: ({ actions: frame }) => {
        const rows = readFragment(
          ActionRowFragment,
          frame.actions as readonly FragmentType<typeof ActionRowFragment>[],
        );
        forest.apply({ ...frame, rows });
        if (frame.kind === "RESYNC") cursor = null;
        // An interrupted snapshot is restarted: only a complete one can be resumed.
        if (frame.kind === "SYNCED" || frame.kind === "CHANGE") cursor = frame.cursor;
      },
      failed: (problem) => setProblem({ of: forest, problem }),
    });
  }, [api, forest, project, domain, name, withMetrics]);
  return {
    forest,
    problem: problem?.of === forest ? problem.problem : null,
    retry: useCallback(() => setAttempt((count) => count + 1), []),
  };
}

/** A version that changes with the forest, at most once in `ms` milliseconds. */
export function useForestVersion(forest: ActionForest, ms: number, of: "structure" | "version"): number {
  const subscribe = useCallback(
    (listener: () => void) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      let last = 0;
      const stop = forest.batch.listenToAll(() => {
        if (timer !== undefined) return;
        timer = setTimeout(
          () => {
            timer = undefined;
            last = Date.now();
            listener();
          },
          Math.max(0, last + ms - Date.now()),
        );
      });
      return () => {
        stop();
        clearTimeout(timer);
      };
    },
    [forest, ms],
  );
  return useSyncExternalStore(subscribe, () => forest[of]);
}

/** The action of a line, and a version that changes with that line. */
export function useNode(forest: ActionForest, node: ActionNode): void {
  const subscribe = useCallback(
    (listener: () => void) => forest.batch.listen(node.key, listener),
    [forest, node.key],
  );
  const read = useCallback(() => {
    const counts = [...node.counts].map(([phase, count]) => `${phase}${count}`).join(",");
    const metrics = node.action?.metrics ? "with metrics" : "";
    return `${node.action?.revision ?? 0} ${node.total} ${counts} ${metrics}`;
  }, [node]);
  useSyncExternalStore(subscribe, read);
}
