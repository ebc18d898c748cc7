import { useCallback, useEffect, useState } from "react";
import { graphql } from "../gql";
import type { RunFilter } from "../gql/graphql";
import { readDocument, useApi, watchDocument } from "../live/api";
import { type Problem, problemOf } from "../live/errors";
import { type Grid, gridOf } from "./grid";

/** The runs of a grid. */
const RUNS = 30;
/** Minimum milliseconds between two reads, and the pause after one as a multiple of its duration. */
const PACE = 1_000;
const REST = 10;

const TaskGrid = graphql(`
  query TaskGrid($filter: RunFilter!, $runs: Int!, $first: Int!) {
    runGrid(filter: $filter, runs: $runs, first: $first) {
      isComplete
      runs {
        id
        project
        domain
        name
        phase
        cursor
        createdAt
        startedAt
        endedAt
        durationMs
        functionName
        task {
          name
          version
        }
        error {
          code
          summary
        }
      }
      rows {
        kind
        name
        depth
        cells {
          run
          name
          phase
          actions
          failed
          startedAt
          endedAt
          error {
            code
            summary
          }
        }
      }
    }
  }
`);

// Selecting the root makes a run change with each of its actions.
const TaskChanges = graphql(`
  subscription TaskChanges($filter: RunFilter!, $runs: Int!, $after: String) {
    runs(filter: $filter, first: $runs, after: $after) {
      kind
      cursor
      runs {
        id
        rootAction {
          id
        }
      }
    }
  }
`);

interface State {
  key: string;
  grid: Grid | null;
  problem: Problem | null;
}

/** The grid of the newest runs that match, read again when one of them changes. */
export function useTaskGrid(filter: RunFilter, first: number): Omit<State, "key"> & { retry: () => void } {
  const api = useApi();
  const key = JSON.stringify([filter, first]);
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState<State>({ key, grid: null, problem: null });
  useEffect(() => {
    let isOver = false;
    let isBusy = false;
    let isWanted = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      isWanted = false;
      isBusy = true;
      const began = Date.now();
      try {
        const { runGrid } = await readDocument(api, TaskGrid, { filter, runs: RUNS, first });
        if (!isOver) setState({ key, grid: gridOf(runGrid), problem: null });
      } catch (error) {
        if (!isOver) setState(({ grid }) => ({ key, grid, problem: problemOf(error) }));
      }
      timer = setTimeout(
        () => {
          isBusy = false;
          if (isWanted) void read();
        },
        Math.max(PACE, (Date.now() - began) * REST),
      );
    };
    const change = (): void => {
      isWanted = true;
      if (!isBusy && !isOver) void read();
    };
    let cursor: string | undefined;
    const stop = watchDocument(api, TaskChanges, () => ({ filter, runs: RUNS, after: cursor }), {
      next: ({ runs: { kind, cursor: next } }) => {
        cursor = next;
        // Not for the snapshot: the grid is read after it.
        if (kind !== "SNAPSHOT") change();
      },
      failed: (problem) => {
        if (!isOver) setState(({ grid }) => ({ key, grid, problem }));
      },
    });
    change();
    return () => {
      isOver = true;
      clearTimeout(timer);
      stop();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for the filter
  }, [api, key, attempt]);
  const retry = useCallback(() => setAttempt((count) => count + 1), []);
  const { grid, problem } = state;
  return { grid: isSame(state.key, key) ? grid : null, problem, retry };
}

/** Whether two grids are of the same task, if perhaps of another size. */
function isSame(one: string, other: string): boolean {
  const [[filter], [others]] = [JSON.parse(one), JSON.parse(other)] as [[unknown], [unknown]];
  return JSON.stringify(filter) === JSON.stringify(others);
}
