import { reasonOf } from "../actions/SkipReason";
import { useNow } from "../ui/clock";
import { formatDuration } from "../ui/durations";
import { PhaseBadge } from "../ui/PhaseBadge";
import { hasEnded } from "../ui/phases";
import { Time } from "../ui/Time";
import type { GridCell, GridRun, Row } from "./grid";
import classes from "./TaskGrid.module.css";

interface Props {
  run: GridRun | null;
  /** Null for the run itself. */
  row: Row | null;
  column: number;
}

/** What is known of the cell at the pointer or the keyboard cursor. */
export function CellDetails({ run, row, column }: Props) {
  const cell = row?.cells[column];
  return (
    <p className={classes.details} data-details>
      {!run ? (
        <span className="faint">
          Point at a cell or use the arrow keys; Enter opens the action in that run.
        </span>
      ) : row && !cell ? (
        <>
          <b>{row.name}</b> <span className="faint">is not in {run.name}</span>
        </>
      ) : cell ? (
        <OfCell run={run} cell={cell} />
      ) : (
        <OfRun run={run} />
      )}
    </p>
  );
}

function OfCell({ run, cell }: { run: GridRun; cell: GridCell }) {
  return (
    <>
      <PhaseBadge phase={cell.phase} />
      <span>
        <b>{cell.name}</b> in {run.name}
      </span>
      {cell.actions > 1 ? (
        <span>
          {cell.actions.toLocaleString("en")} actions
          {cell.failed ? `, ${cell.failed.toLocaleString("en")} failed` : ""}
        </span>
      ) : null}
      <Ran from={cell.startedAt} to={cell.endedAt} isOver={hasEnded(cell.phase)} />
      {cell.error ? <span className={classes.error}>{reasonOf(cell.error)}</span> : null}
    </>
  );
}

function OfRun({ run }: { run: GridRun }) {
  const ticks = !hasEnded(run.phase);
  const now = useNow(ticks);
  const durationMs = run.durationMs ?? (ticks ? now - Date.parse(run.createdAt) : null);
  return (
    <>
      <PhaseBadge phase={run.phase} />
      <b>{run.name}</b>
      <span>
        created <Time value={run.createdAt} />
      </span>
      {durationMs === null ? null : <span>duration {formatDuration(durationMs)}</span>}
      {run.task ? <span>version {run.task.version}</span> : null}
      {run.error ? <span className={classes.error}>{reasonOf(run.error)}</span> : null}
    </>
  );
}

interface RanProps {
  from: string | null | undefined;
  to: string | null | undefined;
  isOver: boolean;
}

function Ran({ from, to, isOver }: RanProps) {
  const ticks = !isOver && !to;
  const now = useNow(ticks);
  if (!from) return null;
  const end = to ? Date.parse(to) : ticks ? now : null;
  return (
    <span className="faint">
      started <Time value={from} />
      {end === null ? null : `, run time ${formatDuration(end - Date.parse(from))}`}
    </span>
  );
}
