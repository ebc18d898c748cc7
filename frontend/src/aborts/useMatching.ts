import { useEffect, useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../gql";
import type { RunFilter } from "../gql/graphql";
import { problemOf } from "../live/errors";

const CountAbortable = graphql(`
  mutation CountAbortable($input: AbortRunsInput!) {
    abortRuns(input: $input) {
      matched
    }
  }
`);

interface Matching {
  /** How many unfinished runs match; null until that is known. */
  count: number | null;
  problem: string | null;
}

/** Whether every run matches: then an abort has to say that all are meant. */
export function isEmpty(filter: RunFilter): boolean {
  const values: unknown[] = Object.values(filter);
  return values.every((value) => {
    if (typeof value === "string") return !value.trim();
    return Array.isArray(value) ? !value.length : value === null || value === undefined;
  });
}

/** How many runs an abort by this filter would stop; without a filter nothing is asked. */
export function useMatching(filter: RunFilter | null): Matching {
  const [, countAbortable] = useMutation(CountAbortable);
  const [matching, setMatching] = useState<Matching>({ count: null, problem: null });
  const key = filter && JSON.stringify(filter);
  useEffect(() => {
    if (!key) return;
    let current = true;
    const filter = JSON.parse(key) as RunFilter;
    const input = { filter, all: isEmpty(filter), dryRun: true };
    void countAbortable({ input }).then(({ data, error }) => {
      if (!current) return;
      const problem = data ? null : problemOf(error).message;
      setMatching({ count: data?.abortRuns.matched ?? null, problem });
    });
    return () => {
      current = false;
    };
  }, [key, countAbortable]);
  return matching;
}
