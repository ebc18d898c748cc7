import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { NowRunFragment } from "../gql/graphql";
import { may, useGrants } from "../live/access";
import { type RunName, runParams } from "../live/paths";
import { PhaseBadge } from "../ui/PhaseBadge";
import classes from "./NowPage.module.css";

/** A row: a run or an action that may be stuck, and why. */
export interface NowRow {
  id: string;
  run: RunName;
  /** The action below the run's root, if it is about one. */
  action?: string | undefined;
  phase: string;
  /** What it executes. */
  task?: string | null | undefined;
  by?: string | null | undefined;
  reason: ReactNode;
  /** Whether it has ended, or is aborted already. */
  isOver?: boolean;
}

export const rowOf = (run: NowRunFragment, reason: ReactNode): NowRow => ({
  id: run.id,
  run,
  phase: run.phase,
  task: run.task?.name ?? run.functionName,
  by: run.createdBy ? (run.createdBy.name ?? run.createdBy.subject) : null,
  reason,
  isOver: !!run.abort,
});

interface Props {
  title: string;
  /** What the list shows, and how it is chosen. */
  hint: string;
  rows: readonly NowRow[];
  /** The number of all of them, of which these are some. */
  total: number;
  /** Shown if there are none. */
  empty: string;
  /** A link to all of them. */
  more?: ReactNode;
  onAbort: (run: RunName) => void;
}

/** A list of what may be stuck. */
export function NowList({ title, hint, rows, total, empty, more, onAbort }: Props) {
  const grants = useGrants();
  return (
    <section aria-label={title} className={classes.list}>
      <h2 className={classes.heading}>
        {title}
        {total ? <span className={classes.total}>{total >= 1_000 ? "1,000+" : total}</span> : null}
        <span className={`${classes.hint} faint`}>{hint}</span>
      </h2>
      {rows.length ? (
        <ul className={classes.rows}>
          {rows.map(({ id, run, action, phase, task, by, reason, isOver }) => (
            <li key={id} className={classes.row} data-run={run.name}>
              <PhaseBadge phase={phase} />
              <span className={classes.what}>
                <Link
                  to="/runs/$project/$domain/$name"
                  params={runParams(run)}
                  search={action === undefined ? {} : { action }}
                  className="link cut"
                  title={run.name}
                >
                  {run.name}
                  {action === undefined ? "" : ` / ${action}`}
                </Link>
                <span className="faint small cut">
                  {run.project} / {run.domain}
                  {task ? ` · ${task}` : ""}
                  {by ? ` · by ${by}` : ""}
                </span>
              </span>
              <span className={classes.reason}>{reason}</span>
              {!isOver && may(grants, "ABORT", run.project, run.domain) ? (
                <button
                  type="button"
                  className={classes.abort}
                  aria-label={`Abort ${run.name}`}
                  onClick={() => onAbort(run)}
                >
                  Abort…
                </button>
              ) : null}
            </li>
          ))}
        </ul>
      ) : (
        <p className={classes.empty}>
          <span className={classes.good} aria-hidden>
            ✓
          </span>{" "}
          {empty}
        </p>
      )}
      {total > rows.length && more ? <p className={classes.more}>{more}</p> : null}
    </section>
  );
}
