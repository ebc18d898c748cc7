import { useNavigate, useRouter } from "@tanstack/react-router";
import { memo } from "react";
import { runParams } from "../live/paths";
import { CutMiddle } from "../ui/CutMiddle";
import { phaseStyle } from "../ui/phases";
import { wantsTab } from "../ui/tabs";
import type { GridCell, GridRun, Row } from "./grid";
import classes from "./TaskGrid.module.css";

interface Props {
  id: string;
  row: Row;
  runs: readonly GridRun[];
  /** The columns with another version than the one before. */
  changed: ReadonlySet<number>;
  index: number;
  top: number;
  /** The column of the keyboard cursor, if it is in this row. */
  cursor: number | null;
}

const KINDS: Partial<Record<Row["kind"], string>> = {
  GROUP: "group",
  TASK: "task",
  FUNCTION: "function",
  PATTERN: "names like this",
};

/** A row of the grid: the name of a step, and its phase in each run. */
export const GridLine = memo(function GridLine({ id, row, runs, changed, index, top, cursor }: Props) {
  const { name, depth, cells, failure, kind } = row;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={classes.line}
      style={{ transform: `translateY(${top}px)` }}
      data-row={index}
      data-step={name}
    >
      <span
        role="rowheader"
        className={classes.name}
        style={{ paddingLeft: `calc(8px + ${Math.min(depth, 8)} * var(--indent))` }}
      >
        <CutMiddle text={name} />
        {KINDS[kind] ? (
          <span className={`${classes.kind} faint`} title="Actions with generated names">
            {KINDS[kind]}
          </span>
        ) : null}
        {failure ? (
          <span className={classes.failing} title={`Failed ${failure.history.count} times in a row`}>
            ✕{failure.history.count > 1 ? ` ${failure.history.count.toLocaleString("en")}` : ""}
            <span className="only-read"> failures in a row</span>
          </span>
        ) : null}
      </span>
      {runs.map((run, column) => (
        <Cell
          key={run.id}
          id={`${id}${index}-${column}`}
          run={run}
          cell={cells[column] ?? null}
          name={name}
          column={column}
          isChange={changed.has(column)}
          isCursor={cursor === column}
        />
      ))}
    </div>
  );
});

interface CellProps {
  id: string;
  run: GridRun;
  cell: GridCell | null;
  /** The name of the row. */
  name: string;
  column: number;
  isChange: boolean;
  isCursor: boolean;
}

function Cell({ id, run, cell, name, column, isChange, isCursor }: CellProps) {
  const router = useRouter();
  const navigate = useNavigate();
  const states = `${classes.cell} ${isChange ? classes.change : ""} ${isCursor ? classes.cursor : ""}`;
  if (!cell) {
    return (
      <span
        role="gridcell"
        id={id}
        className={states}
        data-column={column}
        aria-label={`not in ${run.name}`}
      />
    );
  }
  const { label, color, sign } = phaseStyle(cell.phase);
  const target = {
    to: "/runs/$project/$domain/$name",
    params: runParams(run),
    search: { action: cell.name },
  } as const;
  return (
    <span role="gridcell" id={id} className={states} data-column={column} data-phase={cell.phase}>
      <a
        href={router.buildLocation(target).publicHref}
        tabIndex={-1}
        style={{ "--phase": color } as React.CSSProperties}
        aria-label={`${name} in ${run.name}: ${label}`}
        onClick={(event) => {
          if (event.button !== 0 || wantsTab(event) || event.shiftKey) return;
          event.preventDefault();
          void navigate(target);
        }}
      >
        {sign}
      </a>
    </span>
  );
}
