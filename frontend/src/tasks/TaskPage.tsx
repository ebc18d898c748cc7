import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useRetryOnReconnect } from "../live/useRetryOnReconnect";
import { readTask, runsOfTask, filterOfTask, titleOf } from "../history/task";
import { CopyButton } from "../ui/CopyButton";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { useTitle } from "../ui/title";
import { TaskGrid } from "./TaskGrid";
import classes from "./TaskPage.module.css";
import { TaskState } from "./TaskState";
import type { TaskPageSearch } from "./taskPageSearch";
import { useTaskGrid } from "./useTaskGrid";

/** The rows that are read at first, and on request. */
const FIRST = 200;
const MOST = 500;

/** The page of a task: how its last runs went, since when what fails, and each action in each of them. */
export function TaskPage() {
  const params = useParams({ strict: false });
  const search: TaskPageSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const { project = "", domain = "", task: name } = params;
  const task = useMemo(
    () => readTask({ project, domain, task: name }, !!search.function),
    [project, domain, name, search.function],
  );
  const filter = useMemo(() => filterOfTask(task), [task]);
  const title = titleOf(task);
  useTitle(title);
  const { grid, problem, retry } = useTaskGrid(filter, search.more ? MOST : FIRST);
  useRetryOnReconnect(problem, retry);
  const change = (next: TaskPageSearch): void => void navigate({ to: ".", search: { ...search, ...next } });
  const rows = useMemo(
    () => grid?.rows.filter(({ cells }) => !search.failed || cells.some((cell) => cell?.failed)) ?? [],
    [grid, search.failed],
  );
  const runs = runsOfTask(task);
  return (
    <main className={classes.page}>
      <header className={classes.header}>
        <nav aria-label="Project and domain of this task" className="faint small">
          <Link to="/tasks" search={{ project: task.project }}>
            {task.project}
          </Link>{" "}
          /{" "}
          <Link to="/tasks" search={{ project: task.project, domain: task.domain }}>
            {task.domain}
          </Link>{" "}
          /
        </nav>
        <div className={classes.heading}>
          <h1 title={title}>{title}</h1>
          <CopyButton value={title} what="task name" />
          {search.function ? <span className="faint">function</span> : null}
          <span className={classes.space} />
          <Link to="/runs" search={runs} className="link">
            All runs
          </Link>
          <Link to="/runs" search={{ ...runs, phase: ["FAILED", "TIMED_OUT"] }} className="link">
            Failed runs
          </Link>
        </div>
        {grid?.runs.length ? <TaskState grid={grid} title={title} /> : null}
      </header>
      {problem && !grid ? (
        <ErrorNotice title="The runs could not be read" problem={problem} retry={retry} />
      ) : !grid ? (
        <LoadingNotice what="the last runs" />
      ) : !grid.runs.length ? (
        <EmptyNotice title={`There are no runs of ${title}`}>
          In {task.project}, {task.domain}. They may have been removed, or the task has not run yet.
        </EmptyNotice>
      ) : (
        <>
          <div className={classes.bar}>
            <h2>
              {grid.runs.length === 1 ? "The only run" : `Last ${grid.runs.length} runs`}
              {grid.runs.length > 1 ? <span className="faint">, the newest at the right</span> : null}
            </h2>
            <label>
              <input
                type="checkbox"
                checked={!!search.failed}
                onChange={() => change({ failed: search.failed ? undefined : true })}
              />{" "}
              Only actions that failed
            </label>
            {grid.isComplete ? null : (
              <span className="faint" data-cut>
                Only the first {search.more ? MOST : FIRST} actions of each run are shown.{" "}
                {search.more ? null : (
                  <button type="button" className="link-button" onClick={() => change({ more: true })}>
                    Show {MOST}
                  </button>
                )}
              </span>
            )}
          </div>
          {rows.length ? (
            <TaskGrid grid={grid} rows={rows} />
          ) : (
            <EmptyNotice title="No action of these runs failed">Show all actions to see them.</EmptyNotice>
          )}
        </>
      )}
    </main>
  );
}
