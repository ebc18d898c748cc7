import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { problemOf } from "../live/errors";
import { runParams } from "../live/paths";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { PhaseBadge } from "../ui/PhaseBadge";
import { useTitle } from "../ui/title";
import { AbortNotice } from "./AbortNotice";
import classes from "./AbortsPage.module.css";

const PendingAborts = graphql(`
  query PendingAborts($first: Int!) {
    pendingAborts(first: $first) {
      totalCount
      nodes {
        id
        project
        domain
        runName
        name
        parentName
        phase
        abort {
          ...AbortNotice
        }
      }
    }
  }
`);

const identifierOf = ({ project, domain, runName, name }: ActionIdentifierInput): ActionIdentifierInput => ({
  project,
  domain,
  runName,
  name,
});

/** Poll interval in milliseconds. */
const POLL_INTERVAL = 2_000;
const FIRST = 200;

/** All unconfirmed aborts, oldest request first. */
export function AbortsPage() {
  useTitle("Aborts");
  const [{ data, error, fetching }, reload] = useQuery({ query: PendingAborts, variables: { first: FIRST } });
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) reload({ requestPolicy: "network-only" });
    }, POLL_INTERVAL);
    return () => clearInterval(timer);
  }, [reload]);
  const aborts = data?.pendingAborts;
  return (
    <main className={classes.page}>
      <header className={classes.head}>
        <h1>Aborts</h1>
        <p className="faint">
          Aborts that are unconfirmed: the runs and actions may still be running.
          {aborts ? ` ${aborts.totalCount.toLocaleString("en")} in total.` : ""}
        </p>
      </header>
      {error && !aborts ? (
        <ErrorNotice
          title="The aborts could not be read"
          problem={problemOf(error)}
          retry={() => reload({ requestPolicy: "network-only" })}
        />
      ) : !aborts ? (
        fetching ? (
          <LoadingNotice what="aborts" />
        ) : null
      ) : aborts.nodes.length ? (
        <ul className={classes.list}>
          {aborts.nodes.map((action) => (
            <li key={action.id}>
              <div className={classes.name}>
                <PhaseBadge phase={action.phase} />
                <Link
                  className="link cut"
                  to="/runs/$project/$domain/$name"
                  params={runParams({ ...action, name: action.runName })}
                  search={action.parentName ? { action: action.name } : {}}
                >
                  {action.runName}
                  {action.parentName ? ` / ${action.name}` : ""}
                </Link>
                <span className="faint cut">
                  {action.project}, {action.domain}
                </span>
              </div>
              {action.abort ? <AbortNotice abort={action.abort} id={identifierOf(action)} /> : null}
            </li>
          ))}
        </ul>
      ) : (
        <EmptyNotice title="No pending aborts">The executor has confirmed every abort.</EmptyNotice>
      )}
    </main>
  );
}
