import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { hasFailed } from "../actions/failures";
import { reasonOf } from "../actions/SkipReason";
import { hasSucceeded } from "../history/failureHistory";
import { LinkTo, SinceWhen } from "../history/SinceWhen";
import { successesOf, trendOf, usualOf } from "../history/usual";
import { runParams } from "../live/paths";
import { formatDuration } from "../ui/durations";
import { Time } from "../ui/Time";
import { type FailingRow, failingRows, type Grid } from "./grid";
import classes from "./TaskPage.module.css";

/** Failing steps that are shown at first. */
const FEW = 4;

/** How the last runs went: since when what fails, the share that succeeded, and the usual durations. */
export function TaskState({ grid, title }: { grid: Grid; title: string }) {
  const newestFirst = useMemo(() => [...grid.runs].reverse(), [grid]);
  const ended = newestFirst.filter(({ phase }) => hasFailed(phase) || hasSucceeded(phase));
  const [last, ...earlier] = ended;
  const failing = useMemo(() => failingRows(grid.rows), [grid]);
  const [all, setAll] = useState(false);
  const shown = all ? failing : failing.slice(0, FEW);
  return (
    <div className={classes.state}>
      {last && hasFailed(last.phase) ? (
        <div className={classes.failure} data-state="failing">
          <SinceWhen run={last} earlier={earlier} what={title} />
          {failing.length ? null : (
            <p className={classes.error}>
              {last.error ? reasonOf(last.error) : "It failed without an error."}
            </p>
          )}
        </div>
      ) : last ? (
        <p data-state="succeeding">
          <strong>Succeeding</strong>: {streak(ended)} in a row, the last one is <LinkTo run={last} />,{" "}
          <Time value={last.createdAt} />
          <LastFailure ended={ended} />
        </p>
      ) : (
        <p className="faint">None of these runs has succeeded or failed yet.</p>
      )}
      {shown.length ? (
        <ul className={classes.failing} aria-label="Actions that failed the last time that they ended">
          <li className="faint small">Actions that failed the last time that they ended:</li>
          {shown.map((row) => (
            <FailingStep key={row.key} row={row} grid={grid} last={last?.id} />
          ))}
          {failing.length > FEW ? (
            <li>
              <button type="button" className="link-button" aria-expanded={all} onClick={() => setAll(!all)}>
                {all
                  ? "Fewer failed actions"
                  : `${(failing.length - FEW).toLocaleString("en")} more failed actions`}
              </button>
            </li>
          ) : null}
        </ul>
      ) : null}
      <Figures grid={grid} newestFirst={newestFirst} />
    </div>
  );
}

const streak = (ended: readonly { phase: string }[]): string => {
  const end = ended.findIndex(({ phase }) => hasFailed(phase));
  return (end < 0 ? ended.length : end).toLocaleString("en");
};

function LastFailure({ ended }: { ended: Grid["runs"] }) {
  const failed = ended.find(({ phase }) => hasFailed(phase));
  if (!failed) return null;
  return (
    <>
      {" "}
      · last failure: <LinkTo run={failed} />, <Time value={failed.createdAt} />
      {failed.error ? <span className="faint"> ({reasonOf(failed.error)})</span> : null}
    </>
  );
}

interface FailingStepProps {
  row: FailingRow;
  grid: Grid;
  /** The id of the last run that ended. */
  last: string | undefined;
}

/** A step that failed the last time that it ended: where, why, since when, and whether the error is new. */
function FailingStep({ row: { name, failure }, grid, last }: FailingStepProps) {
  const { cell, column, history, hasOthers } = failure;
  const { count, first, before, versions, same, other } = history;
  const run = grid.runs[column];
  if (!run) return null;
  return (
    <li data-failing={name}>
      <Link
        to="/runs/$project/$domain/$name"
        params={runParams(run)}
        search={{ action: cell.name }}
        className={classes.step}
        title={`Open ${cell.name} in ${run.name}`}
      >
        {name}
      </Link>
      {cell.actions > 1
        ? ` (${cell.failed.toLocaleString("en")} of ${cell.actions.toLocaleString("en")})`
        : null}{" "}
      <span className={classes.error}>{cell.error ? reasonOf(cell.error) : "failed without an error"}</span>{" "}
      <span className="faint">
        {run.id === last ? null : `in ${run.name}: `}
        {!hasOthers
          ? "not in the runs before"
          : count === 1
            ? "new failure"
            : `${count.toLocaleString("en")} times in a row, since ${first.name}`}
        {versions ? `, version ${versions.from} → ${versions.to}` : null}
        {before || !hasOthers ? null : ", no success in these runs"}
        {same
          ? `, same error in ${same.name}`
          : before && !other && cell.error
            ? ", new error"
            : other
              ? `, another error in ${other.name}`
              : null}
      </span>
    </li>
  );
}

function Figures({ grid, newestFirst }: { grid: Grid; newestFirst: Grid["runs"] }) {
  const { succeeded, ended } = successesOf(grid.runs);
  const usual = usualOf(newestFirst);
  const trend = trendOf(newestFirst);
  return (
    <dl className={classes.figures}>
      {ended ? (
        <div title="Of these runs, without aborted and skipped ones">
          <dt>Succeeded</dt>
          <dd>
            {Math.round((succeeded / ended) * 100)} %{" "}
            <span className="faint">
              ({succeeded} of {ended})
            </span>
          </dd>
        </div>
      ) : null}
      {usual ? (
        <div title={`From creation to end, waiting included, of the ${usual.count} runs that succeeded`}>
          <dt>Duration</dt>
          <dd>
            p50 {formatDuration(usual.p50)}, p95 {formatDuration(usual.p95)}
          </dd>
        </div>
      ) : null}
      {trend !== null ? (
        <div title="The median of the newer half of the runs that succeeded, compared with the older half">
          <dt>Trend</dt>
          <dd>
            {Math.abs(trend) < 5
              ? "steady"
              : `${Math.abs(trend)} % ${trend > 0 ? "slower" : "faster"} than before`}
          </dd>
        </div>
      ) : null}
    </dl>
  );
}
