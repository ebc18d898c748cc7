import { useQuery } from "urql";
import { graphql } from "../gql";
import type { HistoryRunFragment } from "../gql/graphql";
import { type FragmentType, readFragment } from "../gql";
import { type Executing, filterOfTask, taskOf } from "./task";

export const HistoryRun = graphql(`
  fragment HistoryRun on Run {
    id
    project
    domain
    name
    phase
    createdAt
    durationMs
    task {
      name
      version
    }
    error {
      code
      summary
    }
  }
`);

const Neighbours = graphql(`
  query Neighbours($filter: RunFilter!, $cursor: String!) {
    earlier: runs(filter: $filter, after: $cursor, first: 100) {
      nodes {
        ...HistoryRun
      }
    }
    later: runs(filter: $filter, before: $cursor, last: 1) {
      nodes {
        ...HistoryRun
      }
    }
  }
`);

/** The runs of the same task, or function, around one: at most 100 before it, newest first, and the next one. */
export interface Neighbours {
  earlier: readonly HistoryRunFragment[];
  next: HistoryRunFragment | null;
}

/** The neighbours of a run; null until they are known, and for a run without a task or function. */
export function useNeighbours(run: Executing & { cursor: string }): Neighbours | null {
  const task = taskOf(run);
  const [{ data, operation }] = useQuery({
    query: Neighbours,
    variables: { filter: filterOfTask(task), cursor: run.cursor },
    pause: task.taskName == null && task.functionName == null,
  });
  // Until the answer is there, the data are those of the run before.
  if (!data || operation?.variables.cursor !== run.cursor) return null;
  const read = (nodes: readonly FragmentType<typeof HistoryRun>[]) =>
    nodes.map((each) => readFragment(HistoryRun, each));
  return { earlier: read(data.earlier.nodes), next: read(data.later.nodes)[0] ?? null };
}
