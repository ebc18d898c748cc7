import { LastMetric } from "../actions/LastMetric";
import { ProgressLine } from "../actions/ProgressLine";
import { reasonOf } from "../actions/SkipReason";
import { NoteSign } from "../notes/NoteSign";
import { Duration } from "../ui/Duration";
import { PhaseBadge } from "../ui/PhaseBadge";
import { PhaseBar } from "../ui/PhaseBar";
import { hasEnded, words } from "../ui/phases";
import { Time } from "../ui/Time";
import type { RunRowFragment as Run } from "../gql/graphql";
import { RunLink } from "./RunLink";
import classes from "./RunTable.module.css";

/** A column: its title, width and cell. */
export interface RunColumn {
  id: string;
  title: string;
  width: string;
  /** A tooltip that explains the title. */
  hint?: string;
  right?: boolean;
  cell: (run: Run) => React.ReactNode;
}

/** The column with progress and a metric, whose data are only read if it is shown. */
export const REPORTED = "reported";

export const columns: RunColumn[] = [
  {
    id: "phase",
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
  },
  {
    id: "run",
    title: "Run",
    width: "minmax(200px, 2.4fr)",
    cell: (run) => (
      <>
        <span className={classes.named}>
          <RunLink run={run} />
          <NoteSign run={run} />
        </span>
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
  },
  {
    id: "progress",
    title: "Actions",
    width: "minmax(90px, 150px)",
    cell: (run) => <Progress run={run} />,
  },
  {
    id: REPORTED,
    title: "Progress",
    hint: "As the executor reports it of the run, with its first metric",
    width: "minmax(120px, 1fr)",
    cell: (run) => <Reported run={run} />,
  },
  {
    id: "duration",
    title: "Duration",
    hint: "From creation to end, waiting included",
    width: "92px",
    right: true,
    cell: (run) => <Duration from={run.createdAt} to={run.endedAt} ticks={!hasEnded(run.phase)} />,
  },
  {
    id: "started",
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
  },
  {
    id: "project",
    title: "Project",
    width: "minmax(90px, 150px)",
    cell: (run) => (
      <>
        <span className="cut">{run.project}</span>
        <span className={`${classes.second} cut`}>{run.domain}</span>
      </>
    ),
  },
  {
    id: "labels",
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
  },
  {
    id: "who",
    title: "By",
    width: "minmax(80px, 124px)",
    cell: (run) => (
      <>
        <span className="cut">{run.createdBy ? (run.createdBy.name ?? run.createdBy.subject) : "–"}</span>
        {run.source ? <span className={`${classes.second} cut`}>{words(run.source)}</span> : null}
      </>
    ),
  },
];

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
