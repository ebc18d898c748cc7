import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { FragmentType } from "../gql";
import type { RunFilter } from "../gql/graphql";
import { type Api, useApi, watchDocument } from "../live/api";
import { type Problem, problemOf } from "../live/errors";
import { findList, keepList } from "./savedLists";
import { OlderRuns, type RunRowFragment, WatchRuns } from "./documents";
import { RunList } from "./runList";

/** The number of runs in the live snapshot. */
const FIRST = 100;
const MOST_A_PAGE = 1_000;

export type RunRowData = FragmentType<typeof RunRowFragment> & {
  id: string;
  revision: number;
  createdAt: string;
};

/** The list of one filter, fed by its subscription and older pages. */
export class LiveRuns {
  readonly list = new RunList<RunRowData>(FIRST);
  problem: Problem | null = null;
  /** The scroll offset in pixels. */
  top = 0;
  private cursor: string | undefined;
  private olderCursor: string | null = null;
  private generation = 0;
  private loading = false;

  constructor(
    private readonly api: Api,
    readonly filter: RunFilter,
    /** Whether the runs have their progress. */
    readonly withProgress: boolean,
  ) {}

  start(): () => void {
    return watchDocument(
      this.api,
      WatchRuns,
      () => {
        if (!this.cursor) this.list.restart();
        const { filter, withProgress } = this;
        return { filter, first: FIRST, after: this.cursor ?? null, withProgress };
      },
      {
        next: ({ runs }) => {
          this.problem = null;
          this.list.apply({ ...runs, rows: runs.runs });
          // An interrupted snapshot is restarted: only a complete one can be resumed.
          if (runs.kind === "SYNCED" || runs.kind === "CHANGE") this.cursor = runs.cursor;
          if (runs.kind === "RESYNC") this.cursor = undefined;
        },
        failed: (problem) => this.say(problem),
        interrupted: (problem) => {
          if (problem.code !== "NETWORK") this.say(problem);
        },
      },
    );
  }

  /** Loads a page of older runs. The first request includes the loaded runs, which yields the cursor. */
  loadOlder = async (): Promise<void> => {
    if (this.loading || !this.list.snapshot().hasOlder) return;
    this.loading = true;
    if (this.generation !== this.list.generation) this.olderCursor = null;
    this.generation = this.list.generation;
    try {
      const first = this.olderCursor ? FIRST * 2 : Math.min(MOST_A_PAGE, this.list.size + FIRST);
      const result = await this.api.client
        .query(
          OlderRuns,
          { filter: this.filter, first, after: this.olderCursor, withProgress: this.withProgress },
          { requestPolicy: "network-only" },
        )
        .toPromise();
      if (!result.data) {
        this.say(problemOf(result.error));
        return;
      }
      const { nodes, pageInfo } = result.data.runs;
      this.problem = null;
      // The list has changed meanwhile; this page no longer adjoins it.
      if (this.generation !== this.list.generation) return;
      this.olderCursor = pageInfo.endCursor ?? null;
      this.list.addOlder(nodes, pageInfo.hasNextPage);
    } finally {
      this.loading = false;
    }
  };

  private say(problem: Problem): void {
    this.problem = problem;
    this.list.batch.touchAll();
  }
}

/**
 * The live list of matching runs. The previous list stays until the new filter's runs arrive. Returning to a
 * history entry restores its list with all loaded pages.
 */
export function useRunList(filter: RunFilter, entry: string | undefined, withProgress: boolean) {
  const api = useApi();
  const key = keyOf({ filter, withProgress });
  const [attempt, setAttempt] = useState(0);
  const next = useMemo(() => {
    const before = findList(entry);
    const isSame = before && !attempt && keyOf(before) === key;
    return isSame ? before : new LiveRuns(api, filter, withProgress);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for the filter, and has the entry
  }, [api, key, attempt]);
  useEffect(() => next.start(), [next]);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- on the way to another page, the entry is already that one's
  useEffect(() => keepList(entry, next), [next]);
  const nextView = useSyncExternalStore(next.list.batch.listenToAll, next.list.snapshot);
  const nextProblem = useSyncExternalStore(
    next.list.batch.listenToAll,
    useCallback(() => next.problem, [next]),
  );
  const [live, setLive] = useState(next);
  if (live !== next && (nextView.synced || nextProblem)) setLive(next);
  const view = useSyncExternalStore(live.list.batch.listenToAll, live.list.snapshot);
  return {
    live,
    list: live.list,
    view,
    problem: nextProblem,
    isStale: live !== next,
    loadOlder: live.loadOlder,
    retry: useCallback(() => setAttempt((count) => count + 1), []),
  };
}

const keyOf = ({ filter, withProgress }: { filter: RunFilter; withProgress: boolean }): string =>
  JSON.stringify([filter, withProgress]);
