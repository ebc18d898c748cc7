import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { type FragmentType, readFragment } from "../gql";
import type { ActionOrder, RunFilter } from "../gql/graphql";
import { type Api, useApi, watchDocument } from "../live/api";
import { type Problem, problemOf } from "../live/errors";
import { findList, keepList } from "./savedLists";
import { OlderRuns, RunRowFragment, WatchRuns } from "./documents";
import { RunList } from "./runList";
import { SortedRunList } from "./sortedRunList";

/** The number of runs in the live snapshot. */
const FIRST = 100;
const MOST_A_PAGE = 1_000;

export type RunRowData = FragmentType<typeof RunRowFragment> & {
  id: string;
  revision: number;
  createdAt: string;
};

/** What determines the place of a run in each order that changes. */
const PLACES: Partial<Record<ActionOrder["field"], "phase" | "endedAt" | "createdAt">> = {
  PHASE: "phase",
  DURATION: "endedAt",
  CREATED_AT: "createdAt",
};

function placeIn({ field }: ActionOrder): (row: RunRowData) => unknown {
  const place = PLACES[field];
  return (row) => (place ? readFragment(RunRowFragment, row)[place] : null);
}

/**
 * The list of one filter, fed by its subscription and older pages; in another order than the newest first, by
 * pages alone, whose rows the subscription changes.
 */
export class LiveRuns {
  readonly list: RunList<RunRowData>;
  private readonly sorted: SortedRunList<RunRowData> | null;
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
    readonly order?: ActionOrder,
  ) {
    this.sorted = order ? new SortedRunList(FIRST, placeIn(order), () => void this.readSorted()) : null;
    this.list = this.sorted ?? new RunList(FIRST);
  }

  start(): () => void {
    return watchDocument(
      this.api,
      WatchRuns,
      () => {
        if (!this.cursor && !this.sorted) this.list.restart();
        const { filter, withProgress } = this;
        return { filter, first: this.sorted ? 1 : FIRST, after: this.cursor ?? null, withProgress };
      },
      {
        next: ({ runs }) => {
          this.problem = null;
          if (!this.sorted || runs.kind === "CHANGE") this.list.apply({ ...runs, rows: runs.runs });
          // Read after the subscription has begun: no change is missed.
          else if (runs.kind === "SYNCED") void this.readSorted();
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
      const result = await this.read(first, this.olderCursor);
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

  private read(first: number, after: string | null) {
    const { filter, order, withProgress } = this;
    const variables = { filter, order, first, after, withProgress };
    return this.api.client.query(OlderRuns, variables, { requestPolicy: "network-only" }).toPromise();
  }

  /** Reads the sorted list from its beginning, as far as it was read before. */
  private async readSorted(): Promise<void> {
    const shown = this.list.snapshot().ids.length;
    const result = await this.read(Math.min(MOST_A_PAGE, Math.max(FIRST, shown)), null);
    if (!result.data) {
      this.say(problemOf(result.error));
      return;
    }
    const { nodes, pageInfo } = result.data.runs;
    this.problem = null;
    this.sorted?.show(nodes, pageInfo.hasNextPage);
    this.olderCursor = pageInfo.endCursor ?? null;
    this.generation = this.list.generation;
  }

  private say(problem: Problem): void {
    this.problem = problem;
    this.list.batch.touchAll();
  }
}

/**
 * The live list of matching runs. The previous list stays until the new filter's runs arrive. Returning to a
 * history entry restores its list with all loaded pages.
 */
export function useRunList(
  filter: RunFilter,
  entry: string | undefined,
  withProgress: boolean,
  order?: ActionOrder,
) {
  const api = useApi();
  const key = keyOf({ filter, withProgress, order });
  const [attempt, setAttempt] = useState(0);
  const next = useMemo(() => {
    const before = findList(entry);
    const isSame = before && !attempt && keyOf(before) === key;
    return isSame ? before : new LiveRuns(api, filter, withProgress, order);
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

const keyOf = ({
  filter,
  withProgress,
  order,
}: Pick<LiveRuns, "filter" | "withProgress" | "order">): string =>
  JSON.stringify([filter, withProgress, order]);
