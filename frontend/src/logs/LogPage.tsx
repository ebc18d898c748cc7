import { Link, getRouteApi } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { useQuery, useSubscription } from "urql";
import { graphql } from "../gql";
import { fromSegment } from "../live/paths";
import { EmptyNotice } from "../ui/notices";
import { PhaseBadge } from "../ui/PhaseBadge";
import { useTitle } from "../ui/title";
import ActionLogs from "./ActionLogs";
import classes from "./LogPage.module.css";
import type { LogView } from "./LogToolbar";

const LoggedActionOf = graphql(`
  query LoggedActionOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      phase
      attempts
    }
  }
`);

const LiveLoggedActionOf = graphql(`
  subscription LiveLoggedActionOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      phase
      attempts
    }
  }
`);

const route = getRouteApi("/runs/$project/$domain/$name/logs");

/** The page of an action's logs. */
export function LogPage() {
  const params = route.useParams();
  const { action, ...view } = route.useSearch();
  const navigate = route.useNavigate();
  const onView = useCallback(
    (change: Partial<LogView>) =>
      // What is looked at in a log is no place to go back to.
      void navigate({ search: (before) => ({ ...before, ...change }), replace: true }),
    [navigate],
  );
  const run = fromSegment(params.name);
  const id = useMemo(
    () => ({
      project: fromSegment(params.project),
      domain: fromSegment(params.domain),
      runName: run,
      name: action ?? "",
    }),
    [params, run, action],
  );
  useTitle(action === undefined ? "Logs" : `Log of ${action}`);
  const [{ data }] = useQuery({ query: LoggedActionOf, variables: { id }, pause: action === undefined });
  const [{ data: changes = 0 }] = useSubscription(
    { query: LiveLoggedActionOf, variables: { id }, pause: !data?.action },
    (count: number | undefined) => (count ?? -1) + 1,
  );
  if (action === undefined) {
    return (
      <main>
        <EmptyNotice title="The address names no action">
          <Link to="/runs/$project/$domain/$name" params={params} className="link">
            Choose one in the run
          </Link>
        </EmptyNotice>
      </main>
    );
  }
  return (
    <main className={classes.page}>
      <header className={classes.header}>
        <nav aria-label="Run of this log" className="faint">
          <Link to="/runs/$project/$domain/$name" params={params}>
            {run}
          </Link>{" "}
          /
        </nav>
        <h1 className={classes.title}>
          <Link
            to="/runs/$project/$domain/$name"
            params={params}
            search={{ action }}
            title="Open the action in its run"
          >
            {action}
          </Link>
        </h1>
        {data?.action ? <PhaseBadge phase={data.action.phase} /> : null}
      </header>
      <ActionLogs id={id} changes={changes} view={view} onView={onView} hasKeys />
    </main>
  );
}
