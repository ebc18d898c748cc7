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
  /** The number of matching unfinished runs; null while unknown. */
  count: number | null;
  problem: string | null;
}

/** Whether every run matches: the abort then needs `all: true`. */
export function isEmpty(filter: RunFilter): boolean {
  const values: unknown[] = Object.values(filter);
  return values.every((value) => {
    if (typeof value === "string") return !value.trim();
    return Array.isArray(value) ? !value.length : value === null || value === undefined;
  });
}

/** Counts the runs that an abort with this filter would stop; no request without a filter. */
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
