import {
  type Column,
  columnVisibilityFeature,
  createColumnHelper,
  tableFeatures,
} from "@tanstack/react-table";
import { LastMetric } from "../actions/LastMetric";
import { ProgressLine } from "../actions/ProgressLine";
import { reasonOf } from "../actions/SkipReason";
import { Duration } from "../ui/Duration";
import { PhaseBadge } from "../ui/PhaseBadge";
import { PhaseBar } from "../ui/PhaseBar";
import { hasEnded, words } from "../ui/phases";
import { Time } from "../ui/Time";
import type { RunRowFragment as Run } from "../gql/graphql";
import { RunLink } from "./RunLink";
import classes from "./RunTable.module.css";

/** The table's features. */
export const features = tableFeatures({ columnVisibilityFeature });

/** A column: its title, width and cell. */
export interface ColumnLook {
  title: string;
  width: string;
  /** A tooltip that explains the title. */
  hint?: string;
  right?: boolean;
  cell: (run: Run) => React.ReactNode;
}

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars, @typescript-eslint/no-empty-object-type -- the names are the library's
  interface ColumnMeta<TFeatures, TData, TValue> extends Partial<ColumnLook> {}
}

export interface ListedId {
  id: string;
}

export type RunColumn = Column<typeof features, ListedId>;

/** The column with progress and a metric, whose data are only read if it is shown. */
export const REPORTED = "reported";

const helper = createColumnHelper<typeof features, ListedId>();
const column = (id: string, meta: ColumnLook) => helper.display({ id, meta });

export const columns = helper.columns([
  column("phase", {
    title: "Phase",
    width: "132px",
    cell: (run) => (
      <>
        <PhaseBadge phase={run.phase} />
        {run.abort && run.abort.state !== "CONFIRMED" ? (
          <span className={classes.abort}>abort unconfirmed</span>
        ) : null}
      </>
    ),
  }),
  column("run", {
    title: "Run",
    width: "minmax(200px, 2.4fr)",
    cell: (run) => (
      <>
        <RunLink run={run} />
        <span className={`${classes.second} cut`} title={run.error?.summary}>
          {run.error ? (
            <span className={run.phase === "SKIPPED" ? undefined : classes.error}>{reasonOf(run.error)}</span>
          ) : run.task ? (
            `${run.task.name} ${run.task.version}`
          ) : (
            run.functionName
          )}
        </span>
      </>
    ),
  }),
  column("progress", {
    title: "Actions",
    width: "minmax(90px, 150px)",
    cell: (run) => <Progress run={run} />,
  }),
  column(REPORTED, {
    title: "Progress",
    hint: "As the executor reports it of the run, with its first metric",
    width: "minmax(120px, 1fr)",
    cell: (run) => <Reported run={run} />,
  }),
  column("duration", {
    title: "Duration",
    hint: "From creation to end, waiting included",
    width: "92px",
    right: true,
    cell: (run) => <Duration from={run.createdAt} to={run.endedAt} ticks={!hasEnded(run.phase)} />,
  }),
  column("started", {
    title: "Started",
    width: "132px",
    cell: (run) =>
      run.startedAt ? (
        <Time value={run.startedAt} />
      ) : (
        <>
          <span className="faint">not yet</span>
          <span className={classes.second}>
            created <Time value={run.createdAt} />
          </span>
        </>
      ),
  }),
  column("project", {
    title: "Project",
    width: "minmax(90px, 150px)",
    cell: (run) => (
      <>
        <span className="cut">{run.project}</span>
        <span className={`${classes.second} cut`}>{run.domain}</span>
      </>
    ),
  }),
  column("labels", {
    title: "Labels",
    width: "minmax(100px, 1.1fr)",
    cell: (run) => (
      <span
        className={classes.labels}
        title={run.labels.map(({ key, value }) => `${key}=${value}`).join("\n")}
      >
        {run.labels.map(({ key, value }) => (
          <span key={key} className={classes.label}>
            {key}={value}
          </span>
        ))}
      </span>
    ),
  }),
  column("who", {
    title: "By",
    width: "minmax(80px, 124px)",
    cell: (run) => (
      <>
        <span className="cut">{run.createdBy ? (run.createdBy.name ?? run.createdBy.subject) : "–"}</span>
        {run.source ? <span className={`${classes.second} cut`}>{words(run.source)}</span> : null}
      </>
    ),
  }),
]);

function Progress({ run }: { run: Run }) {
  const total = run.phaseCounts.reduce((sum, { count }) => sum + count, 0);
  const ended = run.phaseCounts.reduce((sum, { phase, count }) => sum + (hasEnded(phase) ? count : 0), 0);
  return (
    <>
      <PhaseBar counts={run.phaseCounts} />
      <span className={`${classes.second} number`}>
        {ended.toLocaleString("en")} of {total.toLocaleString("en")} ended
      </span>
    </>
  );
}

function Reported({ run }: { run: Run }) {
  const { progress, metrics = [] } = run.rootAction ?? {};
  return (
    <>
      {progress ? <ProgressLine progress={progress} hasEnded={hasEnded(run.phase)} small /> : null}
      <LastMetric metrics={metrics} />
    </>
  );
}
