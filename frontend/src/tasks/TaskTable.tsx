import { Link } from "@tanstack/react-router";
import {
  createColumnHelper,
  createSortedRowModel,
  rowSortingFeature,
  sortFn_basic,
  sortFn_text,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useMemo } from "react";
import { type FragmentType, graphql, readFragment } from "../gql";
import type { TaskRowFragment as Task } from "../gql/graphql";
import { runsOfTask, taskLink, titleOf } from "../history/task";
import { runParams } from "../live/paths";
import { formatDuration } from "../ui/durations";
import { PhaseBar } from "../ui/PhaseBar";
import { phaseStyle } from "../ui/phases";
import { Time } from "../ui/Time";
import classes from "./TasksPage.module.css";

const TaskRowFragment = graphql(`
  fragment TaskRow on TaskSummary {
    project
    domain
    taskName
    functionName
    runs
    ended
    failed
    failureRate
    durationP50Ms
    durationP95Ms
    lastCreatedAt
    phaseCounts {
      phase
      count
    }
    recentRuns(first: 20) {
      id
      project
      domain
      name
      phase
      durationMs
    }
  }
`);

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { basic: sortFn_basic, text: sortFn_text },
});
const helper = createColumnHelper<typeof features, Task>();

interface Cell {
  right?: boolean;
  cell: (task: Task) => React.ReactNode;
}

const CELLS: Record<string, Cell> = {
  task: { cell: (task) => <TaskPageLink task={task} /> },
  runs: { right: true, cell: ({ runs }) => <span className="number">{runs.toLocaleString("en")}</span> },
  failure: { right: true, cell: (task) => <FailureRate task={task} /> },
  p50: { right: true, cell: ({ durationP50Ms }) => <Ms value={durationP50Ms} /> },
  p95: { right: true, cell: ({ durationP95Ms }) => <Ms value={durationP95Ms} /> },
  now: { cell: (task) => <PhaseBar counts={task.phaseCounts} label={titleOf(task)} /> },
  recent: { cell: (task) => <Recent task={task} /> },
  last: { cell: ({ lastCreatedAt }) => <Time value={lastCreatedAt} /> },
};

const columns = helper.columns([
  helper.accessor(titleOf, { id: "task", header: "Task", sortFn: "text" }),
  helper.accessor("runs", { id: "runs", header: "Runs" }),
  helper.accessor(({ failureRate }) => failureRate ?? -1, { id: "failure", header: "Failed" }),
  helper.accessor(({ durationP50Ms }) => durationP50Ms ?? -1, { id: "p50", header: "Duration p50" }),
  helper.accessor(({ durationP95Ms }) => durationP95Ms ?? -1, { id: "p95", header: "p95" }),
  helper.display({ id: "now", header: "Phases" }),
  helper.display({ id: "recent", header: "Recent runs, the newest on the right" }),
  helper.accessor("lastCreatedAt", { id: "last", header: "Last run", sortFn: "basic" }),
]);

interface Props {
  rows: readonly FragmentType<typeof TaskRowFragment>[];
  since: string | undefined;
  onProject: (project: string, domain: string) => void;
}

/** The table of tasks, sortable by any column. */
export function TaskTable({ rows, since, onProject }: Props) {
  const data = useMemo(() => [...readFragment(TaskRowFragment, rows)], [rows]);
  const table = useTable({
    features,
    columns,
    data,
    getRowId: (task) => JSON.stringify([task.project, task.domain, task.taskName, task.functionName]),
  });
  return (
    <table className={classes.table}>
      <thead>
        {table.getHeaderGroups().map((group) => (
          <tr key={group.id}>
            {group.headers.map(({ id, column }) => {
              const direction = column.getIsSorted();
              const title = column.columnDef.header as string;
              return (
                <th
                  key={id}
                  data-column={id}
                  className={CELLS[id]?.right ? classes.right : undefined}
                  aria-sort={
                    direction === "asc" ? "ascending" : direction === "desc" ? "descending" : undefined
                  }
                >
                  {column.getCanSort() ? (
                    <button type="button" onClick={() => column.toggleSorting()}>
                      {title}
                      <span aria-hidden>{direction === "asc" ? " ↑" : direction === "desc" ? " ↓" : ""}</span>
                    </button>
                  ) : (
                    title
                  )}
                </th>
              );
            })}
          </tr>
        ))}
      </thead>
      <tbody>
        {table.getRowModel().rows.map(({ id, original: task }) => (
          <tr key={id} data-task={titleOf(task)}>
            {Object.entries(CELLS).map(([column, { right, cell }]) => (
              <td key={column} data-column={column} className={right ? classes.right : undefined}>
                {cell(task)}
                {column === "task" ? (
                  <div className={classes.second}>
                    <button type="button" onClick={() => onProject(task.project, task.domain)}>
                      {task.project} / {task.domain}
                    </button>
                    {" · "}
                    <Link to="/runs" search={{ ...runsOfTask(task), from: since }}>
                      runs
                    </Link>
                  </div>
                ) : null}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function TaskPageLink({ task }: { task: Task }) {
  return (
    <Link {...taskLink(task)} className="link" title="The last runs side by side">
      {titleOf(task)}
    </Link>
  );
}

function FailureRate({ task: { failureRate, failed, ended } }: { task: Task }) {
  if (failureRate == null) return <span className="faint">–</span>;
  const percent = failureRate * 100;
  return (
    <span
      className={`number ${failureRate > 0 ? classes.bad : ""}`}
      title={`${failed} of the ${ended} that ended failed or timed out`}
    >
      {percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)}%
    </span>
  );
}

function Ms({ value }: { value: number | null | undefined }) {
  return value == null ? (
    <span className="faint">–</span>
  ) : (
    <span className="nowrap number">{formatDuration(value)}</span>
  );
}

/** The newest runs as a strip: phase by colour, duration by height. */
function Recent({ task }: { task: Task }) {
  const runs = [...task.recentRuns].reverse();
  const longest = Math.max(1, ...runs.map(({ durationMs }) => durationMs ?? 0));
  return (
    <span className={classes.recent}>
      {runs.map((run) => {
        const { color, label } = phaseStyle(run.phase);
        const took = run.durationMs == null ? "" : ` in ${formatDuration(run.durationMs)}`;
        const height = run.durationMs == null ? 100 : 25 + (run.durationMs / longest) * 75;
        return (
          <Link
            key={run.id}
            to="/runs/$project/$domain/$name"
            params={runParams(run)}
            title={`${run.name}: ${label.toLowerCase()}${took}`}
            aria-label={`${run.name}: ${label}${took}`}
          >
            <span style={{ height: `${height}%`, background: color }} />
          </Link>
        );
      })}
    </span>
  );
}
