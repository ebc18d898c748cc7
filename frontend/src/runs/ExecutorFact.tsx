import { useEffect } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import type { RunIdentifierInput } from "../gql/graphql";
import { useNow } from "../ui/clock";
import { describeLease } from "./lease";
import classes from "./RunHeader.module.css";

/** Renewals of a lease are not sent to subscribers, so they are read. */
const LeaseOf = graphql(`
  query LeaseOf($id: RunIdentifierInput!) {
    run(id: $id) {
      id
      executor
      leaseExpiresAt
      lastReportedAt
    }
  }
`);

/** How often the lease of a run in progress is read, in milliseconds. */
const PACE = 10_000;

/** Who executes a run, and whether it is still there. */
export function ExecutorFact({ id, hasEnded }: { id: RunIdentifierInput; hasEnded: boolean }) {
  const [{ data }, reload] = useQuery({ query: LeaseOf, variables: { id } });
  useEffect(() => {
    if (hasEnded) return;
    const timer = setInterval(() => {
      if (!document.hidden) reload({ requestPolicy: "network-only" });
    }, PACE);
    return () => clearInterval(timer);
  }, [hasEnded, reload]);
  const run = data?.run;
  const now = useNow(!hasEnded, run?.leaseExpiresAt ? 1_000 : PACE);
  const state = run && !hasEnded ? describeLease(run, now) : null;
  if (!run?.executor && !state) return null;
  return (
    <div>
      <dt>Executor</dt>
      <dd>
        {run?.executor ?? <span className="faint">unknown</span>}
        {state ? (
          <span
            className={state.kind === "held" ? "faint number" : `${classes.warn} number`}
            title={state.explanation}
            data-lease={state.kind}
          >
            {", "}
            {state.text}
          </span>
        ) : null}
      </dd>
    </div>
  );
}
