import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import { useHotkeys } from "../ui/hotkeys";
import classes from "./ActionTable.module.css";
import type { Sort } from "./address";
import type { Column } from "./columns";
import { TableRow } from "./TableRow";
import type { Rows } from "./useRows";

const ROW = 30;

interface Props {
  table: Rows;
  columns: readonly Column[];
  sort: Sort | null;
  selected: string | undefined;
  onSelect: (name: string) => void;
  onSort: (sort: Sort) => void;
  /** The pointer is over the rows: none may move. */
  onReading: (isReading: boolean) => void;
  /** Shown if there are no rows. */
  children: ReactNode;
}

/** The rows of the table: only visible ones are rendered. */
export function TableGrid({ table, columns, sort, selected, onSelect, onSort, onReading, children }: Props) {
  const { rows, newest } = table;
  const scroller = useRef<HTMLDivElement>(null);
  const id = useId();
  const [cursor, setCursor] = useState<string | undefined>(selected);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
    getItemKey: (index) => rows[index]?.name ?? index,
    scrollPaddingStart: ROW,
    scrollPaddingEnd: ROW,
  });
  const at = useMemo(
    () => (cursor === undefined ? -1 : rows.findIndex(({ name }) => name === cursor)),
    [rows, cursor],
  );
  // To the row that is selected elsewhere, and where the keyboard leads; not where an order moves it.
  const isThere = at >= 0;
  useEffect(() => {
    if (at >= 0) virtualizer.scrollToIndex(at);
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [cursor, isThere]);
  const [seen, setSeen] = useState(selected);
  if (seen !== selected) {
    setSeen(selected);
    if (selected !== undefined) setCursor(selected);
  }
  // Another order is read from its start.
  const order = `${sort?.id}${sort?.descending}`;
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 });
  }, [order]);
  const goTo = (index: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (row) setCursor(row.name);
    scroller.current?.focus({ preventScroll: true });
  };
  useHotkeys([
    { keys: "j", what: "Next action", run: () => goTo(at + 1) },
    { keys: "k", what: "Previous action", run: () => goTo(at < 0 ? 0 : at - 1) },
    { keys: "ArrowDown", what: "Next action", run: () => goTo(at + 1) },
    { keys: "ArrowUp", what: "Previous action", run: () => goTo(at < 0 ? 0 : at - 1) },
    {
      keys: "Enter",
      what: "Open the action",
      run: () => at >= 0 && cursor !== undefined && onSelect(cursor),
    },
  ]);
  const template = columns
    .map(({ width }, n) => (n ? `minmax(${width}px, ${width}fr)` : "var(--name)"))
    .join(" ");
  const least = columns.reduce((sum, { width }, n) => sum + (n ? width : 0), 0);
  return (
    <div className={classes.frame}>
      <div
        ref={scroller}
        className={classes.scroller}
        role="grid"
        aria-label="Table of the actions"
        aria-rowcount={rows.length + 1}
        aria-colcount={columns.length}
        aria-activedescendant={at < 0 ? undefined : `${id}${at}`}
        tabIndex={0}
        data-testid="table"
        style={{ "--columns": template, "--others": `${least}px` } as React.CSSProperties}
      >
        <div role="row" className={classes.head}>
          {columns.map((column) => (
            <Heading key={column.id} column={column} sort={sort} onSort={onSort} />
          ))}
        </div>
        <div
          role="presentation"
          className={classes.rows}
          style={{ height: virtualizer.getTotalSize() }}
          onPointerEnter={({ pointerType }) => {
            if (pointerType === "mouse") onReading(true);
          }}
          onPointerLeave={() => onReading(false)}
        >
          {virtualizer.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return row ? (
              <TableRow
                key={item.key}
                id={`${id}${item.index}`}
                action={newest(row)}
                columns={columns}
                table={table}
                index={item.index}
                top={item.start}
                isSelected={row.name === selected}
                isCursor={item.index === at}
                onSelect={onSelect}
              />
            ) : null;
          })}
        </div>
      </div>
      <div className={classes.notice}>{children}</div>
    </div>
  );
}

interface HeadingProps {
  column: Column;
  sort: Sort | null;
  onSort: (sort: Sort) => void;
}

/** A column's title, which sorts by it: numbers and times the highest first, then the other way. */
function Heading({ column: { id, title, hint, kind }, sort, onSort }: HeadingProps) {
  const isSorted = sort?.id === id;
  const descendsFirst = kind !== "text" && kind !== "phase";
  const descending = isSorted ? !sort.descending : descendsFirst;
  const isNumber = kind === "number" || kind === "duration";
  return (
    <span
      role="columnheader"
      aria-sort={isSorted ? (sort.descending ? "descending" : "ascending") : "none"}
      data-column={id}
      className={isNumber ? classes.right : undefined}
    >
      <button
        type="button"
        className={classes.heading}
        title={[hint, `Sort ${descending ? "descending" : "ascending"}`].filter(Boolean).join("\n")}
        onClick={() => onSort({ id, descending })}
      >
        <span className="cut">{title}</span>
        {isSorted ? <span aria-hidden>{sort.descending ? "▾" : "▴"}</span> : null}
      </button>
    </span>
  );
}
