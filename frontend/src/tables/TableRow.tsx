import { ProgressLine } from "../actions/ProgressLine";
import { RunTime } from "../actions/RunTime";
import type { Action } from "../actions/useForest";
import { formatDuration } from "../ui/durations";
import { formatMeasured } from "../ui/numbers";
import { PhaseBadge } from "../ui/PhaseBadge";
import { hasEnded } from "../ui/phases";
import { keepFromScrolling, openTab, wantsTab } from "../ui/tabs";
import { Time } from "../ui/Time";
import classes from "./ActionTable.module.css";
import type { Cell, Column } from "./columns";
import type { Rows } from "./useRows";

interface Props {
  /** The element id of the row, for aria-activedescendant. */
  id: string;
  action: Action;
  columns: readonly Column[];
  table: Rows;
  index: number;
  top: number;
  isSelected: boolean;
  isCursor: boolean;
  onSelect: (name: string) => void;
}

/** A row of the table. */
export function TableRow(props: Props) {
  const { id, action, columns, table, index, top, isSelected, isCursor, onSelect } = props;
  const open = (event: React.MouseEvent): void => {
    if (wantsTab(event)) {
      const address = new URL(window.location.href);
      address.searchParams.set("action", action.name);
      openTab(address.href);
    } else if (event.button === 0) onSelect(action.name);
  };
  return (
    <div
      role="row"
      id={id}
      className={`${classes.row} ${isSelected ? classes.selected : ""} ${isCursor ? classes.cursor : ""}`}
      style={{ transform: `translateY(${top}px)` }}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      data-action={action.name}
      onClick={open}
      onAuxClick={open}
      onMouseDown={keepFromScrolling}
    >
      {columns.map((column) => (
        <TableCell key={column.id} column={column} action={action} table={table} />
      ))}
    </div>
  );
}

function TableCell({ column, action, table }: { column: Column; action: Action; table: Rows }) {
  const { kind } = column;
  const value = column.value(action, table.context);
  const isNumber = kind === "duration" || kind === "number";
  return (
    <span
      role="gridcell"
      className={`${isNumber ? classes.right : ""} ${column.id === "error" && value ? classes.bad : ""}`}
      data-column={column.id}
      title={kind === "text" || typeof value === "string" ? String(value ?? "") || undefined : undefined}
    >
      {typeof value === "number" ? <Size column={column} value={value} table={table} /> : null}
      <Shown column={column} action={action} value={value} runEnd={table.context.runEnd} />
    </span>
  );
}

/** How large a number is within its column: a bar, and words at the ends. */
function Size({ column, value, table }: { column: Column; value: number; table: Rows }) {
  const range = table.ranges.get(column.id);
  if (!range) return null;
  // Durations begin at zero; a bar of other numbers shows where they are between the ends.
  const from = column.kind === "duration" ? 0 : range.min;
  const part = Math.max(0, Math.min(1, (value - from) / (range.max - from)));
  const end = value === range.max ? "max" : value === range.min ? "min" : null;
  return (
    <>
      <span className={classes.size} aria-hidden>
        <span style={{ width: `${part * 100}%` }} />
      </span>
      {end ? <span className={classes.end}>{end}</span> : null}
    </>
  );
}

interface ShownProps {
  column: Column;
  action: Action;
  value: Cell;
  runEnd: number | null;
}

function Shown({ column: { id, kind, unit }, action, value, runEnd }: ShownProps) {
  if (kind === "phase") return <PhaseBadge phase={action.phase} />;
  if (id === "run") {
    return <RunTime action={action} runEnd={runEnd === null ? null : new Date(runEnd).toISOString()} />;
  }
  if (kind === "time") return <Time value={action.startedAt} />;
  if (kind === "progress") {
    return action.progress ? (
      <ProgressLine progress={action.progress} hasEnded={hasEnded(action.phase)} small />
    ) : null;
  }
  if (value === null) return kind === "text" ? null : <span className="faint">–</span>;
  if (kind === "duration" && typeof value === "number") {
    return <span className="number nowrap">{formatDuration(value)}</span>;
  }
  if (typeof value === "number") return <span className="number nowrap">{formatMeasured(value, unit)}</span>;
  if (id === "name") {
    return (
      <span className="cut">
        <bdi>{String(value)}</bdi>
      </span>
    );
  }
  return <span className="cut">{String(value)}</span>;
}
