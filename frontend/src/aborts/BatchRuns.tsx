import { useEffect, useState } from "react";
import { graphql } from "../gql";
import type { BatchRunsSubscription, RunIdentifierInput } from "../gql/graphql";
import { useApi, watchDocument } from "../live/api";
import classes from "./BatchRuns.module.css";

const BatchRunsDocument = graphql(`
  subscription BatchRuns($filter: RunFilter!, $first: Int!) {
    runs(filter: $filter, first: $first) {
      kind
      runs {
        id
        revision
        project
        domain
        name
        phase
        abort {
          state
          attemptCount
          lastError
        }
      }
    }
  }
`);

type Run = BatchRunsSubscription["runs"]["runs"][number];

/** What became of the abort of a run. */
export function describeResult({ phase, abort }: Pick<Run, "phase" | "abort">): string {
  if (!abort) return phase === "ABORTED" ? "aborted" : "not aborted: it had ended";
  switch (abort.state) {
    case "CONFIRMED":
      return "stopped";
    case "FAILED":
      return `abort failed, may still run${abort.lastError ? `: ${abort.lastError}` : ""}`;
    case "RETRYING":
      return `executor notified, not confirmed${abort.lastError ? `: ${abort.lastError}` : ""}`;
    default:
      return "abort requested";
  }
}

/** The result of a bulk abort, run by run, live. */
export function BatchRuns({ ids }: { ids: readonly RunIdentifierInput[] }) {
  const api = useApi();
  const [found, setFound] = useState<ReadonlyMap<string, Run>>(new Map());
  useEffect(
    () =>
      watchDocument(api, BatchRunsDocument, () => ({ filter: { ids: [...ids] }, first: ids.length }), {
        next: ({ runs }) =>
          setFound((before) => new Map([...before, ...runs.runs.map((run) => [run.id, run] as const)])),
        failed: () => undefined,
      }),
    [api, ids],
  );
  return (
    <ul className={classes.list} aria-label="Results" tabIndex={0}>
      {[...found.values()].map((run) => (
        <li key={run.id}>
          <span className="cut" title={`${run.project} / ${run.domain} / ${run.name}`}>
            {run.name}
          </span>
          <span className="faint">{describeResult(run)}</span>
        </li>
      ))}
    </ul>
  );
}
