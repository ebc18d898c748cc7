import { useNavigate, useRouter } from "@tanstack/react-router";
import { memo, useCallback, useSyncExternalStore } from "react";
import { readFragment } from "../gql";
import { runParams } from "../live/paths";
import { keepFromScrolling, openTab, wantsTab } from "../ui/tabs";
import type { RunColumn } from "./columns";
import { RunRowFragment } from "./documents";
import classes from "./RunTable.module.css";
import type { RunList } from "./runList";
import type { RunRowData } from "./useRunList";

interface Props {
  id: string;
  /** The element id of the row, for aria-activedescendant. */
  rowId: string;
  list: RunList<RunRowData>;
  index: number;
  top: number;
  columns: readonly RunColumn[];
  isCursor: boolean;
  /** Whether it is selected; undefined if rows cannot be. */
  isTicked?: boolean | undefined;
  onTick: (index: number, range: boolean) => void;
}

/** A row of the list. It renders only when its own run changes. */
export const RunRow = memo(function RunRow(props: Props) {
  const { id, rowId, list, index, top, columns, isCursor, isTicked, onTick } = props;
  const subscribe = useCallback((listener: () => void) => list.batch.listen(id, listener), [list, id]);
  const row = useSyncExternalStore(subscribe, () => list.get(id));
  const isUnmatched = useSyncExternalStore(subscribe, () => list.isUnmatched(id));
  const navigate = useNavigate();
  const router = useRouter();
  if (!row) return null;
  const run = readFragment(RunRowFragment, row);
  const open = (event: React.MouseEvent): void => {
    // Links inside the row handle their own clicks, including new tabs.
    if ((event.target as HTMLElement).closest("a, button, label")) return;
    const target = { to: "/runs/$project/$domain/$name", params: runParams(run) } as const;
    if (wantsTab(event)) openTab(router.buildLocation(target).publicHref);
    else if (event.button === 0 && !window.getSelection()?.toString()) void navigate(target);
  };
  return (
    <div
      role="row"
      id={rowId}
      aria-selected={isCursor}
      className={`${classes.row} ${isCursor ? classes.cursor : ""} ${isUnmatched ? classes.unmatched : ""}`}
      style={{ transform: `translateY(${top}px)` }}
      aria-rowindex={index + 2}
      data-run={run.name}
      data-phase={run.phase}
      title={isUnmatched ? "It no longer matches the filter" : undefined}
      onClick={open}
      onAuxClick={open}
      onMouseDown={keepFromScrolling}
    >
      {isTicked === undefined ? null : (
        <span role="gridcell" className={classes.tick}>
          <label>
            <input
              type="checkbox"
              data-row
              aria-label={`Select ${run.name}`}
              checked={isTicked}
              onChange={({ nativeEvent }) => onTick(index, (nativeEvent as MouseEvent).shiftKey)}
            />
          </label>
        </span>
      )}
      {columns.map((column) => (
        <span
          key={column.id}
          role="gridcell"
          data-column={column.id}
          className={`${classes.cell} ${column.right ? classes.right : ""}`}
        >
          {column.cell(run)}
        </span>
      ))}
    </div>
  );
});
