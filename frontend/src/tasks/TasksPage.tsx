import { Button } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { problemOf } from "../live/errors";
import { parseDuration } from "../ui/durations";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { useTitle } from "../ui/title";
import classes from "./TasksPage.module.css";
import { TaskTable } from "./TaskTable";
import { DEFAULT_SINCE, SINCE, type TaskSearch } from "./taskSearch";

const TaskSummaries = graphql(`
  query TaskSummaries($filter: RunFilter, $first: Int!) {
    tasks(filter: $filter, first: $first) {
      pageInfo {
        hasNextPage
      }
      nodes {
        ...TaskRow
      }
    }
  }
`);

const FIRST = 100;
const MOST = 1_000;
/** Poll interval in milliseconds. */
const POLL_INTERVAL = 10_000;

const route = getRouteApi("/tasks");

/** Runs aggregated by task. */
export function TasksPage() {
  useTitle("Tasks");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [first, setFirst] = useState(FIRST);
  const { project, domain, since = DEFAULT_SINCE } = search;
  const filter = useMemo(
    () => ({ project, domain, startDate: since === "all" ? undefined : startOf(since) }),
    [project, domain, since],
  );
  const [{ data, error, fetching }, reload] = useQuery({
    query: TaskSummaries,
    variables: { filter, first },
  });
  // Refetching may reorder rows, and nothing may move under the pointer.
  const isRead = useRef(false);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && !isRead.current) reload({ requestPolicy: "network-only" });
    }, POLL_INTERVAL);
    return () => clearInterval(timer);
  }, [reload]);
  const change = (next: TaskSearch): void => void navigate({ search: next });
  return (
    <main className={classes.page}>
      <header className={classes.head}>
        <h1>Tasks</h1>
        <span className="faint">Run history by task: durations are from creation to end</span>
        <span className={classes.space} />
        {project ? (
          <Button
            size="compact-sm"
            variant="light"
            onClick={() => change({ ...search, project: undefined, domain: undefined })}
          >
            {project}
            {domain ? ` / ${domain}` : ""} ×
          </Button>
        ) : null}
        <label className="only-read" htmlFor="tasks-since">
          Runs since
        </label>
        <select
          id="tasks-since"
          className={classes.select}
          value={since}
          onChange={({ currentTarget: { value } }) => change({ ...search, since: value })}
        >
          {Object.entries(SINCE).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </header>
      {error && !data ? (
        <ErrorNotice
          title="The tasks could not be read"
          problem={problemOf(error)}
          retry={() => reload({ requestPolicy: "network-only" })}
        />
      ) : !data ? (
        fetching ? (
          <LoadingNotice what="tasks" />
        ) : null
      ) : data.tasks.nodes.length ? (
        <div
          className={classes.scroller}
          tabIndex={0}
          role="region"
          aria-label="Tasks"
          onPointerEnter={() => {
            isRead.current = true;
          }}
          onPointerLeave={() => {
            isRead.current = false;
          }}
        >
          <TaskTable
            rows={data.tasks.nodes}
            since={since === "all" ? undefined : since}
            onProject={(project, domain) => change({ ...search, project, domain })}
          />
          {data.tasks.pageInfo.hasNextPage && first < MOST ? (
            <Button m="md" size="xs" variant="default" onClick={() => setFirst(MOST)}>
              Show more tasks
            </Button>
          ) : null}
        </div>
      ) : (
        <EmptyNotice title="No runs in this time range">
          Choose a longer time range or all projects.
        </EmptyNotice>
      )}
    </main>
  );
}

/** Rounded to minutes, so that the cached result is reused. */
function startOf(since: string): string {
  const minute = 60_000;
  const ms = parseDuration(since) ?? parseDuration(DEFAULT_SINCE) ?? 0;
  return new Date(Math.floor((Date.now() - ms) / minute) * minute).toISOString();
}
